"""The immutable training snapshot: what the trainer may learn from, frozen at one moment.

The session writes it, the trainer (another process) reads it. One file: a word, the SHA-256 of
all that follows, and a ``.npz`` without pickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BufferedRandom, BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import TrainingError
from napari_crii.io.atomic import atomic_write
from napari_crii.volume import IntensityStats

_FORMAT = 2
# Slices that only judge, as many as a verdict on new weights needs.
MINIMUM_CHECK_SLICES = 3
_MAGIC = b"CRIISNP1"
_DIGEST_BYTES = 32


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """One slice with what a human said about it.

    Attributes
    ----------
    image
        (C, H, W), values as stored in the scan, neighbours as channels.
    labels
        (H, W) class indices.
    weights
        (H, W) float32 in [0, 1]; 0 where nobody has said.
    stats
        Intensities of the whole scan.
    pixel_spacing
        Size of a pixel, (row, column) in mm; None where the file says nothing.
    patient
        Whose slice it is; patients are never split between training and validation.
    replay
        Whether the network has learnt from it before.
    validation
        Whether it only judges, and is never learnt from.
    """

    image: NDArray[np.generic]
    labels: NDArray[np.integer]
    weights: NDArray[np.float32]
    stats: IntensityStats
    pixel_spacing: tuple[float, float] | None = None
    patient: str = ""
    replay: bool = False
    validation: bool = False


@dataclass(frozen=True, eq=False)
class UnlabelledSlice:
    """One slice of a scan under work of which no human has said anything; fields as above."""

    image: NDArray[np.generic]
    stats: IntensityStats
    pixel_spacing: tuple[float, float] | None = None
    patient: str = ""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Slices to learn from and to judge by.

    Attributes
    ----------
    slices
        Those of which a human said something.
    unlabelled
        Others, of patients that are not judged by.
    """

    slices: tuple[LabelledSlice, ...]
    unlabelled: tuple[UnlabelledSlice, ...] = ()

    @property
    def training(self) -> tuple[LabelledSlice, ...]:
        """Slices to learn from."""
        return tuple(s for s in self.slices if not s.validation)

    @property
    def validation(self) -> tuple[LabelledSlice, ...]:
        """Slices to judge by."""
        return tuple(s for s in self.slices if s.validation)


def save_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot and verify it; the file appears whole or not at all.

    Raises
    ------
    WriteError
        If it cannot be written.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    heads: list[dict[str, object]] = []
    for i, item in enumerate(snapshot.slices):
        arrays |= {f"i{i}": item.image, f"l{i}": item.labels, f"w{i}": item.weights}
        heads.append({**_head(item), "replay": item.replay, "validation": item.validation})
    arrays |= {f"u{i}": item.image for i, item in enumerate(snapshot.unlabelled)}
    others = [_head(item) for item in snapshot.unlabelled]
    header = json.dumps({"format": _FORMAT, "slices": heads, "unlabelled": others}).encode()
    arrays["header"] = np.frombuffer(header, dtype=np.uint8)

    def write(target: Path) -> None:
        with target.open("w+b") as stream:
            stream.write(_MAGIC + bytes(_DIGEST_BYTES))
            np.savez(stream, allow_pickle=False, **arrays)
            digest = _digest_of_rest(stream)
            stream.seek(len(_MAGIC))
            stream.write(digest)

    atomic_write(path, write, _verify)


def load_snapshot(path: Path) -> Snapshot:
    """Read what `save_snapshot` wrote.

    Raises
    ------
    TrainingError
        If the file is not a snapshot of a known format.
    """
    try:
        # numpy leaves a file open that it opened itself and cannot read.
        with path.open("rb") as stream:
            _require_intact(stream)
            with np.load(stream, allow_pickle=False) as arrays:
                header = json.loads(bytes(arrays["header"]))
                heads: Sequence[dict[str, object]] = header["slices"]
                slices = tuple(_read(arrays, i, head) for i, head in enumerate(heads))
                others = enumerate(header.get("unlabelled", ()))
                unlabelled = tuple(_read_unlabelled(arrays, i, head) for i, head in others)
    except MemoryError:
        raise
    # The zip and numpy readers raise a dozen kinds of error on damaged bytes.
    except Exception as error:
        raise TrainingError(f"{path.name} is not a training snapshot") from error
    if header.get("format") != _FORMAT:
        raise TrainingError(f"{path.name} is a snapshot of unknown format {header.get('format')}")
    return Snapshot(slices, unlabelled)


def _verify(path: Path) -> None:
    with path.open("rb") as stream:
        _require_intact(stream)


def _require_intact(stream: BufferedReader | BufferedRandom) -> None:
    """Raise `ValueError` if any byte changed; leaves the stream where the arrays begin."""
    head = stream.read(len(_MAGIC) + _DIGEST_BYTES)
    if head != _MAGIC + _digest_of_rest(stream):
        raise ValueError("it does not match its digest")
    stream.seek(len(head))


def _digest_of_rest(stream: BufferedReader | BufferedRandom) -> bytes:
    """Return the SHA-256 of all that follows the head."""
    stream.seek(len(_MAGIC) + _DIGEST_BYTES)
    return hashlib.file_digest(stream, "sha256").digest()


def _head(item: LabelledSlice | UnlabelledSlice) -> dict[str, object]:
    return {
        "stats": asdict(item.stats),
        "pixel_spacing": item.pixel_spacing,
        "patient": item.patient,
    }


def _read(arrays: np.lib.npyio.NpzFile, index: int, head: dict[str, object]) -> LabelledSlice:
    return LabelledSlice(
        image=arrays[f"i{index}"],
        labels=arrays[f"l{index}"],
        weights=arrays[f"w{index}"],
        stats=_stats(head),
        pixel_spacing=_spacing(head),
        patient=str(head["patient"]),
        replay=bool(head["replay"]),
        validation=bool(head["validation"]),
    )


def _read_unlabelled(
    arrays: np.lib.npyio.NpzFile, index: int, head: dict[str, object]
) -> UnlabelledSlice:
    patient = str(head["patient"])
    return UnlabelledSlice(arrays[f"u{index}"], _stats(head), _spacing(head), patient)


def _stats(head: dict[str, object]) -> IntensityStats:
    stats = head["stats"]
    if not isinstance(stats, dict):
        raise TypeError("stats")
    return IntensityStats(**stats)


def _spacing(head: dict[str, object]) -> tuple[float, float] | None:
    spacing = head["pixel_spacing"]
    if not isinstance(spacing, list | None):
        raise TypeError("pixel_spacing")
    return None if spacing is None else (spacing[0], spacing[1])
