"""Malformed images, files by another name, and the test files of other libraries, for F4."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
import tifffile
from PIL import Image

from tests.faults import damage, f4_nifti, nifti_standard
from tests.faults.grids import Array
from tests.faults.readers import meaning, stacked
from tests.faults.subjects import ANYWHERE, Subject, Truth

_KINDS = ("png", "jpg", "tif")
_SUFFIXES = (".nii", ".nii.gz", ".dcm", ".png", ".jpg", ".tif", ".hdr", ".img", ".xyz", "")


def _image(rng: np.random.Generator, folder: Path) -> Path:
    path = folder / f"image.{_KINDS[rng.integers(3)]}"
    shape = (int(rng.integers(8, 40)), int(rng.integers(8, 40)))
    colours = path.suffix != ".tif" and rng.random() < 0.4
    pixels = rng.integers(0, 255, (*shape, 3) if colours else shape).astype(np.uint8)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="minisblack")
    else:
        Image.fromarray(pixels).save(path)
    return path


def _second_opinion(path: Path) -> Truth:
    """Read by tifffile or SimpleITK; equal channels are grey values."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            array: Array = np.asarray(page.asarray())
            array = array * np.uint8(255) if array.dtype == bool else array
            # In the first of all photometric interpretations, zero is white.
            array = 255 - array if page.photometric == 0 else array
    else:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    if array.ndim == 3 and (array == array[..., :1]).all():
        array = array[..., 0]
    return array[np.newaxis], None


def cut_image(rng: np.random.Generator, folder: Path) -> Subject:
    path = _image(rng, folder)
    truth = _second_opinion(path)
    words = f"{path.suffix} {damage.cut(rng, path)}"
    return Subject(path, words, truths=(lambda: truth,))


def flipped_image(rng: np.random.Generator, folder: Path) -> Subject:
    path = _image(rng, folder)
    truth = _second_opinion(path)
    changed = damage.flip(rng, path, 4, lambda size: (0, min(size, 400)))
    words = f"{changed} of {path.suffix} changed"
    if path.suffix == ".jpg":
        # JPEG has no checksum, and decoders differ in what they make of wrong coefficients.
        return Subject(path, words)
    return Subject(path, words, truths=(lambda: truth, lambda: _second_opinion(path)))


def image_bomb(rng: np.random.Generator, folder: Path) -> Subject:
    """Promise an enormous image, with or without the pixels."""
    kind = ("png", "png colours", "tif", "jpg")[rng.integers(4)]
    path = folder / f"bomb.{kind[:3]}"
    if kind == "png":
        _write_png(path, 60000, 60000, 0, b"\0" * 1000)
        return Subject(path, "a PNG of 60000 x 60000", "refuse")
    if kind == "png colours":
        # Just under the limit of Pillow, and every pixel there.
        _write_png(path, 9000, 9000, 6, (b"\0" + b"\1\2\3\4" * 9000) * 9000)
        return Subject(path, "a PNG of 9000 x 9000 with transparency", "either")
    if kind == "tif":
        tifffile.imwrite(path, np.zeros((8, 8), np.uint8), photometric="minisblack")
        _patch_tiff(path, {256: 60000, 257: 60000})
        return Subject(path, "a TIFF of 60000 x 60000", "refuse")
    Image.new("L", (16, 16)).save(path)
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", 65500, 65500)
    path.write_bytes(content)
    return Subject(path, "a JPEG of 65500 x 65500", "refuse")


def mislabelled(rng: np.random.Generator, folder: Path) -> Subject:
    """Give the content of one kind the name of another, or no content that is any kind."""
    kind = ("nii", "dcm", "png", "jpg", "tif", "text", "zeros", "noise")[rng.integers(8)]
    suffix = _SUFFIXES[rng.integers(len(_SUFFIXES))]
    while suffix[1:] == kind or (kind == "dcm" and suffix in (".xyz", ".hdr", ".img", "")):
        suffix = _SUFFIXES[rng.integers(len(_SUFFIXES))]
    path = folder / f"file{suffix}"
    path.write_bytes(_content(rng, folder, kind))
    return Subject(path, f"{kind} named {path.name}", "refuse")


def special(rng: np.random.Generator, folder: Path) -> Subject:
    """Open what is no regular file, or holds nothing."""
    suffix = _SUFFIXES[rng.integers(len(_SUFFIXES))]
    path = folder / f"special{suffix}"
    kind = ("empty", "missing", "pipe", "loop", "device", "folder", "member")[rng.integers(7)]
    if kind == "empty":
        path.touch()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind in ("folder", "member"):
        path.mkdir()
        if kind == "member":
            (path / "empty.dcm").touch()
            os.mkfifo(path / "pipe.dcm")
    return Subject(path, f"{kind} named {path.name}", "refuse")


def borrowed(rng: np.random.Generator, folder: Path) -> Subject:
    """Open a test file of pydicom or nibabel where it is installed, through a link of its own."""
    files = _borrowed_files()
    source = files[rng.integers(len(files))]
    path = folder / source.name
    path.symlink_to(source)
    truth = nifti_standard.read if source.name.endswith((".nii", ".nii.gz")) else _one_slice
    return Subject(path, f"test file {source.name}", truths=(lambda: truth(path),))


def _borrowed_files() -> list[Path]:
    """Return the test files that the wheels bring, in an order that is always the same."""
    roots = [Path(str(module.__file__)).parent for module in (pydicom, nib)]
    folders = [roots[0] / "data" / "test_files", *roots[1].rglob("data")]
    found = {p for folder in folders for p in folder.rglob("*") if p.is_file()}
    return sorted(p for p in found if p.suffix not in (".py", ".pyc", ".m"))


def _one_slice(path: Path) -> Truth:
    """Read one DICOM file by pydicom; equal channels are grey values."""
    data = pydicom.dcmread(path)
    values = meaning(data)
    colours = int(data.SamplesPerPixel) == 3
    frames = values.ndim > (3 if colours else 2)
    if colours and (values == values[..., :1]).all():
        values = values[..., 0]
    if frames:
        return values, ANYWHERE
    return stacked([data], lambda _: values)


def _content(rng: np.random.Generator, folder: Path, kind: str) -> bytes:
    if kind == "text":
        return b"just some text\n" * 100
    if kind == "zeros":
        return b"\0" * 4000
    if kind == "noise":
        return rng.bytes(4000)
    if kind == "dcm":
        return Path(str(pydicom.data.get_testdata_file("MR_small.dcm"))).read_bytes()
    inside = folder / "inside"
    inside.mkdir()
    if kind == "nii":
        path, _ = f4_nifti.intact(rng, inside)
        return path.read_bytes() if path.suffix == ".nii" else b"\x1f\x8b" + path.read_bytes()[2:]
    path = inside / f"a.{kind}"
    Image.fromarray(rng.integers(0, 255, (20, 30)).astype(np.uint8)).save(path)
    return path.read_bytes()


def _write_png(path: Path, width: int, height: int, colours: int, rows: bytes) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def _patch_tiff(path: Path, values: dict[int, int]) -> None:
    """Set tags of a little-endian TIFF with one directory."""
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", content, entry)
        if tag in values:
            struct.pack_into("<HII", content, entry + 2, 4, 1, values[tag])
    path.write_bytes(content)
