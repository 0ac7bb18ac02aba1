"""Runs of the trainer from a real window: how they end, and what they leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_crii.classes import numbered_classes
from napari_crii.engine.client import TrainerClient
from napari_crii.engine.command import VARIABLE
from napari_crii.engine.messages import Closed, Failed, LearningFinished, LearningStepped, Ready
from napari_crii.session import Session
from tests.widgets.panels import accept, panel, seen

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("end", [Failed("no"), LearningFinished("refused", "", "no")])
def test_what_is_accepted_while_a_run_comes_to_nothing_is_learnt_next(window, trainer, end):
    window.pick(panel(window).mode, 0)
    accept(window, 2)
    accept(window, 3)
    trainer.last.say(end)
    window.until(lambda: len(trainer.made) == 2)
    assert len(trainer.last.snapshot.slices) == 2
    # What was in the run is not tried again without end.
    trainer.last.say(end)
    window.until(lambda: not window.controller.state.learning.running)
    assert len(trainer.made) == 2


def test_a_snapshot_is_gone_with_its_run_and_holds_what_a_human_said(window, trainer):
    accept(window, 2)
    window.click(panel(window).learn)
    assert not trainer.last.snapshot.unlabelled
    file = Path(trainer.last.requests[0].snapshot)
    file.write_bytes(b"frozen")
    trainer.last.say(LearningFinished("stopped", "", ""))
    window.until(lambda: not window.controller.state.learning.running)
    assert not file.exists()


def test_a_trainer_that_does_not_stop_is_ended(window, trainer, monkeypatch):
    monkeypatch.setattr("napari_crii.widgets.learning._STOP_MS", 50)
    accept(window, 2)
    window.click(panel(window).learn)
    window.click(panel(window).stop)
    assert seen(panel(window).box, "Stopping.")
    window.until(lambda: not window.controller.state.learning.running)
    assert trainer.last.heard == ["stop", "close"]
    assert seen(panel(window).box, "Learning was stopped. The network is as it was.")


def test_a_run_whose_trainer_vanishes_begins_anew_once(window, trainer):
    accept(window, 2)
    window.click(panel(window).learn)
    first = trainer.last
    first.say(LearningStepped(5, 10, 0.4, 0.0))
    window.click(panel(window).pause)
    first.say(Closed(-9))
    window.until(lambda: len(trainer.made) == 2)
    assert trainer.last.snapshot is first.snapshot
    assert trainer.last.requests == first.requests
    # Who paused it before has paused it still.
    assert trainer.last.heard == [True]
    trainer.last.say(Ready("cpu"))
    window.until(lambda: window.controller.state.learning.done == 0)
    window.until(lambda: seen(panel(window).box, "Learning ended unexpectedly and began anew."))
    trainer.last.say(Closed(-9))
    window.until(lambda: not window.controller.state.learning.running)
    assert seen(panel(window).box, "Learning ended unexpectedly; the network is as it was.")
    assert "ended unexpectedly" in window.controller.state.panel.problem
    assert panel(window).learn.isEnabled()
    assert len(trainer.made) == 2


def test_a_trainer_that_vanishes_while_it_stops_is_not_sent_out_again(window, trainer):
    accept(window, 2)
    window.click(panel(window).learn)
    window.click(panel(window).stop)
    trainer.last.say(Closed(-9))
    window.until(lambda: not window.controller.state.learning.running)
    assert len(trainer.made) == 1


def test_what_is_accepted_in_other_work_is_learnt_when_the_run_before_it_has_ended(window, trainer):
    network = window.controller.network
    window.pick(panel(window).mode, 0)
    accept(window, 2)
    assert len(trainer.made) == 1
    # A run of work that was left may take its time to end, and leads to nothing.
    network.learning.stop()
    network.learning._session = Session(numbered_classes(["other"]))
    accept(window, 3)
    assert len(trainer.made) == 1
    trainer.last.say(LearningFinished("stopped", "", ""))
    window.until(lambda: len(trainer.made) == 2)
    assert len(trainer.last.snapshot.slices) == 2


def test_where_no_trainer_can_be_started_the_panel_says_so(window, monkeypatch):
    monkeypatch.setenv(VARIABLE, "ssh 'host")
    monkeypatch.setattr("napari_crii.engine.trainer_run.TrainerClient", TrainerClient)
    accept(window, 2)
    window.click(panel(window).learn)
    window.until(lambda: not window.controller.state.learning.running)
    assert "is no command for the engine" in window.controller.network.view().problem
