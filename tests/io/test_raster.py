"""Images are taken as they are, and every loss on the way is told."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_crii.benchmark.loading import memory_over_voxels
from napari_crii.errors import ScanError
from napari_crii.io import is_scan, read_mask, read_scan
from napari_crii.io.scan import read_as_stored


@pytest.fixture
def grey(rng) -> np.ndarray:
    return rng.integers(0, 255, (13, 17)).astype(np.uint8)


def saved(path: Path, array, mode=None, **options) -> Path:
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_grey_images_keep_values_and_type(tmp_path, grey, suffix, dtype):
    array = grey.astype(dtype) * (257 if dtype == "u2" else 1)
    volume = read_scan(saved(tmp_path / f"a{suffix}", array))
    np.testing.assert_array_equal(volume.array[0], array)
    assert volume.array.dtype == dtype
    assert volume.is_image
    assert volume.remarks == ()
    assert volume.name == "a"


@pytest.mark.parametrize("dtype", ["f4", "i4", "u2", "u1"])
def test_tiff_of_other_writers_keeps_values_and_type(tmp_path, grey, dtype):
    tifffile.imwrite(tmp_path / "a.tif", grey.astype(dtype), photometric="minisblack")
    volume = read_scan(tmp_path / "a.tif")
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array[0], grey)


def test_a_jpeg_is_read_as_pillow_decodes_it(tmp_path, grey):
    path = saved(tmp_path / "a.jpg", grey)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_scan(path).array[0], np.asarray(image))


def test_true_colour_stays_colour(tmp_path, rng):
    array = rng.integers(0, 255, (13, 17, 3)).astype(np.uint8)
    volume = read_scan(saved(tmp_path / "a.png", array))
    assert volume.channels == 3
    np.testing.assert_array_equal(volume.array[0], array)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_equal_channels_become_grey_and_this_is_told(tmp_path, grey, mode):
    volume = read_scan(saved(tmp_path / "a.png", grey, mode))
    np.testing.assert_array_equal(volume.array[0], grey)
    assert any("equal colour channels" in r for r in volume.remarks)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_dropped_and_this_is_told(tmp_path, grey, mode):
    image = Image.fromarray(grey).convert(mode)
    image.putalpha(Image.fromarray(np.roll(grey, 3)))
    image.save(tmp_path / "a.png")
    volume = read_scan(tmp_path / "a.png")
    np.testing.assert_array_equal(volume.array[0], grey)
    assert any("transparency" in r for r in volume.remarks)


def palette(path: Path) -> np.ndarray:
    indices = np.arange(6, dtype=np.uint8).reshape(2, 3)
    image = Image.fromarray(indices, "L")
    image.putpalette([c for i in range(256) for c in (i * 40 % 256, 7, 99)], "RGB")
    image.save(path)
    return indices


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_a_palette_gives_colours_to_a_scan_and_indices_to_a_mask(tmp_path):
    indices = palette(tmp_path / "a.png")
    volume = read_scan(tmp_path / "a.png")
    np.testing.assert_array_equal(volume.array[0, ..., 0], indices * 40)
    assert (volume.array[0, ..., 1:] == (7, 99)).all()
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png")[0][0], indices)


def test_black_and_white_masks_are_class_1(tmp_path, grey):
    path = saved(tmp_path / "m.png", grey > 100)
    with Image.open(path) as image:
        assert image.mode == "1"
    np.testing.assert_array_equal(read_mask(path)[0][0], grey > 100)


def test_a_coloured_mask_is_refused(tmp_path, rng):
    path = saved(tmp_path / "m.png", rng.integers(0, 9, (5, 6, 3)).astype(np.uint8))
    with pytest.raises(ScanError, match="in colour"):
        read_mask(path)


def test_sixteen_bit_colours_are_told_to_be_shortened(tmp_path):
    rows = b"".join(b"\0" + struct.pack(">6H", 256, 512, 768, 1024, 1280, 1536) for _ in range(2))
    (tmp_path / "a.png").write_bytes(png(2, 2, 16, 2, rows))
    volume = read_scan(tmp_path / "a.png")
    assert volume.array[0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert any("shortened" in r for r in volume.remarks)


def png(
    width: int,
    height: int,
    bits: int,
    colour: int,
    rows: bytes,
    interlaced: bool = False,
    colours: bytes = b"",
) -> bytes:
    """Return a PNG file made by hand."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    content = chunk(b"IHDR", header) + (chunk(b"PLTE", colours) if colours else b"")
    content += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def test_an_image_bomb_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png(60000, 60000, 8, 0, b"\0" * 1000))
    with pytest.raises(ScanError, match=r"a\.png.*3600000000 pixels"):
        read_scan(tmp_path / "a.png")


def test_several_images_in_a_png_are_refused(tmp_path, grey):
    first, second = Image.fromarray(grey), Image.fromarray(grey[::-1])
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    with pytest.raises(ScanError, match="several images"):
        read_scan(tmp_path / "a.png")


@pytest.mark.parametrize("content", ["text", "jpeg", "nothing"])
def test_a_mislabelled_image_is_refused(tmp_path, grey, content):
    path = tmp_path / "a.png"
    saved(path, grey, format="JPEG")
    if content != "jpeg":
        path.write_bytes(b"" if content == "nothing" else b"plain text, no image\n" * 9)
    with pytest.raises(ScanError, match=r"a\.png"):
        read_scan(path)


@pytest.mark.parametrize("name", ["a.txt", "a.gif", "a", "a.nii.bz2"])
def test_other_kinds_are_not_claimed(tmp_path, name):
    (tmp_path / name).write_bytes(b"GIF89a" + b"x" * 300)
    assert not is_scan(tmp_path / name)
    with pytest.raises(ScanError, match=r"neither NIfTI, .* PNG, JPEG nor TIFF"):
        read_scan(tmp_path / name)


@pytest.mark.parametrize("path", ["missing.nii", "a\0b.png", "x" * 5000, "", 7, None])
def test_asking_about_a_scan_never_raises(path):
    assert is_scan(path) is False


@pytest.mark.parametrize("path", ["missing.nii", "a\0b.png", "x" * 5000 + ".png", ""])
def test_impossible_paths_are_refused_as_such(path):
    with pytest.raises(ScanError):
        read_scan(path)


def test_real_images_and_masks_are_opened_without_remarks(data_folder):
    folder = data_folder / "sunnybrook_lv"
    for path in sorted((folder / "images").glob("*.png"))[:25]:
        volume = read_scan(path)
        assert volume.remarks == ()
        labels, _ = read_mask(folder / "labels" / path.name, like=volume)
        assert set(np.unique(labels)) == {0, 1}


ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
         (1, 0, 2, 1))  # fmt: skip
GREY, COLOUR, INDEXED, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6


def scanlines(samples: np.ndarray, bits: int) -> bytes:
    """Return rows of samples (Y, X, samples), packed as PNG has them, unfiltered."""
    rows = samples.reshape(len(samples), -1)
    if bits == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:
        digits = np.unpackbits(rows.astype(np.uint8)[..., np.newaxis], axis=-1)[..., -bits:]
        packed = np.packbits(digits.reshape(len(rows), -1), axis=-1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def as_png(path: Path, samples: np.ndarray, bits: int, colour: int, interlaced: bool) -> Path:
    """Write samples (Y, X, samples) as PNG, without a library."""
    parts = [samples]
    if interlaced:
        parts = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7]
    content = b"".join(scanlines(part, bits) for part in parts if part.size)
    colours = bytes(range(256)) * 3 if colour == INDEXED else b""
    path.write_bytes(
        png(samples.shape[1], len(samples), bits, colour, content, interlaced, colours)
    )
    return path


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (300, 7)])
@pytest.mark.parametrize(
    ("bits", "colour"),
    [(bits, GREY) for bits in (1, 2, 4, 8, 16)]
    + [(bits, INDEXED) for bits in (1, 2, 4, 8)]
    + [(8, COLOUR), (8, GREY_ALPHA), (8, COLOUR_ALPHA)],
)
def test_every_kind_of_png_keeps_its_samples(tmp_path, rng, bits, colour, size, interlaced):
    count = {COLOUR: 3, GREY_ALPHA: 2, COLOUR_ALPHA: 4}.get(colour, 1)
    samples = rng.integers(0, 1 << bits, (*size, count))
    path = as_png(tmp_path / "a.png", samples, bits, colour, interlaced)
    read = read_as_stored(path).array[0]
    spread = 255 // ((1 << bits) - 1) if colour == GREY and bits < 8 else 1
    wanted = samples[..., :3] if colour in (COLOUR, COLOUR_ALPHA) else samples[..., 0] * spread
    np.testing.assert_array_equal(read, wanted)
    assert read.dtype == (np.uint16 if bits == 16 else np.uint8)
    if colour == INDEXED:
        as_colours = read_scan(path).array[0]
        np.testing.assert_array_equal(as_colours[..., 0], palette_colours()[samples[..., 0], 0])


def palette_colours() -> np.ndarray:
    return np.frombuffer(bytes(range(256)) * 3, dtype=np.uint8).reshape(256, 3)


@pytest.mark.parametrize(
    ("name", "channels"), [("a.png", 1), ("a.png", 3), ("a.jpg", 1), ("a.jpg", 3), ("a.tif", 1)]
)
def test_an_image_is_read_into_little_more_memory_than_its_pixels(tmp_path, rng, name, channels):
    few = rng.integers(0, 255, (16, 16, channels)).astype(np.uint8)
    # Large enough that what the system counts late (a few MB) does not matter.
    path = saved(tmp_path / name, np.tile(few, (320, 320, 1)).squeeze())
    assert memory_over_voxels(path) <= 1.5


def test_a_tiff_that_lies_on_its_side_is_turned_upright(tmp_path, grey):
    lying = [(274, "H", 1, 6, True)]
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="minisblack", extratags=lying)
    np.testing.assert_array_equal(read_scan(tmp_path / "a.tif").array[0], np.rot90(grey, -1))


def test_a_png_without_pixels_is_refused(tmp_path):
    whole = png(2, 2, 8, GREY, b"\0\1\2" * 2)
    begin = whole.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(whole[:begin] + whole[-12:])
    with pytest.raises(ScanError, match=r"a\.png"):
        read_scan(tmp_path / "a.png")
