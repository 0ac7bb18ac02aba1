"""The contact sheet: proportions, orientation, and that nothing depends on red against green."""

from __future__ import annotations

import numpy as np
import pytest

from napari_crii.classes import numbered_classes
from napari_crii.cli._contact_sheet import _view, contact_sheet
from napari_crii.cli._pictures import heat, outline
from napari_crii.geometry import Geometry
from napari_crii.scan_prediction import ScanPrediction
from napari_crii.volume import Volume


def _prediction(volume: Volume) -> ScanPrediction:
    mask = np.zeros(volume.shape, dtype=np.uint8)
    mask[:, 4:9, 4:9] = 1
    values = np.linspace(0, 1, mask.size, dtype=np.float32).reshape(mask.shape)
    return ScanPrediction(mask, values[None], values[None], values, (), 0.0, "", ())


@pytest.mark.parametrize("shape", [(1, 20, 30), (5, 20, 30), (3, 20, 30, 3)])
def test_every_scan_gives_a_sheet(shape: tuple[int, ...]) -> None:
    volume = Volume(np.arange(np.prod(shape), dtype=np.uint16).reshape(shape), Geometry.pixels())
    sheet = contact_sheet(volume, _prediction(volume), numbered_classes(["a"]), {0})
    orange = np.array([0xE6, 0x9F, 0x00])
    assert (np.asarray(sheet) == orange).all(axis=-1).any()


def test_tiles_have_the_proportions_of_the_patient() -> None:
    volume = Volume(np.zeros((4, 30, 20)), Geometry(spacing=(9.0, 1.0, 3.0)))
    assert _view(volume).size == (220, 110)


def test_the_patient_is_shown_as_readers_are_used_to() -> None:
    rows_to_front = Geometry(
        spacing=(2.0, 1.0, 1.0),
        direction=((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0)),
    )
    view = _view(Volume(np.zeros((4, 30, 20)), rows_to_front))
    assert view.flips == (0, 1)
    assert view.caption == ", A at the top, R on the left"
    standard = _view(Volume(np.zeros((4, 30, 20)), Geometry(spacing=(2.0, 1.0, 1.0))))
    assert (standard.flips, standard.caption) == ((), view.caption)


def test_oblique_scans_are_shown_as_stored(oblique: Geometry) -> None:
    assert _view(Volume(np.zeros((4, 30, 20)), oblique)).flips == ()


def test_very_long_scans_are_thinned_and_say_so() -> None:
    volume = Volume(np.zeros((500, 10, 10)), Geometry.pixels())
    sheet = contact_sheet(volume, _prediction(volume), numbered_classes(["a"]))
    assert sheet.size[0] * sheet.size[1] < 25_000_000


def test_an_outline_is_the_rim_inside() -> None:
    inside = np.zeros((7, 7), dtype=bool)
    inside[1:6, 1:6] = True
    assert outline(inside).sum() == 16


def test_the_map_grows_lighter_with_doubt() -> None:
    light = heat(np.linspace(0, 1, 50, dtype=np.float32)) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) > 0).all()
