"""Versions of the network in a real window: those of a sitting or a project, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.engine.messages import FellBack, LearningFinished
from napari_crii.errors import ProjectError
from napari_crii.session.project import Project
from tests.widgets.conftest import CLASSES, save_small
from tests.widgets.panels import accept, answer, in_use, learn, panel, seen
from tests.widgets.projects import enter, open_scan, restored

pytestmark = pytest.mark.gui


@pytest.fixture
def in_project(open_window, engine, trainer, folder, scan, weights):
    """Return a window on a case of a project, in which everything is proposed."""
    window = open_window()
    enter(window, folder)
    open_scan(window, scan)
    window.assistant.enter(scan.name.split(".")[0], weights, CLASSES)
    window.begin()
    window.propose(engine.last)
    return window


@pytest.fixture
def publish(window, engine, trainer, tmp_path):
    """Return a function that accepts a slice and lets the trainer publish weights for it."""

    def published(index: int, **facts):
        path = save_small(tmp_path / f"crii-{index}.safetensors", seed=10 + index)
        accept(window, index)
        window.click(panel(window).learn)
        trainer.last.say(LearningFinished("completed", str(path), "", **facts))
        digest = read_checkpoint_info(path).digest
        window.until(lambda: in_use(window) == digest)
        answer(window, engine, digest)
        return path

    return published


def test_what_was_rolled_back_can_be_learnt_again_and_is_not_by_itself(window, trainer, publish):
    publish(1)
    runs = len(trainer.made)
    assert not panel(window).learn.isEnabled()
    window.click(panel(window).back)
    assert seen(panel(window).box, "Learn now learns from all corrected slices again.")
    window.pick(panel(window).mode, 0)
    assert len(trainer.made) == runs
    window.click(panel(window).learn)
    assert len(trainer.made) == runs + 1
    assert len(trainer.last.snapshot.training) == 1


def test_rolling_back_proposes_anew_and_leaves_what_a_human_drew(window, engine, weights, publish):
    second = publish(1, before=0.8, after=0.9, check_slices=3)
    third = publish(2)
    assert engine.last.checkpoints == [weights, second, third]
    accepted, third_digest = window.data("Human mask").copy(), in_use(window)
    window.show(3)
    window.activate("Human mask", "paint").selected_label = 1
    window.stroke((30, 10), (30, 20))
    drawn = window.data("Human mask").copy()
    assert (drawn != accepted).any()
    window.click(panel(window).back)
    assert engine.last.checkpoints[-1] == second
    assert sorted(engine.last.asked[-1][2]) == [0, 4, 5]
    answer(window, engine, "again")
    proposals = window.case.proposals
    assert {proposals.checkpoint(i) for i in (0, 4, 5)} == {"again"}
    assert proposals.checkpoint(3) == third_digest
    assert np.array_equal(window.data("Human mask"), drawn)
    assert np.array_equal(window.case.human.labels, drawn)
    window.click(panel(window).back)
    window.until(lambda: in_use(window) == read_checkpoint_info(weights).digest)
    assert not panel(window).back.isEnabled()
    answer(window, engine, "first")
    assert np.array_equal(window.case.human.labels, drawn)


def test_while_it_learns_again_the_panel_still_says_what_the_last_update_led_to(window, publish):
    publish(1, before=0.87, after=0.9, check_slices=3)
    better = "The last update made proposals better: Dice 0.87 -> 0.90 on your 3 check slices."
    accept(window, 2)
    window.click(panel(window).learn)
    assert seen(panel(window).box, f"Learning from 2 corrected slices, starting. {better}")
    window.click(panel(window).back)
    assert not seen(panel(window).box, better)


def test_of_another_network_nothing_is_said_that_an_earlier_one_led_to(window, weights, publish):
    publish(1, before=0.87, after=0.9, check_slices=3)
    accept(window, 2)
    window.controller.network.use(weights)
    window.click(panel(window).learn)
    assert seen(panel(window).box, "Learning from 2 corrected slices, starting.")
    assert not seen(panel(window).box, "The last update")


def test_a_network_that_first_learns_renews_nothing(window, engine):
    asked, network = len(engine.last.asked), window.controller.network
    network.renew()
    assert len(engine.last.asked) == asked + 1
    network.use(None)
    network.renew()
    assert len(engine.last.asked) == asked + 1


def test_the_list_of_versions_marks_the_one_in_use_and_takes_another(
    window, engine, weights, publish
):
    publish(1, before=0.8, after=0.9, check_slices=3)
    window.click(panel(window).more)
    listed = panel(window).details.weights
    texts = [listed.itemText(i) for i in range(listed.count())]
    assert texts[0] == "At the start, small"
    assert texts[1].endswith(", from 1 slice, Dice 0.90 (in use)")
    window.pick(listed, 0)
    assert engine.last.checkpoints[-1] == weights
    assert listed.currentText() == "At the start, small (in use)"
    answer(window, engine, "start")
    asked = len(engine.last.asked)
    window.pick(listed, 0)
    assert len(engine.last.asked) == asked


def test_what_is_learnt_from_weights_that_are_given_up_is_discarded(
    window, engine, trainer, weights, publish
):
    publish(1)
    accept(window, 2)
    window.click(panel(window).learn)
    window.click(panel(window).back)
    assert trainer.last.heard == ["stop"]
    trainer.last.say(LearningFinished("stopped", "", ""))
    window.until(lambda: not window.controller.state.learning.running)
    assert engine.last.checkpoints[-1] == weights
    # The slice was not learnt: the next run takes it, from the weights that are in use now.
    window.click(panel(window).learn)
    assert trainer.last.requests[0].checkpoint == str(weights)


def test_weights_that_are_published_in_the_moment_of_rolling_back_are_not_used(
    window, engine, trainer, weights, publish, tmp_path
):
    publish(1)
    accept(window, 2)
    window.click(panel(window).learn)
    late = save_small(tmp_path / "late.safetensors", seed=99)
    window.controller.network.roll_back()
    trainer.last.say(LearningFinished("completed", str(late), ""))
    window.until(lambda: not window.controller.state.learning.running)
    assert engine.last.checkpoints[-1] == weights
    assert seen(panel(window).box, "Learning was stopped. The network is as it was.")
    assert panel(window).learn.isEnabled()


def test_a_project_goes_on_with_the_weights_that_were_gone_back_to(
    in_project, open_window, engine, trainer, folder, tmp_path
):
    window = in_project
    paths = [save_small(tmp_path / f"crii-{i}.safetensors", seed=20 + i) for i in range(2)]
    first, second = (read_checkpoint_info(path).digest for path in paths)
    for index, path in enumerate(paths):
        accept(window, index)
        learn(window, trainer)
        trainer.last.say(LearningFinished("completed", str(path), "", check_slices=1))
        window.until(lambda path=path: in_use(window) == read_checkpoint_info(path).digest)
        answer(window, engine, f"{index}")
    window.click(panel(window).back)
    window.until(lambda: in_use(window) == first)
    window.end()

    again = open_window()
    enter(again, folder)
    restored(again)
    again.until(lambda: in_use(again) == first)
    known = again.controller.network.weights.list
    assert [one.digest for one in known.entries] == [first, second]
    assert all(str(one.path).startswith(str(folder)) for one in known.entries)
    assert engine.last.checkpoints[-1] == known.entries[0].path


def test_what_is_learnt_when_another_network_is_taken_is_discarded(
    window, engine, trainer, weights, tmp_path
):
    accept(window, 2)
    window.click(panel(window).learn)
    other = save_small(tmp_path / "other.safetensors", seed=5)
    window.controller.network.use(other)
    assert trainer.last.heard == ["stop"]
    late = save_small(tmp_path / "late.safetensors", seed=99)
    trainer.last.say(LearningFinished("completed", str(late), ""))
    window.until(lambda: not window.controller.state.learning.running)
    assert engine.last.checkpoints[-1] == other
    # The same once more changes nothing.
    window.click(panel(window).learn)
    window.controller.network.use(other)
    assert trainer.last.heard == []


def test_what_is_learnt_in_one_project_never_comes_into_the_next(
    in_project, trainer, folder, tmp_path
):
    Project.create(tmp_path / "next", "next", CLASSES)
    window = in_project
    accept(window, 1)
    learn(window, trainer)
    late = save_small(tmp_path / "late.safetensors", seed=9)
    with Project.open(tmp_path / "next", "ana") as project:
        project.set("reader", "ana")
    enter(window, tmp_path / "next")
    assert trainer.last.heard == ["stop"]
    trainer.last.say(LearningFinished("completed", str(late), ""))
    window.until(lambda: not window.controller.state.learning.running)
    window.end()
    for one in (folder, tmp_path / "next"):
        with Project.open(one, read_only=True) as project:
            assert not [w for w in project.weights.all if w.slices]


def test_weights_that_end_the_engine_again_and_again_are_told_and_no_longer_in_use(
    window, engine, weights, publish
):
    deadly = publish(1)
    window.show(4)
    window.controller.network.propose(whole_volume=True)
    engine.last.receive(FellBack(deadly.name, str(weights)))
    sentence = f"Problem: {deadly.name} ended the network's process twice: "
    window.until(lambda: window.status.startswith(sentence))
    window.until(lambda: in_use(window) == read_checkpoint_info(weights).digest)
    assert window.controller.network.checkpoint == weights
    # What was asked for goes on.
    answer(window, engine, "earlier")
    assert window.case.proposals.checkpoint(4) == "earlier"


def test_weights_that_could_not_be_kept_taught_nothing(in_project, trainer, tmp_path, monkeypatch):
    window = in_project
    accept(window, 1)
    learn(window, trainer)

    def full(*_):
        raise ProjectError("no room on the disk")

    monkeypatch.setattr("napari_crii.widgets.sitting._keep_weights", full)
    path = save_small(tmp_path / "new.safetensors", seed=7)
    trainer.last.say(LearningFinished("completed", str(path), ""))
    window.until(lambda: "No room on the disk" in window.status)
    assert window.case.notes.learned == set()
    assert panel(window).learn.isEnabled()


def test_weights_that_are_kept_when_other_work_is_open_already_mark_nothing(
    in_project, trainer, tmp_path, monkeypatch
):
    window = in_project
    accept(window, 1)
    learn(window, trainer)
    told = []
    sitting = window.controller.sitting
    path = save_small(tmp_path / "new.safetensors", seed=7)
    with monkeypatch.context() as patched:
        patched.setattr(sitting, "keep_weights", lambda one, done: told.append(done))
        trainer.last.say(LearningFinished("completed", str(path), ""))
        window.until(lambda: told)
    case, made = window.case, len(trainer.made)
    window.controller.use_project(None)
    told[0](True)
    assert case.notes.learned == set()
    assert len(trainer.made) == made
