from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from napari_crii.errors import TrainingError, WriteError
from napari_crii.snapshot import (
    LabelledSlice,
    Snapshot,
    UnlabelledSlice,
    load_snapshot,
    save_snapshot,
)
from napari_crii.volume import IntensityStats


def labelled(rng: np.random.Generator, **changes: object) -> LabelledSlice:
    values = {
        "image": rng.integers(-900, 900, (3, 5, 7)).astype(np.int16),
        "labels": rng.integers(0, 3, (5, 7)).astype(np.uint8),
        "weights": rng.random((5, 7)).astype(np.float32),
        "stats": IntensityStats(-1.5, 800.25, 1 / 3, 17.0),
        "patient": "a",
        **changes,
    }
    return LabelledSlice(**values)  # type: ignore[arg-type]


@pytest.fixture
def snapshot(rng: np.random.Generator) -> Snapshot:
    return Snapshot(
        (
            labelled(rng, pixel_spacing=(0.7, 1.3)),
            labelled(rng, replay=True, patient="é b"),
            labelled(rng, validation=True, image=rng.random((1, 4, 9), dtype=np.float32)),
        )
    )


def same(a: LabelledSlice, b: LabelledSlice) -> bool:
    arrays = all(
        np.array_equal(getattr(a, n), getattr(b, n)) and getattr(a, n).dtype == getattr(b, n).dtype
        for n in ("image", "labels", "weights")
    )
    rest = ("stats", "pixel_spacing", "patient", "replay", "validation")
    return arrays and all(getattr(a, n) == getattr(b, n) for n in rest)


def test_a_snapshot_comes_back_as_it_was(snapshot: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    save_snapshot(path, snapshot)
    back = load_snapshot(path)
    assert len(back.slices) == 3
    assert all(same(a, b) for a, b in zip(snapshot.slices, back.slices, strict=True))
    assert [len(back.training), len(back.validation)] == [2, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]


def test_unlabelled_slices_come_back_as_they_were(
    snapshot: Snapshot, rng: np.random.Generator, tmp_path: Path
) -> None:
    stats = IntensityStats(-1.5, 800.25, 1 / 3, 17.0)
    image = rng.integers(-900, 900, (2, 5, 7)).astype(np.int16)
    more = (UnlabelledSlice(image, stats, (0.7, 1.3), "a"), UnlabelledSlice(image[:1], stats))
    save_snapshot(tmp_path / "s.npz", Snapshot(snapshot.slices, more))
    back = load_snapshot(tmp_path / "s.npz")
    assert len(back.slices) == 3
    for ours, theirs in zip(more, back.unlabelled, strict=True):
        assert np.array_equal(ours.image, theirs.image)
        rest = ("stats", "pixel_spacing", "patient")
        assert all(getattr(ours, n) == getattr(theirs, n) for n in rest)


def test_an_empty_snapshot_comes_back(tmp_path: Path) -> None:
    save_snapshot(tmp_path / "s.npz", Snapshot(()))
    assert load_snapshot(tmp_path / "s.npz").slices == ()


def test_a_flipped_byte_is_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    save_snapshot(path, snapshot)
    whole = path.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 300)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        with pytest.raises(TrainingError, match=r"s\.npz"):
            load_snapshot(path)


def test_a_truncated_file_is_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    save_snapshot(path, snapshot)
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        with pytest.raises(TrainingError, match=r"s\.npz"):
            load_snapshot(path)


def test_what_is_no_snapshot_is_refused_and_never_unpickled(tmp_path: Path) -> None:
    trap = np.empty(1, dtype=object)
    trap[0] = Trap()
    np.savez(tmp_path / "pickled.npz", header=trap, allow_pickle=True)
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "pickle").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "text").write_text("no snapshot")
    header = np.frombuffer(b'{"format": 99, "slices": []}', dtype=np.uint8)
    np.savez(tmp_path / "future.npz", header=header)
    np.savez(tmp_path / "list.npz", header=np.frombuffer(b"[]", dtype=np.uint8))
    # The same again with a digest that fits, as whoever means harm would write it.
    for path in list(tmp_path.iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).digest()
        (tmp_path / f"sealed {path.name}").write_bytes(b"CRIISNP1" + digest + content)
    for path in [*tmp_path.iterdir(), tmp_path / "missing"]:
        with pytest.raises(TrainingError, match="snapshot"):
            load_snapshot(path)


class Trap:
    """Fails the test when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("unpickled",)


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="folder does not exist"):
        save_snapshot(tmp_path / "no folder" / "s.npz", Snapshot(()))


def test_a_failed_write_keeps_the_old_file(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.npz"
    save_snapshot(path, snapshot)
    before = path.read_bytes()

    def full(stream: object, **arrays: object) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(WriteError, match="disk is full"):
        save_snapshot(path, snapshot)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]
