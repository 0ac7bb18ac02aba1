"""On a patient that the shipped weights never saw: two corrections improve the other slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_crii.demo import shipped_checkpoint
from napari_crii.io import read_mask, read_scan
from napari_crii.metrics import dice
from napari_crii.session import SliceStatus
from napari_crii.volume import to_slices
from napari_crii.widgets.learning import LearningPlan
from tests.widgets.driver import Window

CORRECTED = (2, 8)
CAVITY = 1
# A third of a tick: enough to see the direction.
STEPS = 20
MINUTES = 10

pytestmark = [pytest.mark.gui, pytest.mark.timeout(60 * (MINUTES + 2)), pytest.mark.alone]


def test_two_corrected_slices_improve_the_proposals_of_the_others(
    data_folder: Path, open_window: Any, qtbot: Any, request: pytest.FixtureRequest, capsys: Any
) -> None:
    patient = data_folder / "sunnybrook_dicom" / "SC-HF-I-01"
    scan = read_scan(patient / "ED_dicom")
    labels = to_slices(read_mask(patient / "ED_label.nii.gz", like=scan)[0], scan.slice_axis)
    truth = (labels == CAVITY).astype(np.uint8)
    window = open_window(scan)
    window.assistant.enter(scan.name, shipped_checkpoint(), shipped_classes())
    propose(window)
    others = [i for i in range(len(truth)) if truth[i].any() and i not in CORRECTED]
    before = mean_dice(window, truth, others)

    for index in CORRECTED:
        window.show(index)
        correct(window, index, truth[index])
        window.controller.accept_slice()
    accepted = window.case.human.labels[list(CORRECTED)].copy()
    assert np.array_equal(accepted, truth[list(CORRECTED)])
    proposed = []
    window.controller.proposed.connect(lambda: proposed.append(True))
    window.controller.learn(LearningPlan(shipped_checkpoint(), iterations=STEPS))
    qtbot.waitUntil(lambda: bool(proposed), timeout=MINUTES * 60_000)

    after = mean_dice(window, truth, others)
    report = request.config.pluginmanager.get_plugin("terminalreporter")
    with capsys.disabled():
        report.write_line(f"Dice of {len(others)} other slices: {before:.4f}, then {after:.4f}")
    assert after > before
    assert np.array_equal(window.case.human.labels[list(CORRECTED)], accepted)
    assert np.array_equal(window.data("Human mask")[list(CORRECTED)], accepted)
    assert window.case.slices_with(SliceStatus.ACCEPTED) == list(CORRECTED)


def shipped_classes() -> Any:
    from napari_crii.checkpoint_info import read_checkpoint_info

    return read_checkpoint_info(shipped_checkpoint()).classes


def propose(window: Window) -> None:
    proposed = []
    window.controller.proposed.connect(lambda: proposed.append(True))
    window.assistant.propose(True)
    window.until(lambda: bool(proposed))


def correct(window: Window, index: int, labels: np.ndarray) -> None:
    """Leave a slice of the human mask as an expert would: its proposal painted over."""
    layer = window.activate("Human mask", "paint")
    window.controller._begin(index)
    changed = np.nonzero(layer.data[index] != labels)
    layer.data_setitem((np.full(len(changed[0]), index), *changed), labels[changed])
    window.controller.sync()


def mean_dice(window: Window, truth: np.ndarray, slices: list[int]) -> float:
    proposals = window.case.proposals.labels
    return float(np.mean([dice(proposals[i] == CAVITY, truth[i] == CAVITY) for i in slices]))
