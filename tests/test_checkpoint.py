from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_tensors

from napari_crii.checkpoint import (
    Checkpoint,
    load_checkpoint,
    new_checkpoint,
    save_checkpoint,
    transferred,
)
from napari_crii.checkpoint_info import (
    CARD_KEY,
    CheckpointInfo,
    compute_digest,
    read_checkpoint_info,
)
from napari_crii.classes import LabelClass, numbered_classes
from napari_crii.errors import CheckpointError, WriteError
from napari_crii.preprocessing import Preprocessing
from tests.factories import small_checkpoint, small_network


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Checkpoint]:
    checkpoint = small_checkpoint(classes=3, neighbours=1, scope="volume", mirror_axes=(1,))
    checkpoint = replace(checkpoint, low_contrast=0.75)
    path = tmp_path / "a.safetensors"
    return path, save_checkpoint(path, checkpoint)


def forge(tensors: dict[str, torch.Tensor], info: CheckpointInfo, **changes: Any) -> bytes:
    """Return a file whose digest agrees, with a card of anyone's making."""
    info = replace(info, digest="", **changes)
    info = replace(info, digest=compute_digest(save_tensors(tensors), info))
    return save_tensors(tensors, {CARD_KEY: info.to_json()})


def test_a_checkpoint_comes_back_to_the_bit(saved: tuple[Path, Checkpoint]) -> None:
    path, checkpoint = saved
    back = load_checkpoint(path)
    ours, theirs = checkpoint.network.state_dict(), back.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)
    assert back.network.config == checkpoint.network.config
    for part in ("classes", "preprocessing", "low_contrast", "provenance", "digest"):
        assert getattr(back, part) == getattr(checkpoint, part)
    assert not back.network.training
    assert all(p.requires_grad for p in back.network.parameters())


def test_half_precision_keeps_the_weights_within_its_rounding(tmp_path: Path) -> None:
    checkpoint = small_checkpoint()
    save_checkpoint(tmp_path / "half", checkpoint, half=True)
    save_checkpoint(tmp_path / "full", checkpoint)
    ours = checkpoint.network.state_dict()
    theirs = load_checkpoint(tmp_path / "half").network.state_dict()
    assert all(t.dtype is torch.float32 for t in theirs.values())
    for name in ours:
        torch.testing.assert_close(theirs[name], ours[name], rtol=1e-3, atol=1e-6)
    sizes = [(tmp_path / name).stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.8 * sizes[1]


def test_the_digest_is_that_of_the_contents(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path / "1", small_checkpoint())
    again = save_checkpoint(tmp_path / "2", load_checkpoint(tmp_path / "1"))
    assert first.digest == again.digest
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    others = (
        small_checkpoint(seed=1),
        replace(small_checkpoint(), low_contrast=0.5),
        replace(small_checkpoint(), classes=(LabelClass(1, "another"),)),
        small_checkpoint(scope="volume"),
    )
    digests = {save_checkpoint(tmp_path / "3", other).digest for other in others}
    assert len(digests | {first.digest}) == 5


def test_any_flipped_byte_is_refused(saved: tuple[Path, Checkpoint]) -> None:
    path, _ = saved
    whole = path.read_bytes()
    header = int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(0)
    positions = {*range(8), *rng.integers(8, 8 + header, 60), *rng.integers(8, len(whole), 40)}
    positions |= {8 + header - 1, 8 + header, len(whole) - 1}
    for position in sorted(int(p) for p in positions):
        for flip in (0x01, 0x20, 0x80, 0x29):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            for read in (read_checkpoint_info, load_checkpoint):
                with pytest.raises(CheckpointError, match=r"a\.safetensors"):
                    read(path)


def test_truncated_and_extended_files_are_refused(saved: tuple[Path, Checkpoint]) -> None:
    path, _ = saved
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole[:100], whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


class Trap:
    """Fails the test when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("unpickled",)


def test_foreign_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "foreign").write_bytes(save_tensors({"a": torch.zeros(3)}))
    (tmp_path / "other card").write_bytes(save_tensors({"a": torch.zeros(3)}, {CARD_KEY: '"x"'}))
    (tmp_path / "pickle").write_bytes(pickle.dumps(Trap()))
    torch.save({"a": torch.zeros(3), "trap": Trap()}, tmp_path / "torch")
    (tmp_path / "text").write_text("no weights at all")
    (tmp_path / "empty").write_bytes(b"")
    nested = b"[" * 50_000
    (tmp_path / "nested").write_bytes(len(nested).to_bytes(8, "little") + nested)
    (tmp_path / "folder").mkdir()
    for path in [*tmp_path.iterdir(), tmp_path / "missing", tmp_path / "nul\0"]:
        for read in (read_checkpoint_info, load_checkpoint):
            with pytest.raises(CheckpointError) as refusal:
                read(path)
            assert path.name in str(refusal.value) or "null" in str(refusal.value)
            assert "\n" not in str(refusal.value)


def test_a_card_that_does_not_fit_its_weights_is_refused(tmp_path: Path) -> None:
    checkpoint = small_checkpoint()
    tensors, info = checkpoint.network.state_dict(), checkpoint.info()
    network, recipe = dict(info.network), dict(info.preprocessing)
    path = tmp_path / "forged.safetensors"
    path.write_bytes(forge(tensors, info))
    load_checkpoint(path)
    lies: list[dict[str, Any]] = [
        {"network": {**network, "classes": 3}},
        {"network": {**network, "widths": [4, 4, 8, 8, 16]}},
        {"network": {**network, "widths": [10**6] * 5}},
        {"network": {**network, "widths": "abcde"}},
        {"network": {**network, "unknown": 1}},
        {"preprocessing": {**recipe, "channels": 3}},
        {"preprocessing": {**recipe, "scope": "nothing"}},
        {"preprocessing": {**recipe, "mirror_axes": [0, 0]}},
        {"preprocessing": {**recipe, "mirror_axes": 5}},
        {"classes": numbered_classes(["a", "b"])},
        {"classes": (LabelClass(2, "a"),)},
    ]
    for lie in lies:
        path.write_bytes(forge(tensors, info, **lie))
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    checkpoint = small_checkpoint()
    with torch.no_grad():
        checkpoint.network.coarse_head.weight[0, 0] = float("nan")
    save_checkpoint(tmp_path / "nan", checkpoint)
    with pytest.raises(CheckpointError, match="not finite"):
        load_checkpoint(tmp_path / "nan")


def test_the_card_is_read_without_torch(saved: tuple[Path, Checkpoint]) -> None:
    path, checkpoint = saved
    program = (
        "import sys, json; from napari_crii.checkpoint_info import read_checkpoint_info as r;"
        "i = r(sys.argv[1]); print(json.dumps([i.digest, i.class_names, 'torch' in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout) == [checkpoint.digest, ["class 1", "class 2"], False]


def test_a_failed_save_keeps_the_old_checkpoint(
    saved: tuple[Path, Checkpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, checkpoint = saved
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WriteError, match="full"):
        save_checkpoint(path, replace(checkpoint, low_contrast=0.1))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]


def test_parts_that_do_not_fit_each_other_are_refused() -> None:
    names = numbered_classes(["a"])
    with pytest.raises(CheckpointError, match="names for 1 to 2"):
        Checkpoint(small_network(classes=3), names, Preprocessing())
    with pytest.raises(CheckpointError, match="channels"):
        Checkpoint(small_network(), names, Preprocessing(channels=3))


def test_a_new_network_is_decided_by_its_seed_and_leaves_chance_alone() -> None:
    names = numbered_classes(["a"])
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first, second, other = (new_checkpoint(names, Preprocessing(), seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    pairs = [c.network.coarse_head.weight for c in (first, second, other)]
    assert torch.equal(pairs[0], pairs[1])
    assert not torch.equal(pairs[0], pairs[2])


def test_features_of_another_task_move_over_and_heads_do_not() -> None:
    source = small_checkpoint(classes=4, seed=1)
    target = small_checkpoint(classes=2, seed=2)
    before = {name: t.clone() for name, t in target.network.state_dict().items()}
    found = transferred(source, target)
    ours, theirs = found.network.state_dict(), source.network.state_dict()
    assert found.classes == target.classes
    assert torch.equal(ours["coarse_head.weight"], before["coarse_head.weight"])
    same = [name for name in ours if ours[name].shape == theirs[name].shape]
    assert len(same) > len(ours) // 2
    assert all(torch.equal(ours[name], theirs[name]) for name in same)
    # The target is left as it is.
    assert all(torch.equal(t, before[name]) for name, t in target.network.state_dict().items())


PACKING_WITH_LITTLE_MEMORY = """
import resource
import psutil
import torch
from napari_crii.checkpoint import new_checkpoint, serialise
from napari_crii.classes import numbered_classes
from napari_crii.device import is_out_of_memory
from napari_crii.preprocessing import Preprocessing

torch.set_num_threads(1)
checkpoint = new_checkpoint(numbered_classes(["disc"]), Preprocessing())
whole, _ = serialise(checkpoint)
outcomes = {"refused": 0, "packed": 0}
for more in range(0, 4 * len(whole), len(whole) // 16):
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    try:
        assert serialise(checkpoint)[0] == whole
        outcomes["packed"] += 1
    except (MemoryError, RuntimeError) as error:
        assert is_out_of_memory(error), error
        outcomes["refused"] += 1
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
print(min(outcomes.values()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel limits memory here")
def test_packing_with_too_little_memory_raises_and_does_not_end_the_process() -> None:
    command = [sys.executable, "-c", PACKING_WITH_LITTLE_MEMORY]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 0
