"""What a user does once, under a hand that works: propose, accept, learn, propose anew."""

from __future__ import annotations

from pathlib import Path

from napari.viewer import Viewer

from napari_crii.benchmark.window.event_loop import Gaps, after, gaps_until
from napari_crii.benchmark.window.hand import AnyHand
from napari_crii.demo import DemoTask
from napari_crii.errors import CriiError
from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.learning import LearningPlan


def story(
    viewer: Viewer, assistant: CriiAssistant, hand: AnyHand, task: DemoTask, tick: int
) -> dict[str, Gaps]:
    """Propose, accept the middle slice, learn, propose anew, all under a hand that works."""
    proposing = propose(assistant, hand)
    middle = task.volume.slice_count // 2
    gaps_until(lambda: viewer.dims.set_current_step(0, middle), after())
    learning = _learn(assistant, hand, LearningPlan(weights_of(task), tick))
    return {"proposing": proposing, "learning": learning}


def propose(assistant: CriiAssistant, hand: AnyHand) -> Gaps:
    """Press "All slices" and wait until all are there."""
    controller, arrived = assistant.controller, []
    controller.proposed.connect(lambda: arrived.append(True))

    def act() -> None:
        assistant.propose(whole_volume=True)
        hand.start()

    def done() -> bool:
        if controller.state.is_error:
            raise CriiError(f"the benchmark cannot go on: {controller.state.message}")
        return bool(arrived)

    gaps = gaps_until(act, done)
    gaps_until(hand.rest, lambda: hand.idle)
    return gaps


def _learn(assistant: CriiAssistant, hand: AnyHand, plan: LearningPlan) -> Gaps:
    """Accept the slice on display, and wait for the tick and the proposals after it."""
    controller = assistant.controller
    network = controller.network

    def act() -> None:
        controller.accept_slice()
        controller.learn(plan)
        hand.start()

    def done() -> bool:
        return not (network.learning.running or network.proposing.progress.running)

    gaps = gaps_until(act, done)
    gaps_until(hand.rest, lambda: hand.idle)
    if controller.session is None or controller.session.fresh_slices():
        said = network.learning.words or controller.state.message
        raise CriiError(f"the benchmark cannot go on, nothing was learnt: {said}")
    return gaps


def weights_of(task: DemoTask) -> Path:
    """Return the weights of a task; `CriiError`: it has none."""
    if task.checkpoint is None:
        raise CriiError("the window is measured with weights, and there are none")
    return task.checkpoint
