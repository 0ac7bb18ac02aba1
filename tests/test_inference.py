from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

from napari_crii.checkpoint import Checkpoint
from napari_crii.errors import CheckpointError, DeviceError
from napari_crii.geometry import Geometry
from napari_crii.inference import (
    Prediction,
    Predictor,
    in_tiles,
    mirrored_views,
    most_certain_pieces,
)
from napari_crii.networks import BranchLogits
from napari_crii.volume import Volume
from tests.factories import noise_scan, small_checkpoint
from tests.threads import torch_threads


class Pointwise(nn.Module):
    """Looks at single pixels: what it says moves with the image, by construction."""

    def forward(self, image: Tensor) -> BranchLogits:
        last = image[:, -1:]
        coarse = torch.cat([torch.zeros_like(last), image[:, :1]], dim=1)
        return BranchLogits(coarse, torch.cat([torch.zeros_like(last), 2 * last], dim=1))


def pointwise_predictor(views: int = 4, **recipe: object) -> Predictor:
    predictor = Predictor(small_checkpoint(**recipe), views=views)
    predictor._network = Pointwise()  # type: ignore[assignment]
    return predictor


def test_mirrored_views_are_mapped_back_onto_the_slice() -> None:
    scan = noise_scan()
    prediction = pointwise_predictor().predict_slice(scan, 1)
    for branch in (prediction.coarse, prediction.refined):
        assert branch.shape == (4, 2, 20, 26)
        assert all(np.allclose(view, branch[0], atol=1e-6) for view in branch)
    values = small_checkpoint().preprocessing.slice_input(scan, 1)[0]
    expected = 1 / (1 + np.exp(-2 * values.astype(float)))
    np.testing.assert_allclose(prediction.refined[0, 1], expected, atol=1e-5)


def test_views_see_the_slice_mirrored() -> None:
    predictor = Predictor(small_checkpoint())
    image = torch.randn(1, 6, 9)
    batch = predictor.view_batch(image)
    for seen, axes in zip(batch, ([], [1], [2], [1, 2]), strict=True):
        assert torch.equal(seen, image.flip(axes))


@pytest.mark.parametrize(
    ("axes", "views", "count"), [((0, 1), v, v) for v in (1, 2, 3, 4)] + [((1,), 4, 2), ((), 4, 1)]
)
def test_there_are_as_many_views_as_asked_for_and_allowed(
    axes: tuple[int, ...], views: int, count: int
) -> None:
    predictor = pointwise_predictor(views, mirror_axes=axes)
    assert predictor.views == mirrored_views(axes)[:count]
    prediction = predictor.predict_slice(noise_scan(), 0)
    assert len(prediction.coarse) == len(prediction.refined) == count


@pytest.mark.parametrize("views", [0, 5, -1])
def test_no_other_number_of_views_exists(views: int) -> None:
    with pytest.raises(ValueError, match="views"):
        Predictor(small_checkpoint(), views=views)


@pytest.mark.parametrize("slice_axis", [1, 2])
def test_a_scan_is_the_same_whatever_its_axis_order(slice_axis: int) -> None:
    predictor = Predictor(small_checkpoint(neighbours=1, scope="volume"))
    straight, turned = noise_scan(0), noise_scan(slice_axis)
    assert turned.slice_axis == slice_axis
    for index in range(3):
        a, b = (predictor.predict_slice(v, index) for v in (straight, turned))
        np.testing.assert_allclose(a.refined, b.refined, atol=1e-5)


def test_colours_are_three_channels() -> None:
    scan = noise_scan(rgb=True)
    prediction = Predictor(small_checkpoint(channels=3)).predict_slice(scan, 2)
    assert prediction.refined.shape == (4, 2, 20, 26)
    with pytest.raises(CheckpointError, match="expects grey values, but noise has colours"):
        Predictor(small_checkpoint()).predict_slice(scan, 0)


@pytest.mark.parametrize("neighbours", [0, 1])
def test_grey_values_are_shades_to_a_network_for_colours(neighbours: int) -> None:
    grey = noise_scan()
    shades = replace(grey, array=np.repeat(grey.array[..., None], 3, axis=-1))
    predictor = Predictor(small_checkpoint(channels=3, neighbours=neighbours))
    seen = [predictor.predict_slice(scan, 1).refined for scan in (grey, shades)]
    np.testing.assert_array_equal(*seen)


def test_neighbours_come_in_order_and_the_outermost_slice_repeats() -> None:
    scan = noise_scan()
    predictor = pointwise_predictor(1, neighbours=1, scope="volume")
    alone = pointwise_predictor(1, scope="volume")
    # The coarse output reads the first channel, the refined one the last.
    for index, (first, last) in enumerate([(0, 1), (0, 2), (1, 2)]):
        prediction = predictor.predict_slice(scan, index)
        assert np.array_equal(prediction.coarse, alone.predict_slice(scan, first).coarse)
        assert np.array_equal(prediction.refined, alone.predict_slice(scan, last).refined)


@pytest.mark.parametrize("index", [-1, 3, 99])
def test_a_slice_that_does_not_exist_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="3 slices"):
        Predictor(small_checkpoint()).predict_slice(noise_scan(), index)


@pytest.mark.parametrize(("classes", "kind"), [(2, np.uint8), (3, np.uint8), (300, np.uint16)])
def test_labels_are_the_most_probable_class_of_the_refined_branch(
    rng: np.random.Generator, classes: int, kind: type
) -> None:
    coarse, refined = rng.dirichlet(np.ones(classes), (2, 4, 7, 9)).astype(np.float32)
    prediction = Prediction(np.moveaxis(coarse, -1, 1), np.moveaxis(refined, -1, 1))
    labels = prediction.labels()
    assert labels.dtype == kind
    assert np.array_equal(labels, refined.mean(axis=0).argmax(axis=-1))


def test_a_volume_is_predicted_in_the_order_asked_for() -> None:
    predictor, scan = Predictor(small_checkpoint(), views=1), noise_scan()
    assert [i for i, _ in predictor.predict_volume(scan)] == [0, 1, 2]
    got = list(predictor.predict_volume(scan, order=[2, 0]))
    assert [i for i, _ in got] == [2, 0]
    assert np.array_equal(got[0][1].refined, predictor.predict_slice(scan, 2).refined)


def test_probabilities_add_up_to_one_on_the_scans_own_grid() -> None:
    checkpoint: Checkpoint = small_checkpoint(classes=3, pixel_mm=1.0)
    scan = noise_scan()
    prediction = Predictor(checkpoint).predict_slice(scan, 0)
    assert prediction.refined.shape == (4, 3, 20, 26)
    for branch in (prediction.coarse, prediction.refined):
        np.testing.assert_allclose(branch.sum(axis=1), 1, atol=1e-5)
    plain = replace(scan, geometry=Geometry(unit="px"))
    assert isinstance(plain, Volume)
    assert Predictor(checkpoint).predict_slice(plain, 0).refined.shape == (4, 3, 20, 26)


def test_of_several_pieces_the_one_with_the_most_certain_pixel_stays() -> None:
    p = np.zeros((3, 8, 12), np.float32)
    p[1, 1:3, 1:3] = 0.95
    p[1, 4:8, 6:12] = 0.8
    p[2, 0:2, 8:11] = 0.7
    p[0] = 0.5
    labels = p.argmax(axis=0).astype(np.uint8)
    kept = most_certain_pieces(labels, p)
    assert set(map(tuple, np.argwhere(kept == 1))) == {(r, c) for r in (1, 2) for c in (1, 2)}
    assert np.array_equal(kept == 2, labels == 2)
    assert (labels[4:, 6:] == 1).all()


def test_a_recipe_of_one_object_proposes_one_piece_and_leaves_the_probabilities() -> None:
    scan = noise_scan()
    several, one = (
        pointwise_predictor(1, one_object=single).predict_slice(scan, 1) for single in (False, True)
    )
    assert np.array_equal(several.refined, one.refined)
    assert ndimage.label(several.labels())[1] > 1
    assert ndimage.label(one.labels())[1] == 1


@pytest.mark.parametrize("side", [64, 128])
def test_tiles_give_what_one_piece_gives_where_nothing_is_normalised(side: int) -> None:
    convolution = torch.nn.Conv2d(1, 3, 33, padding=16)
    image = torch.rand(1, 1, 150, 201)

    def network(seen: torch.Tensor) -> BranchLogits:
        return BranchLogits(convolution(seen), -convolution(seen))

    with torch.inference_mode():
        whole, tiled = network(image), in_tiles(network, image, side)
    torch.testing.assert_close(tiled.coarse, whole.coarse)
    torch.testing.assert_close(tiled.refined, whole.refined)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute as many images at once as one: with several threads rounding differs."""
    with torch_threads(1):
        yield


@pytest.mark.usefixtures("one_thread")
def test_a_predictor_short_of_memory_goes_on_in_smaller_parts_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volume, checkpoint = noise_scan(shape=(2, 300, 270)), small_checkpoint()
    whole = Predictor(checkpoint).predict_slice(volume, 0)
    forward = checkpoint.network.forward

    def predicted(views: int, side: int) -> tuple[Predictor, Prediction]:
        def short(image: torch.Tensor) -> BranchLogits:
            if len(image) > views or max(image.shape[-2:]) > side:
                raise torch.OutOfMemoryError("out of memory")
            return forward(image)

        monkeypatch.setattr(checkpoint.network, "forward", short)
        predictor = Predictor(checkpoint)
        return predictor, predictor.predict_slice(volume, 0)

    predictor, found = predicted(1, 300)
    assert predictor.remark == (
        "Memory ran out; proposals are computed one view at a time from here on."
    )
    np.testing.assert_allclose(found.refined, whole.refined, atol=1e-5)
    predictor, found = predicted(1, 200)
    assert "in tiles of 128 pixels" in predictor.remark
    assert found.refined.shape == whole.refined.shape
    assert np.isfinite(found.coarse).all()
    assert predictor.predict_slice(volume, 1).refined.shape == whole.refined.shape
    with pytest.raises(DeviceError, match="even for tiles of 64 pixels"):
        predicted(1, 50)
