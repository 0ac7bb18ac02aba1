"""What proposing shows, and that nothing the user does to layers raises."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from napari_crii.engine.messages import Failed, SliceProposed
from napari_crii.geometry import Geometry
from napari_crii.session import SliceStatus
from napari_crii.volume import Volume
from tests.factories import noise_scan
from tests.widgets.conftest import proposal

pytestmark = pytest.mark.gui


@pytest.fixture
def ours():
    from tests.widgets.driver import OURS

    return OURS


def test_all_slices_are_asked_for_the_one_on_display_first(open_window, engine, ours):
    window = open_window()
    window.show(4)
    window.propose(engine.last)
    assert engine.last.asked[-1][2] == (4, 3, 5, 2, 1, 0)
    names = Counter(layer.name for layer in window.viewer.layers)
    assert names == Counter(["phantom", *ours])
    for index in range(6):
        made = proposal(index)
        assert np.array_equal(window.data("Proposal")[index], made.labels)
        assert np.array_equal(window.data("Disagreement")[index], made.score)
    assert not window.data("Human mask").any()
    features = window.viewer.layers["Patches to check"].features
    assert len(features) == 12
    assert set(features["reason"]) == {"region", "boundary"}
    assert features["score"].max() == pytest.approx(0.9)


def test_layers_of_the_case_lie_on_the_scan(window, ours):
    scan = window.viewer.layers["phantom"]
    for name in ours:
        layer = window.viewer.layers[name]
        assert np.array_equal(layer.scale, scan.scale)
        assert layer.units == scan.units
        assert layer.axis_labels == scan.axis_labels


def test_proposing_again_adds_no_layer_and_leaves_accepted_slices_out(window, engine, ours):
    window.show(2)
    window.controller.accept_slice()
    before = window.case.human.labels[2].copy()
    window.assistant.propose(True)
    window.until(lambda: len(engine.last.asked) == 2)
    engine.last.answer("second")
    window.until(lambda: window.case.proposals.checkpoint(0) == "second")
    assert 2 not in engine.last.asked[-1][2]
    assert np.array_equal(window.case.human.labels[2], before)
    assert len(window.viewer.layers) == 1 + len(ours)
    window.assistant.propose(False)
    window.until(lambda: "A human has touched this already" in window.status)


def test_stopping_keeps_what_has_arrived(open_window, engine):
    window = open_window()
    window.assistant.propose(True)
    window.until(lambda: engine.last.asked)
    engine.last.answer(count=2)
    window.until(lambda: sum(window.case.proposals.has(i) for i in range(6)) == 2)
    window.controller.cancel_proposals()
    engine.last.answer()
    window.qtbot.wait(50)
    assert engine.last.cancelled == 1
    assert sum(window.case.proposals.has(i) for i in range(6)) == 2
    assert not window.controller.state.proposing.running
    assert "Stopped" in window.status


@pytest.mark.parametrize("name", ["Human mask", "Proposal", "Disagreement", "Patches to check"])
def test_a_layer_of_ours_that_is_removed_returns_with_what_it_showed(window, engine, ours, name):
    window.show(1)
    window.controller.accept_slice()
    window.viewer.layers.remove(name)
    assert f"'{name}' was taken away" in window.status
    window.controller.go(1)
    window.controller.accept_patch()
    window.show(4)
    window.controller.accept_slice()
    window.controller.undo()
    window.begin()
    assert sorted(la.name for la in window.viewer.layers) == sorted(["phantom", *ours])
    assert np.array_equal(window.data("Human mask")[1], proposal(1).labels)
    assert window.data("Proposal")[4].any()
    window.propose(engine.last)


def test_layers_can_be_renamed_hidden_and_all_removed(window, engine, ours):
    for name in ours:
        window.viewer.layers[name].name = f"my {name}"
    window.viewer.layers["phantom"].name = "head"
    window.controller.go(1)
    window.controller.accept_slice()
    window.propose(engine.last)
    assert len(window.viewer.layers) == 1 + len(ours)
    window.viewer.layers.clear()
    window.controller.go(1)
    window.controller.accept_slice()
    window.controller.undo()
    window.assistant.propose(True)
    window.until(lambda: "Choose a scan first" in window.status)


def test_a_scan_removed_while_it_is_proposed_stays_in_work(open_window, engine):
    window = open_window()
    window.assistant.propose(True)
    window.until(lambda: engine.last.asked)
    engine.last.answer(count=2)
    window.until(lambda: sum(window.case.proposals.has(i) for i in range(6)) == 2)
    window.viewer.layers.remove("phantom")
    engine.last.answer()
    window.until(lambda: window.status.startswith("Proposed"))
    window.show(3)
    window.controller.accept_slice()
    assert window.case.status(3) is SliceStatus.ACCEPTED
    window.assistant.propose(True)
    assert "Choose a scan first" in window.status


def test_two_scans_one_after_the_other_keep_their_corrections(open_window, engine, phantom):
    other = Volume(noise_scan(0, (4, 32, 36)).array, Geometry((5.0, 0.7, 1.3)), "other")
    window = open_window(other, phantom)
    window.propose(engine.last)
    window.show(2)
    window.controller.accept_slice()
    first, accepted = window.case, window.case.human.labels[2].copy()
    window.assistant.propose(True)
    window.until(lambda: len(engine.last.asked) == 2)
    choose(window, "other")
    window.begin()
    assert window.case.volume is other
    # What was still being proposed for the first scan is not for this one.
    engine.last.answer("late")
    window.qtbot.wait(50)
    assert not any(window.case.proposals.has(i) for i in range(4))
    assert window.data("Human mask").shape == (4, 32, 36)
    choose(window, "phantom")
    window.begin()
    assert window.case is first
    assert np.array_equal(window.data("Human mask")[2], accepted)
    assert window.data("Proposal")[3].any()
    window.controller.undo()
    assert first.status(2) is SliceStatus.UNTOUCHED


def choose(window, name):
    from tests.widgets.conftest import CLASSES

    window.assistant.enter(name, window.assistant.task().checkpoint, CLASSES)


def test_other_classes_are_refused_once_something_is_corrected(window):
    window.show(2)
    window.controller.accept_slice()
    form = window.assistant.task_form
    form._classes.value = "liver, tumour"
    window.assistant.propose(True)
    window.until(lambda: "The classes differ" in window.status)


@pytest.mark.filterwarnings("ignore:Contours are not displayed:UserWarning:napari")
def test_in_3d_and_beside_larger_layers_nothing_raises(window):
    window.viewer.add_image(np.zeros((2, 20, 90, 90)), name="larger")
    window.viewer.dims.set_point(1, 2 * 3.0)
    assert window.controller.binding.slices.current == 2
    window.viewer.dims.set_current_step(1, 19)
    assert window.controller.binding.slices.current == 5
    window.controller.go(1)
    assert window.controller.binding.slices.current == window.controller.review.current.slice
    window.viewer.dims.ndisplay = 3
    window.controller.go(1)
    window.controller.accept_patch()
    window.controller.accept_slice()
    assert "2-D view" in window.status
    window.viewer.dims.ndisplay = 2
    window.controller.accept_slice()
    assert "accepted" in window.status


def test_a_colour_image_without_slices_is_proposed_and_accepted(open_window, engine):
    colour = Volume(noise_scan(rgb=True, shape=(1, 40, 50)).array, Geometry.pixels(), "slide")
    window = open_window(colour)
    window.propose(engine.last)
    window.controller.go(1)
    window.controller.accept_slice()
    assert window.case.status(0) is SliceStatus.ACCEPTED
    assert "40 x 50 pixels" in window.controller.state.scan


def test_images_of_other_readers_are_taken_as_they_are_shown(open_window, engine):
    window = open_window()
    pixels = np.random.default_rng(0).integers(0, 99, (40, 50)).astype(np.uint8)
    stack = np.stack([pixels] * 3)
    foreign = {
        "flat": window.viewer.add_image(pixels, name="flat", rgb=False),
        "thin last": window.viewer.add_image(stack, name="thin last", scale=(1, 1, 5)),
        "rgba": window.viewer.add_image(np.stack([pixels] * 4, -1), name="rgba", rgb=True),
        "thick": window.viewer.add_image(stack, name="thick", scale=(5, 1, 1)),
    }
    window.viewer.add_image(np.zeros((2, 3, 4, 5)), name="4-D")
    window.viewer.add_image([stack, stack[:, ::2, ::2]], name="pyramid", multiscale=True)
    assert window.assistant._scan_names() == ["phantom", *foreign]
    for name, layer in foreign.items():
        choose(window, name)
        window.propose(engine.last)
        shape = layer.data.shape[:2] if layer.rgb else layer.data.shape[-2:]
        assert window.data("Proposal").shape[1:] == shape, name
        window.controller.accept_slice()
        assert not window.controller.state.is_error, name
    layer.data = np.zeros((2, 8, 9))
    window.begin()
    assert window.case.shape == (2, 8, 9)


def ask(window, engine, whole):
    """Ask for proposals that nobody makes yet; return the question's number."""
    before = len(engine.last.asked)
    window.assistant.propose(whole)
    window.until(lambda: len(engine.last.asked) > before)
    return engine.last.asked[-1][0]


def test_a_question_that_fails_leaves_the_others_and_is_said_once(window, engine):
    first = ask(window, engine, whole=False)
    window.show(4)
    ask(window, engine, whole=False)
    proposing = window.controller.network.proposing
    engine.last.receive(Failed("no room", first))
    window.until(lambda: window.status == "Problem: No proposal: no room")
    assert proposing.progress.total == 1
    engine.last.answer("other")
    window.until(lambda: not proposing.progress.running)
    assert window.case.proposals.checkpoint(4) == "other"


def test_a_proposal_whose_file_is_gone_is_said(window, engine, tmp_path):
    number = ask(window, engine, whole=True)
    key = engine.last.asked[-1][1]
    files = str(tmp_path / "labels.npy"), str(tmp_path / "maps.npy")
    engine.last.receive(SliceProposed(number, key, 0, *files, (), "first"))
    window.until(lambda: window.status.startswith("Problem: No proposal: what the network found"))
    assert not window.controller.network.proposing.progress.running
    assert engine.last.cancelled
