"""The cases of the open project in the dock: how far each has come, opened by a click."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QFont
from qtpy.QtWidgets import (
    QAbstractItemView,
    QGroupBox,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
)

from napari_crii.errors import CriiError
from napari_crii.session.progress import CaseOverview, overview
from napari_crii.session.project import Project
from napari_crii.session.records import CaseRecord
from napari_crii.session.signing import sign_off
from napari_crii.widgets import _questions
from napari_crii.widgets._builders import button, group, row, show_tip
from napari_crii.widgets.case_words import (
    CaseLine,
    line_of,
    notes_in_words,
    signed_in_words,
    signing_in_words,
)
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.first_reading import FirstReading
from napari_crii.widgets.project_opening import ProjectOpening
from napari_crii.widgets.sentences import as_sentence
from napari_crii.widgets.words import Words

_MOST_ROWS = 6
_HEAD = ("Case", "Status", "Slices done")
_SIGN = "Sign off"


class CaseList:
    """The list and its buttons; `box` goes into the dock.

    Parameters
    ----------
    controller
        Who works with the project.
    projects
        Who opens cases.
    first
        Shows the first reading to a second reader who is done.
    """

    def __init__(
        self, controller: AssistantController, projects: ProjectOpening, first: FirstReading
    ) -> None:
        self._controller = controller
        self._projects = projects
        self._first = first
        self._project: Project | None = None
        self._found: dict[str, CaseOverview] = {}
        self._asked: set[str] = set()
        self._shown: tuple[CaseLine, ...] | None = None
        self.tree = _tree()
        self.tree.itemClicked.connect(self._on_click)
        self._words = Words(name="crii_case_notes")
        self.flag = button("Flag slice...", "Mark this slice for a second look", self._on_flag)
        self.sign = button("Sign off...", "This case is done as it stands", self._on_sign)
        self.second = button("Second reading...", "", self._on_second)
        buttons = row(self.flag, self.sign, self.second)
        self.box: QGroupBox = group(
            "Cases: click on one to open it", self.tree, self._words, buttons
        )

    def render(self) -> None:
        """Bring the list in line with the project."""
        project = self._controller.sitting.project
        self.box.setVisible(project is not None)
        self._first.render()
        if project is not self._project:
            self._project, self._shown = project, None
            self._found, self._asked = {}, set()
        if project is None:
            return
        lines = tuple(self._line(project, record) for record in project.records.cases.values())
        if lines != self._shown:
            self._shown = lines
            self._fill(lines)
        self._render_buttons(project)
        self._ask(project)

    def _line(self, project: Project, record: CaseRecord) -> CaseLine:
        case = project.session.cases.get(record.digest)
        found = self._found.get(record.name) if case is None else overview(case.work)
        return line_of(record.name, found, case is not None and case is self._controller.case)

    def _fill(self, lines: Sequence[CaseLine]) -> None:
        """Show these lines; a row that is there stays, a click on it may be under way."""
        tree = self.tree
        while tree.topLevelItemCount() > len(lines):
            tree.takeTopLevelItem(tree.topLevelItemCount() - 1)
        while tree.topLevelItemCount() < len(lines):
            tree.addTopLevelItem(QTreeWidgetItem())
        for at, line in enumerate(lines):
            item = tree.topLevelItem(at)
            assert item is not None
            _dress(item, line)
            if line.here:
                tree.scrollToItem(item)
        header = tree.header()
        assert header is not None
        rows = min(max(len(lines), 1), _MOST_ROWS)
        height = header.sizeHint().height() + rows * max(tree.sizeHintForRow(0), 1)
        tree.setFixedHeight(height + 2 * tree.frameWidth() + 2)

    def _render_buttons(self, project: Project) -> None:
        case = self._controller.case
        self._words.show_words("" if case is None else notes_in_words(case.notes))
        may_act = case is not None and not case.read_only
        self.flag.setEnabled(may_act)
        self.sign.setEnabled(may_act)
        flagged = case is not None and self._slice in case.notes.flags
        self.flag.setText("Remove flag" if flagged else "Flag slice...")
        second = project.reading == 2
        self.second.setText("First reading..." if second else "Second reading...")
        show_tip(
            self.second,
            "Back to the first reading"
            if second
            else "Read again without seeing the first reading",
        )
        self.second.setEnabled(not project.read_only)

    def _ask(self, project: Project) -> None:
        """Find out about the next case that nobody opened yet, off the window's thread."""
        waiting = [
            record
            for record in project.records.cases.values()
            if record.digest not in project.session.cases and record.name not in self._asked
        ]
        if not waiting or len(self._asked) > len(self._found):
            return
        record = waiting[0]
        self._asked.add(record.name)

        def arrived(found: CaseOverview) -> None:
            if self._project is project:
                self._found[record.name] = found
                self.render()

        self._controller.sitting.run(lambda: overview(project.restored(record)), arrived)

    @property
    def _slice(self) -> int:
        binding = self._controller.binding
        return -1 if binding is None else binding.slices.current

    def _on_click(self, item: QTreeWidgetItem, _column: int) -> None:
        name = item.text(0)
        lines = self._shown or ()
        if not any(line.here and line.name == name for line in lines):
            self._projects.open_case(name)

    def _on_flag(self) -> None:
        case, index = self._controller.case, self._slice
        if case is None or index < 0:
            return
        flagged = index in case.notes.flags
        question = "What should be looked at again? (may stay empty)"
        note = "" if flagged else _questions.text(self.box, "Flag slice", question)
        if note is None:
            return
        case.flag(index, not flagged, note)
        self._controller.say(f"Slice {index + 1} {'is no longer' if flagged else 'is'} flagged.")
        self.render()

    def _on_sign(self) -> None:
        controller, project = self._controller, self._controller.sitting.project
        case = controller.case
        if case is None or project is None:
            return
        controller.sync()
        controller.looking.report()
        by = project.reader or _questions.text(self.box, _SIGN, "Who signs?") or ""
        record = project.records.by_digest(case.volume.digest)
        if not by or record is None:
            controller.say("Nothing was signed: no name was given.")
            return
        if not _questions.agrees(self.box, _SIGN, signing_in_words(record.name, case, by)):
            controller.say("Nothing was signed.")
            return
        try:
            signature = sign_off(case, by)
        except CriiError as error:
            controller.say(as_sentence(str(error)), True)
            return
        controller.say(f"{record.name}: {signed_in_words(signature)}")
        self.render()

    def _on_second(self) -> None:
        project = self._controller.sitting.project
        if project is not None:
            self._projects.read_again(1 if project.reading == 2 else 2)


def _tree() -> QTreeWidget:
    """Return the empty list: names take the room that is left, the rest is never cut off."""
    tree = QTreeWidget()
    tree.setObjectName("crii_cases")
    tree.setHeaderLabels(_HEAD)
    tree.setRootIsDecorated(False)
    tree.setUniformRowHeights(True)
    tree.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    tree.setStyleSheet("QTreeView::item { padding: 2px 6px 2px 2px; }")
    header = tree.header()
    assert header is not None
    header.setStretchLastSection(False)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column in range(1, len(_HEAD)):
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
    return tree


def _dress(item: QTreeWidgetItem, line: CaseLine) -> None:
    """Show a line in a row; that of the case on display is bold."""
    font = QFont()
    font.setBold(line.here)
    tip = f"{line.name}: {line.status}. {line.tip}".strip()
    for column, text in enumerate((line.name, line.status, line.accepted)):
        item.setText(column, text)
        item.setFont(column, font)
        item.setToolTip(column, tip)
