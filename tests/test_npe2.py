"""The plugin as npe2 and napari see it; no display is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_crii._layers import VOLUME_KEY, image_layer
from napari_crii._reader import get_reader, read_layers
from napari_crii._sample_data import make_sample_data
from napari_crii._writer import write_labels
from napari_crii.errors import CriiError, WriteError
from napari_crii.io import read_mask, read_scan, write_map
from napari_crii.volume import Volume
from tests.factories import noise_scan
from tests.io.conftest import mr_slice

pytestmark = pytest.mark.napari

MANIFEST = Path(__file__).resolve().parents[1] / "napari_crii" / "napari.yaml"


@pytest.fixture
def manifest() -> Any:
    return pytest.importorskip("npe2").PluginManifest.from_file(MANIFEST)


@pytest.fixture
def registered(npe2pm: Any) -> Any:
    with npe2pm.tmp_plugin(manifest=str(MANIFEST)):
        yield npe2pm


@pytest.fixture
def files(tmp_path: Path, scan: Volume) -> dict[str, Path]:
    """Return one scan of each kind."""
    from PIL import Image
    from pydicom.uid import generate_uid

    paths = {
        "nifti": tmp_path / "scan.nii.gz",
        "grey": tmp_path / "grey.png",
        "colour": tmp_path / "colour.png",
        "dicom": tmp_path / "series",
    }
    write_map(paths["nifti"], scan.array, scan.geometry)
    pixels = np.random.default_rng(1).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    Image.fromarray(pixels[..., 0]).save(paths["grey"])
    Image.fromarray(pixels).save(paths["colour"])
    paths["dicom"].mkdir()
    series, frame = generate_uid(), generate_uid()
    for index, slice_ in enumerate(scan.array):
        data = mr_slice(slice_, index, scan.geometry, series, frame)
        data.save_as(paths["dicom"] / f"{9 - index}.dcm", enforce_file_format=True)
    return paths


def test_the_manifest_is_valid_and_its_commands_exist(manifest: Any) -> None:
    manifest.validate_imports()
    offered = manifest.contributions
    commands = {c.id for c in offered.commands}
    used = [*offered.readers, *offered.writers, *offered.sample_data, *offered.widgets]
    assert {contribution.command for contribution in used} <= commands
    assert [w.display_name for w in offered.widgets] == ["CRII assistant"]
    assert [e.command for e in offered.menus["napari/layers/segment"]] == ["napari-crii.assistant"]


@pytest.mark.parametrize("kind", ["nifti", "dicom"])
def test_a_scan_opens_as_one_image_layer_on_its_own_grid(
    files: dict[str, Path], scan: Volume, kind: str
) -> None:
    reader = get_reader(str(files[kind]))
    assert reader is not None
    ((data, arguments, layer_type),) = reader(str(files[kind]))
    volume = arguments["metadata"][VOLUME_KEY]
    assert layer_type == "image"
    assert arguments["rgb"] is False
    assert np.allclose(arguments["scale"], scan.slice_spacing)
    assert arguments["units"] == ("mm",) * 3
    assert arguments["axis_labels"] == ("slice", "row", "column")
    assert volume.geometry.coincides(scan.geometry, scan.shape)
    assert np.array_equal(data, scan.slices())


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_a_picture_opens_in_pixels_and_says_whether_it_has_colours(
    files: dict[str, Path], kind: str
) -> None:
    ((data, arguments, _),) = read_layers([str(files[kind])])
    assert arguments["rgb"] is (kind == "colour")
    assert data.shape == ((1, 7, 9, 3) if kind == "colour" else (1, 7, 9))
    assert arguments["units"] == ("pixel",) * 3


def test_layers_stand_in_a_viewer_with_scale_and_units(
    files: dict[str, Path], registered: Any
) -> None:
    from napari.components import ViewerModel

    viewer = ViewerModel()
    for kind in ("nifti", "dicom"):
        (layer,) = viewer.open(str(files[kind]), plugin="napari-crii")
        assert np.allclose(layer.scale, layer.metadata[VOLUME_KEY].slice_spacing)
        assert [str(u) for u in layer.units] == ["millimeter"] * 3


NONSENSE: dict[str, Callable[[Path], Any]] = {
    "missing": lambda folder: str(folder / "none.nii.gz"),
    "empty folder": lambda folder: str(folder),
    "another kind": lambda folder: str(folder / "notes.txt"),
    "several": lambda folder: [str(folder / "a.nii"), str(folder / "b.nii")],
    "no path at all": lambda folder: [],
    "a list in a list": lambda folder: [[str(folder)]],
    "number": lambda folder: 7,
    "nothing": lambda folder: None,
    "bytes": lambda folder: b"scan.nii",
    "path": lambda folder: folder / "none.nii",
    "null": lambda folder: "a\0b.nii",
    "too long": lambda folder: "x" * 5000 + ".nii",
    "object": lambda folder: object(),
    "address": lambda folder: "https://example.org/scan.nii.gz",
    "empty": lambda folder: "",
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_no_scan_and_never_raises(tmp_path: Path, case: str) -> None:
    assert get_reader(NONSENSE[case](tmp_path)) is None


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(b"no scan")
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.raises(CriiError, match=r"broken\.nii\.gz") as refusal:
        reader(str(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_labels_are_written_on_the_grid_of_their_scan(tmp_path: Path, slice_axis: int) -> None:
    scan = noise_scan(slice_axis)
    labels = np.random.default_rng(3).integers(0, 4, scan.slices().shape)
    _, arguments, _ = image_layer(scan)
    path = str(tmp_path / "mask.nii.gz")
    assert write_labels(path, labels, arguments) == [path]
    back, geometry = read_mask(path, like=scan)
    assert geometry.coincides(scan.geometry, scan.shape)
    assert np.array_equal(np.moveaxis(back, slice_axis, 0), labels)


def test_the_oblique_scan_keeps_its_place(tmp_path: Path, scan: Volume, labels: np.ndarray) -> None:
    _, arguments, _ = image_layer(scan)
    path = tmp_path / "mask.nii"
    write_labels(str(path), np.moveaxis(labels, scan.slice_axis, 0), arguments)
    assert np.array_equal(read_mask(path, like=scan)[0], labels)


def test_labels_of_no_scan_are_written_with_their_scale(tmp_path: Path) -> None:
    labels = np.ones((4, 5), dtype=np.int64)
    path = tmp_path / "mask.nii.gz"
    write_labels(str(path), labels, {"scale": (0.5, -0.25)})
    back = read_scan(path)
    assert back.shape == (1, 4, 5)
    assert np.allclose(back.geometry.spacing, (1, 0.5, 0.25))


def test_labels_that_lost_the_shape_of_their_scan_keep_only_their_scale(tmp_path: Path) -> None:
    _, arguments, _ = image_layer(noise_scan(1))
    path = tmp_path / "mask.nii.gz"
    write_labels(str(path), np.ones((2, 6, 8), dtype=np.uint8), arguments)
    assert read_scan(path).shape == (2, 6, 8)


@pytest.mark.parametrize("shape", [(5,), (2, 2, 4, 5)])
def test_labels_that_are_no_volume_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(WriteError, match="not saved"):
        write_labels(str(tmp_path / "m.nii.gz"), np.ones(shape, dtype=np.uint8), {})
    assert not list(tmp_path.iterdir())


def test_napari_saves_labels_through_the_writer(
    tmp_path: Path, scan: Volume, registered: Any
) -> None:
    from napari.components import ViewerModel

    viewer = ViewerModel()
    data, arguments, _ = image_layer(scan)
    arguments = {k: v for k, v in arguments.items() if k in ("scale", "units", "metadata")}
    layer = viewer.add_labels(np.ones(data.shape, dtype=np.uint8), **arguments)
    written = layer.save(str(tmp_path / "m.nii.gz"), plugin="napari-crii")
    assert [Path(p).name for p in written] == ["m.nii.gz"]
    assert read_mask(written[0], like=scan)[0].all()


def test_sample_data_opens_in_a_viewer(registered: Any) -> None:
    from napari.components import ViewerModel

    viewer = ViewerModel()
    viewer.open_sample("napari-crii", "phantom")
    assert [la.name for la in viewer.layers] == ["phantom", "true mask"]
    image, truth = viewer.layers
    assert np.array_equal(image.scale, truth.scale)
    assert image.units == truth.units
    ((data, _, _), (mask, _, kind)) = make_sample_data()
    assert kind == "labels"
    assert data.shape == mask.shape
