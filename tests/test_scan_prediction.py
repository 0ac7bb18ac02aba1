"""A whole scan proposed: axis order, probabilities, patches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_crii.checkpoint import new_checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.disagreement import pairwise_doubt
from napari_crii.errors import CheckpointError
from napari_crii.geometry import Geometry
from napari_crii.inference import Predictor
from napari_crii.patches import Reason, order_patches
from napari_crii.preprocessing import Preprocessing
from napari_crii.scan_prediction import predict_scan
from napari_crii.volume import Volume
from tests.factories import noise_scan


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    checkpoint = new_checkpoint(numbered_classes(["a", "b"]), Preprocessing())
    return Predictor(checkpoint, views=2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_results_lie_in_the_order_of_the_scan(
    predictor: Predictor, rng: np.random.Generator, axis: int
) -> None:
    spacing = [1.0, 1.2, 1.4]
    spacing[axis] = 5.0
    array = rng.integers(0, 900, (4, 18, 21)).swapaxes(0, axis).astype(np.int16)
    volume = Volume(array, Geometry(spacing=(spacing[0], spacing[1], spacing[2])))
    told: list[tuple[int, int]] = []
    result = predict_scan(predictor, volume, lambda *step: told.append(step))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert result.mask.shape == result.disagreement.shape == volume.shape
    assert result.refined.shape == result.coarse.shape == (2, *volume.shape)
    alone = predictor.predict_slice(volume, 2)
    for whole, part in ((result.mask, alone.labels()), (result.refined[1], alone.refined_mean[2])):
        assert np.array_equal(np.moveaxis(whole, axis, 0)[2], part)
    assert len(result.slice_doubt) == 4
    assert result.slice_doubt[2] == pytest.approx(pairwise_doubt(alone.coarse, alone.refined))


def test_a_scan_in_which_nothing_is_seen_is_told_from_one_without_doubt() -> None:
    checkpoint = new_checkpoint(numbered_classes(["a"]), Preprocessing())
    with torch.no_grad():
        checkpoint.network.coarse_head.bias[0] = 1e3
    nothing = predict_scan(Predictor(checkpoint, views=2), noise_scan(shape=(3, 20, 20)))
    assert (nothing.slice_doubt, nothing.doubt) == ((None,) * 3, None)
    some = replace(nothing, slice_doubt=(None, 0.2, 0.4))
    assert some.doubt == pytest.approx(0.3)


def test_patches_come_in_the_order_of_work(predictor: Predictor, rng: np.random.Generator) -> None:
    volume = Volume(rng.integers(0, 900, (3, 70, 80)).astype(np.int16), Geometry())
    patches = predict_scan(predictor, volume).patches
    rims = [patch.reason is Reason.BOUNDARY for patch in patches]
    assert rims
    assert rims == sorted(rims)
    assert list(patches) == order_patches(patches)


def test_a_scan_in_colour_is_refused_before_anything_is_computed(predictor: Predictor) -> None:
    colours = Volume(np.zeros((2, 20, 20, 3), dtype=np.uint8), Geometry.pixels())
    with pytest.raises(CheckpointError, match="expects grey values"):
        predict_scan(predictor, colours)
