from __future__ import annotations

import torch

from napari_crii.benchmark.methods import METHODS, Setting
from napari_crii.benchmark.methods.bcp import BidirectionalCopyPaste


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
