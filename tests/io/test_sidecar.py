"""An image keeps its place in a file beside it, as long as the two belong together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_crii.errors import WriteError
from napari_crii.geometry import Geometry
from napari_crii.io import read_mask, read_scan, write_map, write_mask
from napari_crii.io import write as writing
from napari_crii.io.sidecar import sidecar_of


@pytest.mark.parametrize("name", ["m.png", "m.tif"])
def test_a_single_image_with_a_place_keeps_it(tmp_path, labels, oblique, name):
    write_mask(tmp_path / name, labels[:1], oblique)
    back, geometry = read_mask(tmp_path / name)
    np.testing.assert_array_equal(back, labels[:1])
    assert geometry.coincides(oblique, back.shape, 1e-9)
    assert geometry.unit == "mm"
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert set(record) == {"format", "shape", "spacing", "origin", "direction", "sha256"}


def test_a_map_keeps_its_place_too(tmp_path, oblique, rng):
    values = rng.normal(size=(1, 6, 7)).astype(np.float32)
    write_map(tmp_path / "v.tif", values, oblique)
    assert read_scan(tmp_path / "v.tif").geometry.coincides(oblique, values.shape, 1e-9)


def test_an_image_without_a_place_has_nothing_beside_it(tmp_path, labels):
    write_mask(tmp_path / "m.png", labels[:1], Geometry.pixels())
    assert [p.name for p in tmp_path.iterdir()] == ["m.png"]


def test_a_sidecar_of_another_image_is_not_believed(tmp_path, labels, oblique):
    write_mask(tmp_path / "m.png", labels[:1], oblique)
    write_mask(tmp_path / "other.png", 1 - (labels[:1] > 0), Geometry.pixels())
    (tmp_path / "other.png").replace(tmp_path / "m.png")
    volume = read_scan(tmp_path / "m.png")
    assert volume.geometry.unit == "px"
    assert any("does not describe this image" in r for r in volume.remarks)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": "napari-crii geometry 1"}', "\ud7ff"])
def test_a_damaged_sidecar_is_no_place(tmp_path, labels, content):
    write_mask(tmp_path / "m.png", labels[:1], Geometry.pixels())
    sidecar_of(tmp_path / "m.png").write_text(content, encoding="utf-8")
    assert read_scan(tmp_path / "m.png").geometry.unit == "px"


@pytest.mark.parametrize("before", [True, False])
def test_a_failure_leaves_image_and_sidecar_as_they_were(
    tmp_path, labels, oblique, monkeypatch, before
):
    path = tmp_path / "m.png"
    if before:
        write_mask(path, labels[:1], oblique)
    former = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(array, target):
        raise OSError(28, "no space")

    monkeypatch.setattr(writing, "_save_image", full)
    with pytest.raises(WriteError, match="the disk is full"):
        write_mask(path, labels[1:2], oblique.flipped(1, labels.shape))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == former
