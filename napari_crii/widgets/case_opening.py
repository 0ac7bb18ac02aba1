"""Cases that come on display and leave it: opened off the window's thread, one at a time."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from napari.components import ViewerModel

from napari_crii.errors import CriiError
from napari_crii.session import Case, Session
from napari_crii.volume import Volume
from napari_crii.widgets.background import Background
from napari_crii.widgets.case_view import CaseView
from napari_crii.widgets.drawn_slices import Strokes
from napari_crii.widgets.keymap import bind_keys, unbind_keys
from napari_crii.widgets.maps import MapKind
from napari_crii.widgets.sentences import as_sentence
from napari_crii.widgets.sitting import Sitting
from napari_crii.widgets.task import Task
from napari_crii.widgets.upright import UprightView


@dataclass(frozen=True)
class Attendance:
    """Who attends to the case on display.

    Attributes
    ----------
    strokes
        Who hears what the user does to its layers.
    actions
        What its keys do.
    take
        Called before the case is left (True: look for strokes on every slice) or another opened.
    added
        Called with a scan whose layers have been added.
    ready
        Called with the task that can be worked on now, and the one before it.
    left
        Called when the case is off display.
    say
        Called with a sentence, and whether it is a problem.
    """

    strokes: Strokes
    actions: Mapping[str, Callable[[], None]]
    take: Callable[[bool], None]
    added: Callable[[Volume], None]
    ready: Callable[[Task, Task | None], None]
    left: Callable[[], None]
    say: Callable[..., None]


class CaseOpening:
    """Put the case of a scan on display; the one before leaves it.

    Parameters
    ----------
    viewer
        Where cases are shown.
    sitting
        Whose session opens them.
    background
        Does what takes long.
    attendance
        Who attends to them.
    """

    def __init__(
        self, viewer: ViewerModel, sitting: Sitting, background: Background, attendance: Attendance
    ) -> None:
        self._viewer = viewer
        self._sitting = sitting
        self._background = background
        self._attendance = attendance
        self._task: Task | None = None
        self._then: Callable[[], None] = lambda: None
        self._map = MapKind.EXPECTED
        self.opening: Task | None = None
        self.shown: CaseView | None = None
        self.upright = UprightView(viewer)

    def open(self, task: Task, then: Callable[[], None]) -> None:
        """Begin or resume work on a scan, then do the next thing."""
        if self._task == task and self.shown is not None:
            self.shown.binding.restore()
            self.upright.show(task.volume)
            then()
            return
        if self.opening is not None:
            if self.opening == task:
                # The layers are on their way: what was asked last comes next.
                self._then = then
            else:
                self._attendance.say("Another scan is being opened; try again in a moment.")
            return
        try:
            self._attendance.take(False)
            session = self._sitting.session_for(task.classes)
        except CriiError as error:
            self._attendance.say(as_sentence(str(error)), True)
            return
        self.opening, self._then = task, then
        self._attendance.say("Opening the scan.")
        work = partial(open_case, session, task.volume)
        self._background.run(work, lambda case: self._show(case, task))

    def show_map(self, kind: MapKind) -> None:
        """Show a map of disagreement, of this case and of those to come."""
        self._map = kind
        if self.shown is not None:
            self.shown.binding.show_map(kind)

    def failed(self) -> None:
        """Give up what is being opened."""
        self.opening = None

    def leave(self) -> None:
        """Take the case off display."""
        if self.shown is None:
            return
        self._attendance.take(True)
        shown, self.shown = self.shown, None
        unbind_keys(self._viewer, shown.binding.layers)
        shown.binding.close()
        self._attendance.left()

    def close(self) -> None:
        """Leave the layers as they are, and let go of the viewer."""
        shown, self.shown = self.shown, None
        if shown is not None:
            shown.binding.release()
            unbind_keys(self._viewer, shown.binding.layers)
        self.upright.close()

    def _show(self, case: Case, task: Task) -> None:
        """Put a case on display, unless it is there."""
        if self.shown is not None and self.shown.case is case:
            self._ready(task)
            return
        self.leave()
        session = self._sitting.session
        assert session is not None
        self.upright.show(case.volume)
        strokes = self._attendance.strokes
        self.shown = shown = CaseView(self._viewer, case, session.classes, strokes)
        shown.binding.show_map(self._map)
        shown.binding.add_in_turns(lambda: self._added(shown, task))

    def _added(self, shown: CaseView, task: Task) -> None:
        shown.fit()
        bind_keys(self._viewer, shown.binding.layers, self._attendance.actions)
        self._attendance.added(shown.case.volume)
        self._ready(task)

    def _ready(self, task: Task) -> None:
        before, self._task = self._task, task
        self.opening = None
        self._attendance.ready(task, before)
        self._then()


def open_case(session: Session, volume: Volume) -> Case:
    """Open a scan, with all that takes long about it."""
    # napari imports it for the features of the first layer, on the window's thread.
    importlib.import_module("pandas")
    _ = volume.intensity
    return session.open(volume)
