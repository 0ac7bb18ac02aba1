"""The first reader's mask, shown to a second reader who has signed the own one."""

from __future__ import annotations

from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_crii.session import Case
from napari_crii.session.project import Project
from napari_crii.session.reading import Reading
from napari_crii.widgets.case_layers import outline
from napari_crii.widgets.controller import AssistantController

FIRST = "First reading"


class FirstReading(QObject):
    """One outline above the case on display, while its second reading is signed, else none.

    Parameters
    ----------
    viewer
        Where the outline is shown.
    controller
        Who works with the project.
    """

    def __init__(
        self, viewer: ViewerModel, controller: AssistantController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._controller = controller
        self._case: Case | None = None
        self._layer: Labels | None = None

    def render(self) -> None:
        """Show the outline, or take it away."""
        project, case = self._controller.sitting.project, self._controller.case
        shown = case if project is not None and self._may_see(project, case) else None
        if shown is self._case:
            return
        self._take_away()
        self._case = shown
        if project is not None and shown is not None:
            self._fetch(project, shown)

    def _may_see(self, project: Project, case: Case | None) -> bool:
        signed = case is not None and case.notes.signature is not None
        return project.reading == 2 and signed and self._controller.state.has_case

    def _fetch(self, project: Project, case: Case) -> None:
        record = project.records.by_digest(case.volume.digest)
        assert record is not None

        def read() -> Reading:
            # The project shows it only if the signature is on the disk.
            project.wait()
            return project.restored(record, 1)

        self._controller.sitting.run(read, lambda first: self._show(case, first))

    def _show(self, case: Case, first: Reading) -> None:
        session = self._controller.session
        if case is not self._case or session is None:
            return
        layer = outline(first.human.labels, FIRST, session.classes, case.volume)
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = active
        self._layer = layer
        self._controller.say("The first reading is shown as an outline beside your own mask.")

    def _take_away(self) -> None:
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None
