"""The dock widget "CRII assistant"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QApplication, QFileDialog, QVBoxLayout, QWidget

from napari_crii._layers import VOLUME_KEY, LayerData
from napari_crii._resources import SHIPPED_CHECKPOINT, resource
from napari_crii.classes import LabelClass
from napari_crii.errors import CriiError
from napari_crii.io.kinds import MASK_SUFFIXES
from napari_crii.widgets._builders import scrolled
from napari_crii.widgets.background import once
from napari_crii.widgets.case_list import CaseList
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.dock_groups import (
    PatchGroup,
    ProjectRow,
    ProposeGroup,
    SaveGroup,
    ScanGroup,
    SliceGroup,
    StatusLine,
)
from napari_crii.widgets.first_reading import FirstReading
from napari_crii.widgets.forms import Choice, TaskForm
from napari_crii.widgets.importing import MaskImport
from napari_crii.widgets.layers import can_be_annotated, known_digest, volume_of
from napari_crii.widgets.learning_group import LearningGroup
from napari_crii.widgets.opening import ScanOpening
from napari_crii.widgets.project_opening import ProjectOpening
from napari_crii.widgets.scan_layer import ScanLayer
from napari_crii.widgets.state import AssistantState
from napari_crii.widgets.task import Task

# From this width of the window on, in pixels, the canvas has room enough beside a wide dock.
_WIDE_WINDOW = 1400
# The longest usual line, which should not wrap there, and the pixels beside it.
_LINE, _BESIDE = "Boxes: x region, x low contrast, x boundary; double: this one", 100


class CriiAssistant(QWidget):
    """Propose, check, correct, learn and save, in the order of the work.

    Parameters
    ----------
    napari_viewer
        The viewer to dock in.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._shut = False
        self._shown: AssistantState | None = None
        self._viewer = napari_viewer
        self.controller = AssistantController(napari_viewer, self)
        self.task_form = TaskForm(
            self._scan_names, self._ask_checkpoint, resource("checkpoints", SHIPPED_CHECKPOINT)
        )
        self.opening = ScanOpening(
            self,
            lambda: ScanLayer(napari_viewer, self.controller.upright),
            self._on_opened,
            self.controller.say,
        )
        self.importing = MaskImport(self, self.controller)
        self.projects = ProjectOpening(self, self.controller, self.task_form, self._on_last_scan)
        first = FirstReading(napari_viewer, self.controller, self)
        self.cases = CaseList(self.controller, self.projects, first)
        self._build()
        self.controller.changed.connect(self._render)
        events = napari_viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            event.connect(self._on_layers)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.shut_down)
        for part in (self.controller, self.opening, self.importing):
            self.destroyed.connect(part.close)
        self._on_layers()
        self._render()
        self.projects.look_for_left(self.project_row.offer)

    def task(self) -> Task:
        """Return what the user chose.

        Raises
        ------
        CriiError
            If no scan is chosen, or the classes are not the network's.
        """
        choice = self.task_form.choice()
        named = [layer for layer in self._viewer.layers if layer.name == choice.scan]
        volume = volume_of(named[0]) if named else None
        if volume is None:
            raise CriiError("Choose a scan first: open a file or a DICOM folder.")
        case = self.controller.case
        if case is None or case.volume is not volume:
            # It was hidden if another case was opened since.
            named[0].visible = True
        if named[0].source.path:
            self.controller.sitting.remember(volume, Path(named[0].source.path))
        return Task(volume, self.task_form.classes(), choice.checkpoint)

    def enter(self, scan: str, checkpoint: Path | None, classes: tuple[LabelClass, ...]) -> None:
        """Fill the form in: a layer's name, a checkpoint (None: a new network), the classes."""
        self.task_form.enter(Choice(scan, checkpoint, tuple(c.name for c in classes)))

    def propose(self, whole_volume: bool) -> None:
        """Propose the slice on display, or the whole scan."""
        try:
            task = self.task()
        except CriiError as error:
            self.controller.say(str(error), True)
            return
        self.controller.propose(task, whole_volume)

    def sizeHint(self) -> QSize:
        """Ask for the width in which sentences wrap little, in a small window for the least."""
        hint = super().sizeHint()
        if self._viewer.window.geometry()[2] < _WIDE_WINDOW:
            return hint
        return hint.expandedTo(QSize(self.fontMetrics().horizontalAdvance(_LINE) + _BESIDE, 0))

    def show_learning(self) -> None:
        """Scroll to how learning goes."""
        self._scrolled.ensureWidgetVisible(self.learning_group.box)

    def begin(self, then: Callable[[], None] = lambda: None) -> None:
        """Open the chosen scan for drawing, without proposing."""
        try:
            self.controller.open(self.task(), then)
        except CriiError as error:
            self.controller.say(str(error), True)

    def import_mask(self) -> None:
        """Open the chosen scan, then ask for a file with a finished mask of it."""
        try:
            self.controller.open(self.task(), self._ask_mask)
        except CriiError as error:
            self.controller.say(str(error), True)

    def shut_down(self) -> None:
        """End the children before the application goes; asking again does nothing."""
        if self._shut:
            return
        self._shut = True
        self._soon_learning.stop()
        self.opening.close()
        self.importing.close()
        self.controller.close()

    def _build(self) -> None:
        controller, form = self.controller, self.task_form
        self.project_row = ProjectRow(self._open_project, self.projects.open)
        scan = ScanGroup(form, self._open_file, self._open_directory)
        propose = ProposeGroup(self.propose, self.begin, controller.cancel_proposals)
        self.slice_group = SliceGroup(controller, form, self.import_mask)
        self._soon_learning = once(self.show_learning)
        self.learning_group = LearningGroup(controller, self._soon_learning.start)
        self.save_group = SaveGroup(self._save_file)
        patches, status = PatchGroup(controller), StatusLine()
        groups = (scan, propose, patches, self.slice_group, self.learning_group, self.save_group)
        self._parts = (status, self.project_row, *groups)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        boxes = (self.project_row.box, self.cases.box, *(one.box for one in groups))
        self._scrolled = scrolled(*boxes)
        layout.addWidget(self._scrolled, 1)
        # Below what scrolls, so that a sentence is seen wherever the click was.
        layout.addWidget(status.box)

    def _render(self) -> None:
        """Show the controller's state; a clock that goes on is all that most strokes change."""
        before, self._shown = self._shown, self.controller.state
        if before is not None and replace(before, saved=self._shown.saved) == self._shown:
            self.project_row.render(self._shown)
            return
        for part in self._parts:
            part.render(self._shown)
        self.cases.render()

    def _scan_names(self) -> list[str]:
        return [layer.name for layer in self._viewer.layers if can_be_annotated(layer)]

    def _on_layers(self, _event: object = None) -> None:
        self.task_form.refresh_scans()

    def _open_project(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a project, or choose an empty folder")
        if folder:
            self.projects.open(Path(folder))

    def _open_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a scan")
        self._open_path(path)

    def _open_directory(self) -> None:
        self._open_path(QFileDialog.getExistingDirectory(self, "Open a DICOM folder"))

    def _open_path(self, path: str) -> None:
        """Open a scan through our own reader; what it refuses, the status line says."""
        if path:
            self.opening.open(Path(path))

    def _on_opened(self, path: Path, layer: Image) -> None:
        self.task_form.choose_scan(layer.name)
        self.controller.sitting.remember(layer.metadata[VOLUME_KEY], path)

    def _on_last_scan(self, layer: LayerData, then: Callable[[], None]) -> None:
        """Show the scan that a project was left with, and its case."""
        name = self._show(layer)
        self.task_form.enter(replace(self.task_form.choice(), scan=name))
        self.begin(then)

    def _show(self, layer: LayerData) -> str:
        """Show a scan, in its layer where it has one; scans of other cases are hidden."""
        data, arguments, _ = layer
        digest, name = arguments["metadata"][VOLUME_KEY].digest, ""
        for one in self._viewer.layers:
            known = known_digest(one)
            if known:
                one.visible = known == digest
                name = one.name if one.visible else name
        return name or str(self._viewer.add_image(data, **arguments).name)

    def _ask_mask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Import a mask")
        if path:
            self.importing.start(Path(path))

    def _ask_checkpoint(self) -> Path | None:
        path, _ = QFileDialog.getOpenFileName(self, "Checkpoint", filter="*.safetensors")
        return Path(path) if path else None

    def _save_file(self) -> None:
        case = self.controller.case
        if case is None:
            return
        suffix = ".png" if case.volume.is_image and case.shape[0] == 1 else ".nii.gz"
        suggested = f"{case.volume.name}_mask{suffix}"
        path, _ = QFileDialog.getSaveFileName(self, "Save mask", suggested)
        if path:
            named = path if path.lower().endswith(MASK_SUFFIXES) else path + suffix
            self.controller.save(Path(named), self.save_group.include_proposals)
