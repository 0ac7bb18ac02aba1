"""The groups of the dock, in the order of the work.

A group is a box that goes into the dock, its buttons, and a `render` that draws its part of the
controller's state. What needs a dialog is handed in by the dock.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QWidget

from napari_crii.widgets._builders import (
    button,
    combo,
    group,
    row,
    show_progress,
    show_tip,
)
from napari_crii.widgets.case_layers import DISAGREEMENT, HUMAN, PROPOSAL
from napari_crii.widgets.class_list import ClassEditing, ClassList
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.forms import SaveForm, TaskForm
from napari_crii.widgets.keymap import shown_key
from napari_crii.widgets.maps import MapKind
from napari_crii.widgets.patches_layer import REASON_COLORS
from napari_crii.widgets.project_words import IN_MEMORY, going_on
from napari_crii.widgets.state import AssistantState
from napari_crii.widgets.words import Words

LEGEND = (
    "Boxes: "
    + ", ".join(
        f'<span style="color:{color}">&#9632;</span> {reason}'
        for reason, color in REASON_COLORS.items()
    )
    + "; double: this one"
)
HOW_TO = (
    f"<b>{PROPOSAL}</b>: outline. <b>{HUMAN}</b>: filled; paint or erase.<br>"
    f"<b>{DISAGREEMENT}</b>: the map chosen under 3."
)
Act = Callable[[], None]


class ProjectRow:
    """The project, and where the work is kept; after a crash, the way back to it.

    Parameters
    ----------
    choose
        Asks for a project.
    go_on
        Opens the project that a crash left.
    """

    def __init__(self, choose: Act, go_on: Callable[[Path], None]) -> None:
        self._left: Path | None = None
        self._go_on = go_on
        self.choose = button(
            "Project...",
            "Choose a project's folder, or an empty folder for a new one: all you do is kept there",
            choose,
        )
        self.back = button("", "Open it: everything that was saved is there", self._on_back)
        self.back.hide()
        self._words = Words(name="crii_project")
        self.box = row(self.choose, self.back, self._words)
        layout = self.box.layout()
        assert isinstance(layout, QHBoxLayout)
        layout.setStretch(2, 1)

    def offer(self, left: Path) -> None:
        """Offer to go on with a project whose last sitting ended without closing it."""
        self._left = left
        self.back.setText(going_on(left))
        self.back.show()

    def _on_back(self) -> None:
        if self._left is not None:
            self._go_on(self._left)

    def render(self, state: AssistantState) -> None:
        """Show the project's line."""
        if state.project != IN_MEMORY:
            self.back.hide()
        self._words.show_words(state.project + (f": saved {state.saved}" if state.saved else ""))


class ScanGroup:
    """Which scan, network and classes."""

    def __init__(self, form: TaskForm, open_file: Act, open_folder: Act) -> None:
        file = button("Open file...", "Open a scan, or a DICOM file", open_file)
        folder = button("Open DICOM folder...", "Open a folder with one DICOM series", open_folder)
        self._words = Words()
        form.margins = (0, 0, 0, 0)
        self.box = group("1. Scan", row(file, folder), form.native, self._words)

    def render(self, state: AssistantState) -> None:
        """Show what is known of the scan."""
        self._words.show_words(state.scan)
        show_tip(self._words.label, state.scan_in_full)


class ProposeGroup:
    """What is proposed, and how far that is.

    Parameters
    ----------
    propose
        Proposes the slice on display, or (True) every slice.
    begin
        Opens the scan for drawing.
    cancel
        Stops proposing.
    """

    def __init__(self, propose: Callable[[bool], None], begin: Act, cancel: Act) -> None:
        one = button(
            "This slice", "Propose a mask for the slice on display", lambda: propose(False)
        )
        whole = button(
            "All slices", "Propose every slice that nobody touched", lambda: propose(True)
        )
        draw = button("Draw", "Open for drawing without a proposal", begin)
        self._cancel = button("Stop", "Stop proposing", cancel)
        self._progress = QProgressBar()
        self.box = group("2. Propose", row(one, whole, draw, self._cancel), self._progress)

    def render(self, state: AssistantState) -> None:
        """Show how far it is."""
        show_progress(self._progress, state.proposing)
        self._cancel.setEnabled(state.proposing.running)


class PatchGroup:
    """The review queue."""

    def __init__(self, controller: AssistantController) -> None:
        before, after, good = (
            f"{words} ({shown_key(action)})"
            for words, action in (
                ("Previous", "previous_patch"),
                ("Next", "next_patch"),
                ("Good", "accept_patch"),
            )
        )
        self._buttons = (
            button(before, "", lambda: controller.go(-1)),
            button(after, "", lambda: controller.go(1)),
            button(good, "Accept what stands inside this patch", controller.accept_patch),
        )
        self._words = Words()
        self._maps = combo("Which map the layer of disagreement shows")
        self._maps.setObjectName("crii_maps")
        for at, kind in enumerate(MapKind):
            self._maps.addItem(kind.value, kind)
            self._maps.setItemData(at, kind.tip, Qt.ItemDataRole.ToolTipRole)
        self._maps.activated.connect(lambda at: controller.show_map(list(MapKind)[at]))
        self.box = group(
            "3. Check where it doubts",
            row(*self._buttons),
            self._words,
            Words(LEGEND),
            row(Words("Map:"), self._maps),
        )

    def render(self, state: AssistantState) -> None:
        """Show which patch is on display."""
        self._words.show_words(state.patch)
        for needs_patch in self._buttons:
            needs_patch.setEnabled(state.has_patches)


class SliceGroup:
    """The slice on display and the classes drawn on it."""

    def __init__(self, controller: AssistantController, form: TaskForm, import_mask: Act) -> None:
        self._controller = controller
        self._accept = button(
            f"Accept slice ({shown_key('accept_slice')})",
            "Everything on this slice is right: the network may learn from it",
            controller.accept_slice,
        )
        self._undo = button(f"Undo ({shown_key('undo')})", "", controller.undo)
        self.take_mask = button("Import mask...", "Take a finished mask from a file", import_mask)
        self._words = Words()
        self._classes = ClassList()
        self._editing = ClassEditing(self._classes, controller, form)
        self.box = group(
            "4. Correct and accept",
            row(self._accept, self._undo, self.take_mask),
            self._words,
            self._classes,
            Words(HOW_TO),
        )

    def render(self, state: AssistantState) -> None:
        """Show how far the slice is, and the classes of the session."""
        session = self._controller.session
        self._classes.show_classes(() if session is None else session.classes)
        self._words.show_words(state.slice)
        self._accept.setEnabled(state.has_case)
        self._undo.setEnabled(state.has_case)


class SaveGroup:
    """Saving the mask, with or without proposals that nobody has looked at."""

    def __init__(self, save: Act) -> None:
        self._form = SaveForm()
        self.save = button("Save mask...", "On the scan's own grid, read again to verify", save)
        self.box = group("6. Save", row(self.save, self._form.native))

    @property
    def include_proposals(self) -> bool:
        """Whether proposals are saved where nobody drew."""
        return self._form.value().include_proposals

    def render(self, state: AssistantState) -> None:
        """Let a mask be saved where there is one."""
        self.save.setEnabled(state.has_case)


class StatusLine:
    """The latest sentence; a problem is told in bold."""

    def __init__(self) -> None:
        self._words = Words(name="crii_status")
        self._words.label.setContentsMargins(6, 3, 6, 3)
        self.box: QWidget = self._words

    def render(self, state: AssistantState) -> None:
        """Show the sentence."""
        self._words.show_words(f"{'Problem: ' if state.is_error else ''}{state.message}")
        style = "font-weight: bold;" if state.is_error else ""
        # A style sheet that is set again is worked through again, though it says the same.
        if style != self._words.label.styleSheet():
            self._words.label.setStyleSheet(style)
