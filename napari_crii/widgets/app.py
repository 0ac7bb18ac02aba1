"""The demonstration in a window: a scan on display, the assistant docked, work under way."""

from __future__ import annotations

import logging

import napari
import numpy as np
from napari.viewer import Viewer
from qtpy.QtWidgets import QApplication

from napari_crii._layers import image_layer
from napari_crii.demo import DemoTask
from napari_crii.metrics import dice
from napari_crii.session import Case, SliceStatus
from napari_crii.volume import to_slices
from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.learning import LearningPlan
from napari_crii.widgets.task import Task

SHARE_OF_SCREEN = 0.9
_log = logging.getLogger(__name__)


def run_demo(task: DemoTask) -> int:
    """Open the window, start the demonstration, and return 0 when the window is closed."""
    viewer = napari.Viewer(title="napari-crii demo")
    screen = QApplication.primaryScreen()
    if screen is not None:
        size = SHARE_OF_SCREEN * screen.availableSize()
        viewer.window.resize(size.width(), size.height())
    start_demo(viewer, task)
    napari.run()
    return 0


def start_demo(viewer: Viewer, task: DemoTask) -> CriiAssistant:
    """Show a task in a viewer: with weights it is proposed, without them it is learnt first."""
    assistant = open_assistant(viewer, task)
    controller = assistant.controller
    chosen = Task(task.volume, task.classes, task.checkpoint)
    if task.checkpoint is not None:
        controller.propose(chosen, whole_volume=True)
    else:
        controller.open(chosen, lambda: _learn_from_seeds(assistant, task))
    controller.proposed.connect(lambda: _report(controller, task))
    return assistant


def open_assistant(viewer: Viewer, task: DemoTask) -> CriiAssistant:
    """Add the scan's layer and dock the assistant."""
    volume = task.volume
    data, arguments, _ = image_layer(volume)
    viewer.add_image(data, **arguments)
    assistant = CriiAssistant(viewer)
    viewer.window.add_dock_widget(assistant, name="CRII assistant", area="right")
    viewer.dims.set_current_step(0, volume.slice_count // 2)
    assistant.enter(volume.name, task.checkpoint, task.classes)
    return assistant


def mean_dice(case: Case, task: DemoTask) -> float:
    """Return the mean Dice of the proposals of untouched slices, over classes."""
    if task.truth is None:
        raise ValueError("the task has no truth to compare with")
    truth = to_slices(task.truth, task.volume.slice_axis)
    unseen = case.slices_with(SliceStatus.UNTOUCHED)
    proposed, true = case.proposals.labels[unseen], truth[unseen]
    return float(np.mean([dice(proposed == c.id, true == c.id) for c in task.classes]))


def _learn_from_seeds(assistant: CriiAssistant, task: DemoTask) -> None:
    assistant.controller.seed(task.seeds)
    assistant.controller.learn(LearningPlan(None, task.iterations))
    assistant.controller.say(f"Learning from {len(task.seeds)} slices, about a minute.")
    assistant.show_learning()


def _report(controller: AssistantController, task: DemoTask) -> None:
    """Say how good the proposals are, where the truth is known."""
    if task.truth is None or controller.case is None:
        return
    score = mean_dice(controller.case, task)
    words = f"Dice {score:.3f} on the slices that the network never saw. {task.remark}"
    _log.warning(words)
    controller.say(words)
