"""Between the session, the children and the layers: the dock's intents become acts here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_crii.errors import CriiError
from napari_crii.io import write_mask
from napari_crii.session import Case, Correction, Proposal, Session, SliceStatus
from napari_crii.widgets._compat import camera_of
from napari_crii.widgets.background import Background
from napari_crii.widgets.keymap import bind_keys, unbind_keys
from napari_crii.widgets.layer_binding import LayerBinding, Strokes
from napari_crii.widgets.learning import Learning, LearningPlan
from napari_crii.widgets.proposing import Answers, Proposing
from napari_crii.widgets.review import Review, outwards
from napari_crii.widgets.state import (
    AssistantState,
    patch_in_words,
    scan_in_words,
    slice_in_words,
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
        self.session: Session | None = None
        self.case: Case | None = None
        self.binding: LayerBinding | None = None
        self.learns_on_accept = True
        self._opening: Task | None = None
        self._then: Callable[[], None] = lambda: None
        self._task: Task | None = None
        self._checkpoint: Path | None = None
        self.review: Review | None = None
        self._fit_zoom = 1.0
        self._state = AssistantState()
        self._background = Background(self._on_failure, self)
        self.view = UprightView(viewer)
        answers = Answers(self._on_proposal, self._on_proposed, self._on_refusal)
        self.proposing = Proposing(answers, self)
        self.learning = Learning(self._refresh, self._on_published, self)
        viewer.dims.events.current_step.connect(self._on_step)

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
        if self._opening is not None:
            if self._opening == task:
                # The layers are on their way: what was asked last comes next.
                self._then = then
            else:
                self.say("Another scan is being opened; try again in a moment.")
            return
        if not self._may_switch(task):
            self.say("The classes differ from those you are correcting; save and restart.", True)
            return
        self._opening, self._then = task, then
        self.say("Opening the scan.")
        if self.session is None or self.session.classes != task.classes:
            self.session = Session(task.classes)
        session = self.session

        def prepare() -> Case:
            # napari imports it for the features of the first layer, on the window's thread.
            importlib.import_module("pandas")
            _ = task.volume.intensity
            return session.open(task.volume)

        self._background.run(prepare, lambda case: self._show(case, task))

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
            self.binding.go_to(patch, zoom)
        self._show_patches()

    def accept_patch(self) -> None:
        """Confirm the current patch and show the next."""
        self.sync()
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
        if self.case is None or self.binding is None:
            return
        self.sync()
        if not self.binding.slices_on_display:
            self.say("Go back to the 2-D view of slices, then accept one.", True)
            return
        index = self.binding.current_slice
        if self.case.status(index) is SliceStatus.UNTOUCHED and not self.case.proposals.has(index):
            self.say("Nothing is proposed or drawn on this slice yet.", True)
            return
        self.case.accept_slice(index)
        self._after_act(index)
        self.say(f"Slice {index + 1} accepted.")
        if self.learns_on_accept:
            self.learn()

    def undo(self) -> None:
        """Take back the last act."""
        self._step_history(lambda case: case.undo(), "Undone", "Nothing to undo.")

    def redo(self) -> None:
        """Do again what was undone."""
        self._step_history(lambda case: case.redo(), "Done again", "Nothing to redo.")

    def learn(self, plan: LearningPlan | None = None) -> None:
        """Start a fine-tuning tick, unless one is at work or nothing is new."""
        if self.session is None or self.learning.running or not self.session.fresh_slices():
            return
        chosen = plan or LearningPlan(self._checkpoint)
        try:
            self.learning.start(self.session, chosen, self.proposing.folder)
        except CriiError as error:
            self.say(str(error), True)

    def seed(self, slices: Mapping[int, NDArray[np.integer]]) -> None:
        """Enter an expert's finished masks (H, W) of some slices."""
        if self.case is None or self.binding is None:
            return
        for index, labels in slices.items():
            self.case.seed(index, labels)
            self.binding.show_slice(index)
        self._renew_patches()

    def save(self, path: Path, include_proposals: bool) -> None:
        """Write the mask on the scan's own grid and verify it, off the window's thread."""
        if self.case is None:
            return
        self.sync()
        mask, geometry = self.case.mask(include_proposals), self.case.volume.geometry
        accepted = len(self.case.slices_with(SliceStatus.ACCEPTED))
        unseen = len(self.case.slices_with(SliceStatus.UNTOUCHED)) if include_proposals else 0
        words = f"Saved and verified {path.name}: {accepted} slices accepted by you"
        words += f", {unseen} proposed that nobody has looked at." if unseen else "."
        self.say(f"Saving {path.name}.")
        self._background.run(lambda: write_mask(path, mask, geometry), lambda _: self.say(words))

    def sync(self) -> None:
        """Turn what was drawn on the layer into corrections."""
        if self.case is None or self.binding is None:
            return
        for index, labels in self.binding.drawn_slices():
            foreign = labels >= self.case.classes
            self.case.draw(index, np.where(foreign, self.case.shown(index), labels))
            self._after_act(index)
            if foreign.any():
                self.say(f"There is no class {labels.max()}; that stroke was not taken.", True)

    def close(self) -> None:
        """End both children and let go of the viewer."""
        self._viewer.dims.events.current_step.disconnect(self._on_step)
        if self.binding is not None:
            self.binding.release()
            unbind_keys(self._viewer, self.binding.layers)
            self.binding = None
        self.view.close()
        self.learning.close()
        self.proposing.close()
        self._background.close()

    def _may_switch(self, task: Task) -> bool:
        session = self.session
        if session is None or session.classes == task.classes:
            return True
        return not any(case.corrections for case in session.cases.values())

    def _show(self, case: Case, task: Task) -> None:
        """Put a case on display, let the engine know its scan and its weights, then go on."""
        if self.case is case and self.binding is not None:
            self._ready(task)
            return
        if self.binding is not None:
            # What is still being proposed belongs to the scan before.
            self.proposing.cancel()
            unbind_keys(self._viewer, self.binding.layers)
            self.binding.close()
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
        self._opening = None
        assert self.case is not None
        self.say("Ready.", scan=scan_in_words(self.case), has_case=True)
        self._renew_patches()
        self._then()

    def _bind_keys(self) -> None:
        assert self.binding is not None
        actions = {
            "next_patch": lambda: self.go(1),
            "previous_patch": lambda: self.go(-1),
            "accept_patch": self.accept_patch,
            "accept_slice": self.accept_slice,
            "undo": self.undo,
            "redo": self.redo,
        }
        bind_keys(self._viewer, self.binding.layers, actions)

    def _begin(self, index: int) -> None:
        """Make the proposal the starting point, just before the first stroke on a slice."""
        if self.case is not None and self.case.take(index) is not None:
            self._after_act(index)

    def _propose(self, whole_volume: bool) -> None:
        if self.case is None or self.binding is None:
            return
        if self._checkpoint is None:
            self.say("This network knows nothing yet: draw and accept a slice first.", True)
            return
        current = self.binding.current_slice
        wanted = self.case.slices_with(SliceStatus.UNTOUCHED)
        wanted = outwards(wanted, current) if whole_volume else [i for i in wanted if i == current]
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

    def _on_refusal(self, sentence: str) -> None:
        self.say(sentence, True)

    def _on_published(self, checkpoint: Path) -> None:
        """Use new weights, and refresh what nobody touched."""
        self._checkpoint = checkpoint
        self.proposing.use_checkpoint(checkpoint)
        self._propose(whole_volume=True)
        if self.learns_on_accept:
            self.learn()

    def _step_history(
        self, step: Callable[[Case], Correction | None], done: str, nothing: str
    ) -> None:
        if self.case is None or self.binding is None:
            return
        self.sync()
        correction = step(self.case)
        if correction is None:
            self.say(nothing)
            return
        self.binding.turn_to(correction.slice)
        self._after_act(correction.slice)
        self.say(f"{done}: {correction.act} on slice {correction.slice + 1}.")

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
        self._opening = None
        self.say(str(error) or type(error).__name__, True)

    def say(self, message: str, is_error: bool = False, **parts: object) -> None:
        """Put a sentence in the status line."""
        self._refresh(message=message, is_error=is_error, **parts)

    def _refresh(self, **parts: object) -> None:
        """Make the state anew and tell the dock, if it changed."""
        state = replace(self._state, **parts)  # type: ignore[arg-type]
        if self.case is not None and self.binding is not None and self.review is not None:
            patches = self.review.patches
            state = replace(
                state,
                slice=slice_in_words(self.case, self.binding.current_slice),
                patch=patch_in_words(patches, self.review.current),
                has_patches=bool(patches),
                learned=self.learning.words,
                learning=self.learning.progress,
                proposing=self.proposing.progress,
            )
        if state != self._state:
            self._state = state
            self.changed.emit()
