"""Where the hand of the window's benchmark goes."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.napari


@pytest.mark.parametrize("size", [(282, 553), (900, 700)])
@pytest.mark.parametrize("pixel", [0.4, 2.5, 7.0])
def test_each_move_passes_a_pixel_of_the_mask_and_stays_on_the_canvas(
    size: tuple[int, int], pixel: float, rng: np.random.Generator
) -> None:
    # Not where Qt is absent and this file is collected all the same.
    from napari_crii.benchmark.window.hand import line_across

    for _ in range(50):
        path = line_across(size, pixel, rng)
        moved = np.linalg.norm(np.diff(path * size, axis=0), axis=1)
        assert moved.min() > pixel
        assert len(path) > 5
        # The canvas shows at least 40 pixels of the mask here.
        assert path.min() > 0
        assert path.max() < 1


def test_lines_differ(rng: np.random.Generator) -> None:
    from napari_crii.benchmark.window.hand import line_across

    one, other = (line_across((400, 400), 2.0, rng) for _ in range(2))
    assert not np.allclose(one, other, atol=0.01)
