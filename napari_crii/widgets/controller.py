"""Between the session, the children and the layers: the dock's intents become acts here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_crii.errors import CriiError
from napari_crii.io import write_mask
from napari_crii.session import Case, Proposal, Session
from napari_crii.session.project import Project
from napari_crii.widgets._compat import camera_of
from napari_crii.widgets.background import Background
from napari_crii.widgets.drawing import step_history, take_drawn, why_not_acceptable
from napari_crii.widgets.drawn_slices import Strokes
from napari_crii.widgets.keymap import bind_keys, unbind_keys
from napari_crii.widgets.layer_binding import LayerBinding
from napari_crii.widgets.learning import Learning, LearningPlan
from napari_crii.widgets.looking import Looking
from napari_crii.widgets.proposing import Answers, Proposing
from napari_crii.widgets.review import Review, to_propose
from napari_crii.widgets.sentences import as_sentence, reason_of
from napari_crii.widgets.sitting import Sitting, open_case
from napari_crii.widgets.state import (
    AssistantState,
    case_in_words,
    saved_in_words,
    scan_in_words,
)
from napari_crii.widgets.task import Task
from napari_crii.widgets.upright import UprightView

ZOOM_ON_PATCH = 2.5
STAGE_MS = 15


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
        self.case: Case | None = None
        self.binding: LayerBinding | None = None
        self.learns_on_accept = True
        self.opening: Task | None = None
        self._then: Callable[[], None] = lambda: None
        self._task: Task | None = None
        self._checkpoint: Path | None = None
        self.review: Review | None = None
        self._fit_zoom = 1.0
        self._state = AssistantState()
        self._background = Background(self._on_failure, self)
        self.view = UprightView(viewer)
        answers = Answers(self._on_proposal, self._on_proposed, lambda said: self.say(said, True))
        self.proposing = Proposing(answers, self)
        self.learning = Learning(self._refresh, self._on_published, self)
        self.sitting = Sitting(self._refresh, self.say, self)
        self.looking = Looking(self)
        viewer.dims.events.current_step.connect(self._on_step)

    @property
    def session(self) -> Session | None:
        """The cases under work: of the project, or in memory."""
        return self.sitting.session

    @property
    def state(self) -> AssistantState:
        """What the dock shows."""
        return self._state

    def open(self, task: Task, then: Callable[[], None] = lambda: None) -> None:
        """Begin or resume work on a scan, then do the next thing."""
        if self._task == task and self.binding is not None:
            self.binding.restore()
            self.view.show(task.volume)
            then()
            return
        if self.opening is not None:
            if self.opening == task:
                # The layers are on their way: what was asked last comes next.
                self._then = then
            else:
                self.say("Another scan is being opened; try again in a moment.")
            return
        try:
            self.sync()
            session = self.sitting.session_for(task.classes)
        except CriiError as error:
            self.say(as_sentence(str(error)), True)
            return
        self.opening, self._then = task, then
        self.say("Opening the scan.")
        work = partial(open_case, session, task.volume)
        self._background.run(work, lambda case: self._show(case, task))

    def use_project(self, project: Project | None) -> None:
        """Work in a project, or in none; the case on display goes with what was before."""
        self._leave_case()
        self.sitting.use(project)

    def propose(self, task: Task, whole_volume: bool) -> None:
        """Propose the slice on display, or every slice nobody touched, that one first."""
        self.open(task, lambda: self._propose(whole_volume))

    def cancel_proposals(self) -> None:
        """Stop proposing; what has arrived stays."""
        self.proposing.cancel()
        self.say("Stopped proposing.")

    def go(self, step: int) -> None:
        """Show the next (+1) or previous (-1) patch."""
        if self.review is None or self.binding is None or self.case is None:
            return
        patch = self.review.step(step)
        if patch is not None:
            side = min(self.case.shape[1:])
            zoom = self._fit_zoom * min(ZOOM_ON_PATCH, max(1.0, side / 80))
            self.binding.slices.go_to(patch, zoom)
        self._show_patches()

    def accept_patch(self) -> None:
        """Confirm the current patch and show the next."""
        if not self._may_act():
            return
        patch = None if self.review is None else self.review.take_out()
        if self.case is None or patch is None:
            self.say("Go to a patch first, then accept it.")
            return
        self.case.accept_patch(patch)
        self._after_act(patch.slice)
        self.say(f"Patch on slice {patch.slice + 1} accepted.")
        self.go(1)

    def accept_slice(self) -> None:
        """Confirm the slice on display; learning starts by itself if that is wanted."""
        if self.case is None or self.binding is None or not self._may_act():
            return
        if refusal := why_not_acceptable(self.case, self.binding):
            self.say(refusal, True)
            return
        index = self.binding.slices.current
        self.case.accept_slice(index)
        self._after_act(index)
        self.say(f"Slice {index + 1} accepted.")
        if self.learns_on_accept:
            self.learn()

    def undo(self) -> None:
        """Take back the last act."""
        self._step_history(forward=False)

    def redo(self) -> None:
        """Do again what was undone."""
        self._step_history(forward=True)

    def learn(self, plan: LearningPlan | None = None) -> None:
        """Start a fine-tuning tick, unless one is at work or nothing is new."""
        session = self.sitting.learnable()
        if session is None or self.learning.running:
            return
        chosen = plan or LearningPlan(self._checkpoint)
        try:
            self.learning.start(session, chosen, self.proposing.folder)
        except CriiError as error:
            self.say(str(error), True)

    def seed(self, slices: Mapping[int, NDArray[np.integer]]) -> None:
        """Enter an expert's finished masks (H, W) of some slices; `LockedError`: none is."""
        if self.case is None or self.binding is None or not self._may_act():
            return
        self.case.seed_slices(slices)
        for index in slices:
            self.binding.show_slice(index)
        self._renew_patches()

    def save(self, path: Path, include_proposals: bool) -> None:
        """Write the mask on the scan's own grid and verify it, off the window's thread."""
        if self.case is None:
            return
        self.sync(everywhere=True)
        mask, geometry = self.case.mask(include_proposals), self.case.volume.geometry
        words = saved_in_words(self.case, path.name, include_proposals)
        self.say(f"Saving {path.name}.")
        self._background.run(lambda: write_mask(path, mask, geometry), lambda _: self.say(words))

    def sync(self, everywhere: bool = False) -> None:
        """Turn what was drawn on the layer into corrections; `everywhere`: on hidden slices too."""
        if self.case is None or self.binding is None:
            return
        taken = take_drawn(self.case, self.binding, everywhere)
        for index in taken.slices:
            self._after_act(index)
        if taken.refusal:
            self.say(as_sentence(taken.refusal), True)

    def close(self) -> None:
        """Take what was drawn, save it, end both children and let go of the viewer."""
        self._viewer.dims.events.current_step.disconnect(self._on_step)
        try:
            self._let_go()
        finally:
            # Whatever the viewer is like by now: what was done reaches the disk.
            self.sitting.close()

    def _let_go(self) -> None:
        if self.binding is not None and self.case is not None:
            take_drawn(self.case, self.binding, everywhere=True)
            self.binding.release()
            unbind_keys(self._viewer, self.binding.layers)
            self.binding = None
        for part in (self.looking, self.view, self.learning, self.proposing, self._background):
            part.close()

    def _leave_case(self) -> None:
        """Take the case off display, with all that is on its way for it."""
        self.sync(everywhere=True)
        if self.binding is not None:
            self.proposing.cancel()
            unbind_keys(self._viewer, self.binding.layers)
            self.binding.close()
        self.looking.at(None, None)
        self.binding = self.case = self.review = None
        self._refresh(scan="", slice="", patch="", has_case=False, has_patches=False)

    def _may_act(self) -> bool:
        """Take what was drawn; False, and said why, where the case may not be changed."""
        self.sync()
        refusal = "" if self.case is None else self.case.read_only
        if refusal:
            self.say(as_sentence(refusal), True)
        return not refusal

    def _show(self, case: Case, task: Task) -> None:
        """Put a case on display, let the engine know its scan and its weights, then go on."""
        if self.case is case and self.binding is not None:
            self._ready(task)
            return
        self._leave_case()
        assert self.session is not None
        self.view.show(case.volume)
        strokes = Strokes(self._begin, self.sync, self._on_lost)
        self.case = case
        self.review = Review(case)
        self.binding = LayerBinding(self._viewer, case, self.session.classes, strokes)
        self._add_layers(self.binding, task)

    def _add_layers(self, binding: LayerBinding, task: Task) -> None:
        """Add one layer per turn of the event loop: four at once would stop the window."""
        if self.binding is not binding:
            return
        if binding.add_next():
            QTimer.singleShot(STAGE_MS, lambda: self._add_layers(binding, task))
            return
        self._viewer.reset_view()
        self._fit_zoom = camera_of(self._viewer).zoom
        self._bind_keys()
        self.proposing.open_scan(binding.volume)
        self._ready(task)

    def _ready(self, task: Task) -> None:
        """Take the task's weights, and go on."""
        if self._task is None or self._task.checkpoint != task.checkpoint:
            self._checkpoint = task.checkpoint
            if task.checkpoint is not None:
                self.proposing.use_checkpoint(task.checkpoint)
        self._task = task
        self.opening = None
        assert self.case is not None
        self.sitting.note_case(self.case)
        self.say("Ready.", scan=scan_in_words(self.case), has_case=True)
        self._renew_patches()
        self._then()

    def _bind_keys(self) -> None:
        assert self.binding is not None
        names = ("accept_patch", "accept_slice", "undo", "redo")
        steps = {"next_patch": lambda: self.go(1), "previous_patch": lambda: self.go(-1)}
        actions = {name: getattr(self, name) for name in names} | steps
        bind_keys(self._viewer, self.binding.layers, actions)

    def _begin(self, index: int) -> None:
        """Make the proposal the starting point, just before the first stroke on a slice."""
        case = self.case
        if case is not None and not case.read_only and case.take(index) is not None:
            self._after_act(index)

    def _propose(self, whole_volume: bool) -> None:
        if self.case is None or self.binding is None:
            return
        if self._checkpoint is None:
            self.say("This network knows nothing yet: draw and accept a slice first.", True)
            return
        wanted = to_propose(self.case, self.binding.slices.current, whole_volume)
        if not wanted:
            self.say("A human has touched this already; proposals leave it alone.")
            return
        self.proposing.ask(self.case.volume, wanted)
        self.say("Proposing.")

    def _on_proposal(self, proposal: Proposal) -> None:
        """Show a slice's proposal, unless a human was faster."""
        if self.case is None or self.binding is None:
            return
        if self.case.publish(proposal):
            self.binding.show_slice(proposal.slice)
        self._refresh()
        if self.proposing.progress.done == 1:
            # In a turn of its own: together with the slice it would stop the window.
            QTimer.singleShot(0, self._renew_patches)

    def _on_proposed(self, seconds: float) -> None:
        self._renew_patches()
        self.say(f"Proposed in {seconds:.1f} s.")
        self.proposed.emit()

    def _on_published(self, checkpoint: Path) -> None:
        """Use new weights, keep them in the project, and refresh what nobody touched."""
        self.sitting.keep_weights(checkpoint)
        self._checkpoint = checkpoint
        self.proposing.use_checkpoint(checkpoint)
        self._propose(whole_volume=True)
        if self.learns_on_accept:
            self.learn()

    def _step_history(self, forward: bool) -> None:
        if self.case is None or self.binding is None or not self._may_act():
            return
        try:
            words = step_history(self.case, self.binding, forward)
        except CriiError as error:
            self.say(as_sentence(str(error)), True)
            return
        self._renew_patches()
        self.say(words)

    def _after_act(self, index: int) -> None:
        """Bring the layers in line after a human changed slice `index`."""
        assert self.binding is not None
        self.binding.show_slice(index)
        self._renew_patches()

    def _renew_patches(self) -> None:
        """Bring the review queue in line with the case, and show it."""
        if self.review is not None:
            self.review.refresh()
            self._show_patches()

    def _show_patches(self) -> None:
        if self.binding is not None and self.review is not None:
            self.binding.patches.show(self.review.patches, self.review.current)
            self._refresh()

    def _on_step(self, _event: object = None) -> None:
        self._refresh()

    def _on_lost(self, layer: str) -> None:
        self.say(f"Layer '{layer}' was taken away; it returns when you propose or draw again.")

    def _on_failure(self, error: BaseException) -> None:
        self.opening = None
        self.say(reason_of(error), True)

    def say(self, message: str, is_error: bool = False, **parts: object) -> None:
        """Put a sentence in the status line."""
        self._refresh(message=message, is_error=is_error, **parts)

    def _refresh(self, **parts: object) -> None:
        """Make the state anew and tell the dock, if it changed."""
        state = replace(
            self._state,
            project=self.sitting.words,
            learned=self.learning.words,
            learning=self.learning.progress,
            proposing=self.proposing.progress,
            **parts,  # type: ignore[arg-type]
        )
        if self.case is not None and self.binding is not None and self.review is not None:
            at = self.binding.slices.current
            self.looking.at(self.case, at if self.binding.slices.on_display else None)
            state = case_in_words(state, self.case, at, self.review.patches, self.review.current)
        if state != self._state:
            self._state = state
            self.changed.emit()
