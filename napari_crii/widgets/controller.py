"""Between the session, the children and the layers: the dock's intents become acts here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_crii.errors import CriiError
from napari_crii.io import write_mask
from napari_crii.session import Case, Session
from napari_crii.session.project import Project
from napari_crii.widgets.background import Background, before_exit, once
from napari_crii.widgets.case_opening import Attendance, CaseOpening
from napari_crii.widgets.drawing import step_history, take_drawn, why_not_acceptable
from napari_crii.widgets.drawn_slices import Strokes
from napari_crii.widgets.layer_binding import LayerBinding
from napari_crii.widgets.learning import LearningPlan
from napari_crii.widgets.looking import Looking
from napari_crii.widgets.maps import MapKind
from napari_crii.widgets.network_at_work import Audience, NetworkAtWork
from napari_crii.widgets.review import Review
from napari_crii.widgets.sentences import as_sentence, reason_of
from napari_crii.widgets.sitting import Sitting
from napari_crii.widgets.state import (
    AssistantState,
    saved_in_words,
    scan_in_full,
    scan_in_words,
)
from napari_crii.widgets.task import Task
from napari_crii.widgets.upright import UprightView

_SOON_MS = 60


class AssistantController(QObject):
    """The assistant without its dock: everything that a button or a key can ask for.

    Parameters
    ----------
    viewer
        The viewer whose layers show the case.
    """

    changed = Signal()
    proposed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._state = AssistantState()
        self._closed = False
        self._soon = once(self._refresh)
        self._soon.setInterval(_SOON_MS)
        self._background = Background(self._on_failure, self)
        self.sitting = Sitting(self._soon.start, self.say, self)
        self.looking = Looking(self)
        audience = Audience(self._refresh, self._renew_patches, self.say)
        self.network = NetworkAtWork(self.sitting, lambda: self._cases.shown, audience, self)
        self.network.proposed.connect(self.proposed)
        self._cases = CaseOpening(viewer, self.sitting, self._background, self._attendance())
        viewer.dims.events.current_step.connect(self._on_step)
        before_exit(self.close)

    @property
    def session(self) -> Session | None:
        """The cases under work: of the project, or in memory."""
        return self.sitting.session

    @property
    def case(self) -> Case | None:
        """The case on display."""
        return None if self._cases.shown is None else self._cases.shown.case

    @property
    def binding(self) -> LayerBinding | None:
        """Its layers."""
        return None if self._cases.shown is None else self._cases.shown.binding

    @property
    def review(self) -> Review | None:
        """Its review queue."""
        return None if self._cases.shown is None else self._cases.shown.review

    @property
    def opening(self) -> Task | None:
        """What is on its way to the display."""
        return self._cases.opening

    @property
    def upright(self) -> UprightView:
        """Turns the viewer for scans."""
        return self._cases.upright

    @property
    def state(self) -> AssistantState:
        """What the dock shows, or is about to."""
        if self._soon.isActive():
            self._refresh()
        return self._state

    def open(self, task: Task, then: Callable[[], None] = lambda: None) -> None:
        """Begin or resume work on a scan, then do the next thing."""
        self._cases.open(task, then)

    def use_project(self, project: Project | None) -> None:
        """Work in a project, or in none; the case on display goes with what was before."""
        self._cases.leave()
        self.sitting.use(project)
        self.network.enter(project)

    def propose(self, task: Task, whole_volume: bool) -> None:
        """Propose the slice on display, or every slice nobody touched, that one first."""
        self.open(task, lambda: self.network.propose(whole_volume))

    def show_map(self, kind: MapKind) -> None:
        """Show a map of disagreement, of this case and of those to come."""
        self._cases.show_map(kind)

    def cancel_proposals(self) -> None:
        """Stop proposing; what has arrived stays."""
        self.network.proposing.cancel()
        self.say("Stopped proposing.")

    def go(self, step: int) -> None:
        """Show the next (+1) or previous (-1) patch."""
        if self._cases.shown is not None:
            self._cases.shown.go(step)
            self._refresh()

    def accept_patch(self) -> None:
        """Confirm the current patch and show the next."""
        if not self._may_act():
            return
        shown = self._cases.shown
        patch = None if shown is None else shown.review.take_out()
        if shown is None or patch is None:
            self.say("Go to a patch first, then accept it.")
            return
        shown.case.accept_patch(patch)
        self._after_act(patch.slice)
        self.say(f"Patch on slice {patch.slice + 1} accepted.")
        self.go(1)

    def accept_slice(self) -> None:
        """Confirm the slice on display; learning starts by itself if that is wanted."""
        shown = self._cases.shown
        if shown is None or not self._may_act():
            return
        if refusal := why_not_acceptable(shown.case, shown.binding):
            self.say(refusal, True)
            return
        index = shown.current_slice
        shown.case.accept_slice(index)
        self._after_act(index)
        self.say(f"Slice {index + 1} accepted.")
        self.network.learn_by_itself()

    def undo(self) -> None:
        """Take back the last act."""
        self._step_history(forward=False)

    def redo(self) -> None:
        """Do again what was undone."""
        self._step_history(forward=True)

    def learn(self, plan: LearningPlan | None = None) -> None:
        """Start a fine-tuning tick, unless one is at work or nothing is new."""
        self.network.learn(plan)

    def seed(self, slices: Mapping[int, NDArray[np.integer]]) -> None:
        """Enter an expert's finished masks (H, W) of some slices; `LockedError`: none is."""
        shown = self._cases.shown
        if shown is None or not self._may_act():
            return
        shown.case.seed_slices(slices)
        for index in slices:
            shown.binding.show_slice(index)
        self._renew_patches()

    def save(self, path: Path, include_proposals: bool) -> None:
        """Write the mask on the scan's own grid and verify it, off the window's thread."""
        case = self.case
        if case is None:
            return
        self.sync(everywhere=True)
        mask, geometry = case.mask(include_proposals), case.volume.geometry
        words = saved_in_words(case, path.name, include_proposals)
        self.say(f"Saving {path.name}.")
        self._background.run(lambda: write_mask(path, mask, geometry), lambda _: self.say(words))

    def sync(self, everywhere: bool = False) -> None:
        """Turn what was drawn on the layer into corrections; `everywhere`: on hidden slices too."""
        shown = self._cases.shown
        if shown is None:
            return
        taken = take_drawn(shown.case, shown.binding, everywhere)
        for index in taken.stale:
            shown.binding.show_slice(index)
        # The dock follows soon: a brush does not wait for it, and what the disk says of the
        # stroke comes just in time for the same words.
        if taken.slices:
            self._soon.start()
        if taken.refusal:
            self.say(as_sentence(taken.refusal), True)

    def close(self) -> None:
        """Take what was drawn, save it, end both children and let go of the viewer.

        The ends of the dock, the application and the interpreter all ask for it; by the second
        time timers and viewer may be gone.
        """
        if self._closed:
            return
        self._closed = True
        self._viewer.dims.events.current_step.disconnect(self._on_step)
        try:
            self._let_go()
        finally:
            # Whatever the viewer is like by now: what was done reaches the disk.
            self.sitting.close()
            self._soon.stop()

    def _let_go(self) -> None:
        shown = self._cases.shown
        if shown is not None:
            take_drawn(shown.case, shown.binding, everywhere=True)
        for part in (self._cases, self.looking, self.network, self._background):
            part.close()

    def _may_act(self) -> bool:
        """Take what was drawn; False, and said why, where the case may not be changed."""
        self.sync()
        refusal = "" if self.case is None else self.case.read_only
        if refusal:
            self.say(as_sentence(refusal), True)
        return not refusal

    def _attendance(self) -> Attendance:
        """Say what the case on display is attended to with."""
        actions = {
            "next_patch": lambda: self.go(1),
            "previous_patch": lambda: self.go(-1),
            "accept_patch": self.accept_patch,
            "accept_slice": self.accept_slice,
            "undo": self.undo,
            "redo": self.redo,
        }
        return Attendance(
            strokes=Strokes(self._begin, self.sync, self._on_lost),
            actions=actions,
            take=self.sync,
            added=self.network.proposing.open_scan,
            ready=self._on_ready,
            left=self._on_left,
            say=self.say,
        )

    def _on_ready(self, task: Task, before: Task | None) -> None:
        """Take the task's weights, where others were chosen before; tell of the case."""
        chosen = before is None or before.checkpoint != task.checkpoint
        if chosen or self.network.checkpoint is None:
            self.network.use(task.checkpoint)
        assert self.case is not None
        self.sitting.note_case(self.case)
        ready = replace(self._state, message="Ready.", is_error=False, has_case=True)
        told = replace(ready, scan=scan_in_words(self.case), scan_in_full=scan_in_full(self.case))
        self._refresh(told)
        self._renew_patches()
        self.network.renew()

    def _on_left(self) -> None:
        """Stop what is on its way for a case that is no longer on display."""
        self.network.proposing.cancel()
        self.looking.at(None, None)
        empty = replace(self._state, scan="", scan_in_full="", slice="", patch="")
        self._refresh(replace(empty, has_case=False, has_patches=False))

    def _begin(self, index: int) -> None:
        """Make the proposal the starting point, just before the first stroke on a slice."""
        shown = self._cases.shown
        if shown is None or shown.case.read_only:
            return
        if shown.case.take(index) is not None:
            shown.binding.show_slice(index)
            self._soon.start()

    def _step_history(self, forward: bool) -> None:
        shown = self._cases.shown
        if shown is None or not self._may_act():
            return
        try:
            words = step_history(shown.case, shown.binding, forward)
        except CriiError as error:
            self.say(as_sentence(str(error)), True)
            return
        self._renew_patches()
        self.say(words)

    def _after_act(self, index: int) -> None:
        """Bring layers and queue in line after a human accepted on slice `index`."""
        if self._cases.shown is not None:
            self._cases.shown.show_slice(index)
            self._soon.start()

    def _renew_patches(self) -> None:
        """Bring the review queue in line with the case, and show it."""
        if self._cases.shown is not None:
            self._cases.shown.renew_patches()
            self._refresh()

    def _on_step(self, _event: object = None) -> None:
        self._refresh()

    def _on_lost(self, layer: str) -> None:
        self.say(f"Layer '{layer}' was taken away; it returns when you propose or draw again.")

    def _on_failure(self, error: BaseException) -> None:
        self._cases.failed()
        self.say(reason_of(error), True)

    def say(self, message: str, is_error: bool = False) -> None:
        """Put a sentence in the status line."""
        self._refresh(replace(self._state, message=message, is_error=is_error))

    def _refresh(self, entered: AssistantState | None = None) -> None:
        """Make the state anew, from what was entered into it, and tell the dock if it changed."""
        self._soon.stop()
        state = replace(
            self._state if entered is None else entered,
            project=self.sitting.words,
            saved=self.sitting.saved,
            learned=self.network.learning.words,
            learning=self.network.learning.progress,
            proposing=self.network.proposing.progress,
            panel=self.network.view(),
        )
        shown = self._cases.shown
        if shown is not None:
            on_display = shown.current_slice if shown.binding.slices.on_display else None
            self.looking.at(shown.case, on_display)
            state = shown.in_words(state)
        if state != self._state:
            self._state = state
            self.changed.emit()
