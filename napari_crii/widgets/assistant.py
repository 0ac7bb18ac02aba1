"""The dock widget "CRII assistant"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QFileDialog,
    QGroupBox,
    QHBoxLayout,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_crii._layers import VOLUME_KEY, LayerData
from napari_crii._resources import resource
from napari_crii.classes import LabelClass
from napari_crii.errors import CriiError
from napari_crii.io.kinds import MASK_SUFFIXES
from napari_crii.widgets._builders import button, group, row, show_progress, words_label
from napari_crii.widgets.case_layers import DISAGREEMENT, HUMAN, PROPOSAL
from napari_crii.widgets.case_list import CaseList
from napari_crii.widgets.class_list import ClassEditing, ClassList
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.first_reading import FirstReading
from napari_crii.widgets.forms import Choice, SaveForm, TaskForm
from napari_crii.widgets.importing import MaskImport
from napari_crii.widgets.keymap import shown_key
from napari_crii.widgets.layers import can_be_annotated, known_digest, volume_of
from napari_crii.widgets.opening import ScanOpening
from napari_crii.widgets.patches_layer import REASON_COLORS
from napari_crii.widgets.project_opening import ProjectOpening
from napari_crii.widgets.scan_layer import ScanLayer
from napari_crii.widgets.state import AssistantState
from napari_crii.widgets.task import Task

SHIPPED_CHECKPOINT = "crii-lv-cine-mri.safetensors"
LEGEND = "Boxes: " + ", ".join(
    f'<span style="color:{color}">&#9632;</span> {reason}'
    for reason, color in REASON_COLORS.items()
)
HOW_TO = (
    f"<b>{PROPOSAL}</b>: outline. <b>{HUMAN}</b>: filled; paint or erase.<br>"
    f"<b>{DISAGREEMENT}</b>: bright where errors are expected."
)


class CriiAssistant(QScrollArea):
    """Propose, check, correct, learn and save, in the order of the work.

    Parameters
    ----------
    napari_viewer
        The viewer to dock in.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.controller = AssistantController(napari_viewer, self)
        self.task_form = TaskForm(
            self._scan_names, self._ask_checkpoint, resource("checkpoints", SHIPPED_CHECKPOINT)
        )
        self._save_form = SaveForm()
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
        """End the children before the application goes."""
        self.opening.close()
        self.importing.close()
        self.controller.close()

    def _build(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(4)
        for part in (
            self._project_row(),
            self.cases.box,
            self._scan_group(),
            self._propose_group(),
            self._patch_group(),
            self._slice_group(),
            self._learning_group(),
            self._save_group(),
        ):
            layout.addWidget(part)
        self._status = words_label()
        self._status.setObjectName("crii_status")
        layout.addWidget(self._status)
        layout.addStretch(1)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(340)

    def _project_row(self) -> QWidget:
        self._project = button(
            "Project...",
            "Choose a project's folder, or an empty folder for a new one: all you do is kept there",
            self._open_project,
        )
        self._project_words = words_label()
        self._project_words.setObjectName("crii_project")
        made = row(self._project, self._project_words)
        layout = made.layout()
        assert isinstance(layout, QHBoxLayout)
        layout.setStretch(1, 1)
        return made

    def _scan_group(self) -> QGroupBox:
        self._open = button("Open file...", "Open a scan, or a DICOM file", self._open_file)
        self._open_folder = button(
            "Open DICOM folder...", "Open a folder with one DICOM series", self._open_directory
        )
        self._begin = button("Draw", "Open for drawing without a proposal", self.begin)
        self._scan_words = words_label()
        self.task_form.margins = (0, 0, 0, 0)
        return group(
            "1. Scan", row(self._open, self._open_folder), self.task_form.native, self._scan_words
        )

    def _propose_group(self) -> QGroupBox:
        self._propose_slice = button(
            "This slice", "Propose a mask for the slice on display", lambda: self.propose(False)
        )
        self._propose_all = button(
            "All slices", "Propose every slice that nobody touched", lambda: self.propose(True)
        )
        self._cancel = button("Stop", "Stop proposing", self.controller.cancel_proposals)
        self._proposing = QProgressBar()
        buttons = row(self._propose_slice, self._propose_all, self._begin, self._cancel)
        return group("2. Propose", buttons, self._proposing)

    def _patch_group(self) -> QGroupBox:
        self._previous = button(
            f"Previous ({shown_key('previous_patch')})", "", lambda: self.controller.go(-1)
        )
        self._next = button(f"Next ({shown_key('next_patch')})", "", lambda: self.controller.go(1))
        self._accept_patch = button(
            f"Good ({shown_key('accept_patch')})",
            "Accept what stands inside this patch",
            self.controller.accept_patch,
        )
        self._patch_words = words_label()
        legend = words_label(LEGEND)
        return group(
            "3. Check where it doubts",
            row(self._previous, self._next, self._accept_patch),
            self._patch_words,
            legend,
        )

    def _slice_group(self) -> QGroupBox:
        self._accept_slice = button(
            f"Accept slice ({shown_key('accept_slice')})",
            "Everything on this slice is right: the network may learn from it",
            self.controller.accept_slice,
        )
        self._import = button(
            "Import mask...", "Take a finished mask from a file", self.import_mask
        )
        self._undo = button(f"Undo ({shown_key('undo')})", "", self.controller.undo)
        self._slice_words = words_label()
        self._class_list = ClassList()
        self._editing = ClassEditing(self._class_list, self.controller, self.task_form)
        how_to = words_label(HOW_TO)
        return group(
            "4. Correct and accept",
            row(self._accept_slice, self._undo, self._import),
            self._slice_words,
            self._class_list,
            how_to,
        )

    def _learning_group(self) -> QGroupBox:
        self._learns = QCheckBox("Learn when I accept a slice")
        self._learns.setChecked(self.controller.learns_on_accept)
        self._learns.toggled.connect(self._on_learns)
        self._stop = button(
            "Stop", "Discard what is being learnt", self.controller.network.learning.stop
        )
        self._learning = QProgressBar()
        self._learning_words = words_label()
        return group(
            "5. Learning", row(self._learns, self._stop), self._learning, self._learning_words
        )

    def _save_group(self) -> QGroupBox:
        self._save = button(
            "Save mask...", "On the scan's own grid, read again to verify", self._save_file
        )
        return group("6. Save", row(self._save, self._save_form.native))

    def _render(self) -> None:
        """Show the controller's state."""
        state: AssistantState = self.controller.state
        session = self.controller.session
        self._class_list.show_classes(() if session is None else session.classes)
        for label, words in (
            (self._project_words, state.project),
            (self._scan_words, state.scan),
            (self._patch_words, state.patch),
            (self._slice_words, state.slice),
            (self._learning_words, state.learned),
        ):
            label.setText(words)
            label.setVisible(bool(words))
        self._status.setText(f"{'Problem: ' if state.is_error else ''}{state.message}")
        style = "font-weight: bold;" if state.is_error else ""
        # A style sheet that is set again is worked through again, though it says the same.
        if style != self._status.styleSheet():
            self._status.setStyleSheet(style)
        self.cases.render()
        show_progress(self._proposing, state.proposing)
        show_progress(self._learning, state.learning)
        self._cancel.setEnabled(state.proposing.running)
        self._stop.setEnabled(state.learning.running)
        for needs_patch in (self._previous, self._next, self._accept_patch):
            needs_patch.setEnabled(state.has_patches)
        for needs_case in (self._accept_slice, self._undo, self._save):
            needs_case.setEnabled(state.has_case)

    def _scan_names(self) -> list[str]:
        return [layer.name for layer in self._viewer.layers if can_be_annotated(layer)]

    def _on_layers(self, _event: object = None) -> None:
        self.task_form.refresh_scans()

    def _on_learns(self, checked: bool) -> None:
        self.controller.learns_on_accept = checked

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
            self.controller.save(Path(named), self._save_form.value().include_proposals)
