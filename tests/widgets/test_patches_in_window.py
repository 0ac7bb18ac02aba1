"""Frames of the patches to check: on which pixels, in which colour, for how long."""

from __future__ import annotations

import numpy as np
import pytest
from vispy.color import Color

from napari_crii.patches import Box, Patch, Reason
from napari_crii.widgets.patches_layer import MOST_PATCHES, REASON_COLORS, frame
from tests.widgets.conftest import proposal

pytestmark = pytest.mark.gui


def test_boxes_are_told_to_the_canvas_once_with_all_that_is_known(window):
    patches = window.controller.binding.patches
    told: list[int] = []
    patches.layer.events.set_data.connect(lambda: told.append(len(patches.layer.features)))
    many = [p for index in range(6) for p in proposal(index).patches]
    for queue in (many[:2], many, many[::2], []):
        told.clear()
        patches.show(queue, queue[0] if queue else None)
        assert told == [len(queue)]
        assert {p.slice for p in queue} == set(np.nonzero(patches.layer.data)[0])
        patches.show(queue, queue[0] if queue else None)
        assert len(told) == 1


def test_a_frame_tells_its_patch_and_has_the_colour_of_its_reason(window):
    patches = window.controller.binding.patches
    boxes = [Box(0, 0, 4, 4), Box(5, 0, 9, 4), Box(10, 0, 14, 4), Box(15, 0, 19, 4)]
    reasons = [Reason.BOUNDARY, Reason.REGION, Reason.LOW_CONTRAST, Reason.BOUNDARY]
    queue = [
        Patch(2, box, n / 10, why) for n, (box, why) in enumerate(zip(boxes, reasons, strict=True))
    ]
    patches.show(queue, None)
    told = patches.layer.features.set_index("index")
    for patch in queue:
        number = int(patches.layer.data[2, patch.box.top, patch.box.left])
        assert told.loc[number, "score"] == patch.score
        assert told.loc[number, "reason"] == str(patch.reason)
        assert Color(patches.layer.get_color(number)).hex == REASON_COLORS[patch.reason]
        assert patches.layer.data[2, patch.box.top + 1, patch.box.left + 1] == 0
    assert patches.layer.data.any(axis=(1, 2)).tolist() == [False, False, True, *[False] * 3]


def test_a_queue_longer_than_there_are_numbers_shows_its_first(window):
    patches = window.controller.binding.patches
    queue = [
        Patch(index % 6, Box(2 * (index // 6), 3, 2 * (index // 6) + 2, 5), 0.5, Reason.BOUNDARY)
        for index in range(MOST_PATCHES + 6)
    ]
    patches.show(queue, queue[-1])
    assert len(patches.layer.features) == MOST_PATCHES
    assert patches.layer.data.max() == 3 * MOST_PATCHES


def test_frames_lie_on_the_pixels_of_a_patch_and_around_them_and_end_with_the_slice() -> None:
    patch = Patch(3, Box(2, 1, 6, 6), 0.5, Reason.REGION)
    for beyond, drawn in (
        (0, ["........", "........", ".#####..", ".#...#..", ".#...#..", ".#####.."]),
        (2, ["########", ".......#", ".......#", ".......#", ".......#", ".......#"]),
    ):
        shown = np.full((6, 8), ".")
        shown[frame(patch, shown.shape, 1, beyond)] = "#"
        assert ["".join(row) for row in shown] == drawn
    wide = np.zeros((6, 8), dtype=int)
    wide[frame(Patch(3, Box(0, 0, 6, 7), 0.5, Reason.REGION), wide.shape, 2)] = 1
    assert wide.sum() == 6 * 7 - 2 * 3
    assert not wide[2:4, 2:5].any()
