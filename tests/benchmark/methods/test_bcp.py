from __future__ import annotations

import pytest
import torch
from scipy import ndimage
from torch import Tensor

from napari_crii.benchmark.methods import METHODS, Setting, bcp
from napari_crii.benchmark.methods.bcp import BidirectionalCopyPaste
from tests.benchmark.methods import by_hand


def test_one_half_has_a_labelled_box_and_the_other_a_labelled_frame(step_of) -> None:
    step, seen = step_of("bcp"), []
    labelled, rest = step.batch.labelled, step.batch.unlabelled
    step = type(step)(step.student, step.teacher, step.batch, 0.9)
    labelled.images.fill_(1.0)
    rest.strong.fill_(2.0)
    original = step.student.forward
    step.student.forward = lambda x: (seen.append(x), original(x))[1]
    BidirectionalCopyPaste(Setting(2))(step)
    mixed = next(x for x in reversed(seen) if x.requires_grad is False and x.unique().numel() == 2)
    box = round(32 * 2 / 3) ** 2
    assert int((mixed[0] == 1).sum()) == box
    assert int((mixed[1] == 2).sum()) == box


def test_only_labelled_crops_are_mixed_in_the_first_third(step_of) -> None:
    step = step_of("bcp", progress=0.3)
    found = METHODS["bcp"].objective(Setting(2))(step)
    torch.manual_seed(0)
    again = METHODS["copy_paste"].objective(Setting(2))(step)
    torch.manual_seed(0)
    assert torch.equal(METHODS["bcp"].objective(Setting(2))(step), again)
    assert float(found.detach()) > 0


@pytest.mark.parametrize(
    ("progress", "pool", "largest"), [(0.9, 1.0, True), (0.4, 0.25, True), (0.9, 1000.0, False)]
)
def test_the_loss_equals_its_formula(
    sure_step, monkeypatch: pytest.MonkeyPatch, progress: float, pool: float, largest: bool
) -> None:
    step = sure_step("bcp", progress)
    labelled, rest = step.batch.labelled, step.batch.unlabelled
    box = torch.zeros(32, 32, dtype=torch.bool)
    box[3:24, 7:28] = True
    monkeypatch.setattr(bcp, "random_box", lambda *_: box)
    pseudo = step.teacher(rest.weak).argmax(dim=1)
    cleaned = torch.stack([largest_parts(image) for image in pseudo])
    assert not torch.equal(cleaned, pseudo)
    assert len(cleaned.unique()) == 3
    if largest:
        pseudo = cleaned
    # The first crop has a labelled box in an unlabelled frame, the second the reverse.
    human = torch.stack([box, ~box])
    mixed = torch.where(human[:, None], labelled.images, rest.strong[0])
    logits = step.student(mixed)
    said = by_hand.cross_entropy_and_dice(logits, labelled.labels, labelled.weights * human)
    guessed = by_hand.cross_entropy_and_dice(logits, pseudo, (~human).float())
    assert min(said, guessed, abs(said - guessed)) > 0.01
    setting = Setting(3, largest_component=largest, pool_weight=pool)
    found = METHODS["bcp"].objective(setting)(step)
    expected = (said + pool * 0.5 * guessed) / 2
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


def largest_parts(labels: Tensor) -> Tensor:
    """Keep the largest part of each class but the background of one image."""
    kept = torch.zeros_like(labels)
    for k in (1, 2):
        parts, count = ndimage.label(labels.numpy() == k)
        sizes = [int((parts == i).sum()) for i in range(1, count + 1)]
        kept[torch.from_numpy(parts == 1 + sizes.index(max(sizes)))] = k
    return kept
