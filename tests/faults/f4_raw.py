"""Malformed NRRD and MetaImage files for F4: a header of text and a block of voxels."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from tests.faults import damage, readers
from tests.faults.grids import Array, random_affine, random_voxels
from tests.faults.subjects import Subject, Truth

_VALUES = (
    b"0", b"-1", b"1", b"2", b"3", b"4", b"1e38", b"nan", b"inf", b"99999999999", b"", b"abc",
    b"2147483648", b"(1,0,0) (0,1,0) (0,0,1)", b"none", b"float", b"short", b"gzip", b"True",
    b"False", b"left-posterior-superior", b"right-anterior-superior", b"1 1 1", b"3 4 5",
)  # fmt: skip
_FIELD = re.compile(rb"^([A-Za-z][A-Za-z ]*?) ?(:=|[:=]) ?([^\n]*)$", re.M)
_OUTSIDE = ("/etc/passwd", "../secret.raw", "sub/inside.raw", "link.raw", "LIST", "missing.raw")


def intact(rng: np.random.Generator, folder: Path, suffix: str = "") -> tuple[Path, Truth]:
    suffix = suffix or (".nrrd", ".mha")[rng.integers(2)]
    array = random_voxels(rng, 9)
    affine = random_affine(rng, ("straight", "oblique")[rng.integers(2)])
    path = folder / f"scan{suffix}"
    readers.write_by_simpleitk(path, array, affine)
    return path, (array, affine)


def cut(rng: np.random.Generator, folder: Path) -> Subject:
    path, _ = intact(rng, folder)
    return Subject(path, f"{path.suffix} {damage.cut(rng, path)}", "refuse")


def mutated(rng: np.random.Generator, folder: Path) -> Subject:
    """Give one field another value, drop it, or give it twice."""
    path, truth = intact(rng, folder)
    content = path.read_bytes()
    # Neither header is longer than this, and voxels may look like text.
    fields = list(_FIELD.finditer(content[: _header_length(content)]))
    field = fields[rng.integers(len(fields))]
    how = ("value", "value", "value", "dropped", "twice")[rng.integers(5)]
    value = _VALUES[rng.integers(len(_VALUES))]
    if how == "value":
        content = content[: field.start(3)] + value + content[field.end(3) :]
    elif how == "dropped":
        content = content[: field.start()] + content[field.end() + 1 :]
    else:
        content = content[: field.end() + 1] + field.group() + content[field.end() :]
    path.write_bytes(content)
    words = f"{path.suffix} {field.group(1).decode()} {how} {value.decode()}"
    return Subject(path, words, truths=(lambda: readers.by_simpleitk(path), lambda: truth))


def flipped(rng: np.random.Generator, folder: Path) -> Subject:
    path, truth = intact(rng, folder)
    words = f"{damage.flip(rng, path, 3)} of {path.suffix} changed"
    # Where the name of the space is damaged, SimpleITK reads nothing and we say what we assume.
    opinions = (lambda: readers.by_simpleitk(path), lambda: truth, lambda: _last(path, truth[0]))
    return Subject(path, words, truths=opinions)


def _last(path: Path, like: Array) -> Truth:
    """Return the last bytes of a file as voxels that lie nobody knows where."""
    voxels = np.frombuffer(path.read_bytes()[-like.nbytes :], like.dtype)
    return voxels.reshape(like.shape), None


def detached(rng: np.random.Generator, folder: Path) -> Subject:
    """Let a header name a data file outside its folder, by path or by link, or none at all."""
    (folder / "in" / "sub").mkdir(parents=True)
    suffix = (".nhdr", ".mhd")[rng.integers(2)]
    path, _ = intact(rng, folder / "in", suffix)
    (folder / "secret.raw").write_bytes(b"\0" * 10000)
    (folder / "in" / "sub" / "inside.raw").write_bytes(b"\0" * 10000)
    os.symlink(folder / "secret.raw", folder / "in" / "link.raw")
    target = _OUTSIDE[rng.integers(len(_OUTSIDE))]
    content = re.sub(rb"(data ?file ?[:=] ?)[^\n]*", rb"\1" + target.encode(), path.read_bytes())
    content = re.sub(rb"(ElementDataFile = )[^\n]*", rb"\1" + target.encode(), content)
    path.write_bytes(content)
    return Subject(path, f"{suffix} points to {target}", "refuse")


def _header_length(content: bytes) -> int:
    local = content.find(b"ElementDataFile = LOCAL\n")
    return local + 24 if local >= 0 else content.index(b"\n\n")
