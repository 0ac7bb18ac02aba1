"""Where the network computes: the choice, 16 bits, copies, yielding, memory."""

from __future__ import annotations

import psutil
import pytest
import torch

from napari_crii import device as module
from napari_crii.device import (
    VARIABLE,
    autocast,
    available_devices,
    choose_device,
    grad_scaler,
    half_pays,
    is_out_of_memory,
    laid_out,
    memory_mb,
    moved,
    release_memory,
    training_threads,
    yield_now,
)
from napari_crii.errors import DeviceError, WriteError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "kind"), [(1, True, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_the_fastest_kind_that_is_there_is_chosen(
    cuda: int, mps: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device() == torch.device(kind)
    assert available_devices()[-1] == CPU
    assert choose_device("cpu") == CPU
    monkeypatch.setenv(VARIABLE, "cpu")
    assert choose_device() == CPU


@pytest.mark.parametrize("name", ["cuda:7", "mps", "abacus", "meta", "cpu:x"])
def test_a_device_that_is_not_there_is_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=f"'{name}'"):
        choose_device(name)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, None])
def test_a_network_computes_in_the_half_type_and_gradients_stay_whole(
    kind: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "half_type", lambda device: kind)
    layer, image = torch.nn.Conv2d(3, 4, 3), torch.rand(2, 3, 8, 8)
    with autocast(CPU, wanted=True):
        result = layer(image)
    assert result.dtype == (kind or torch.float32)
    scaler = grad_scaler(CPU, wanted=True)
    assert scaler.is_enabled() == (kind is torch.float16)
    scaler.scale(result.float().mean()).backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    with autocast(CPU, wanted=False):
        assert layer(image).dtype == torch.float32
    assert not half_pays(CPU)


def test_what_is_there_already_is_not_copied() -> None:
    tensor = torch.rand(3)
    assert moved(tensor, CPU) is tensor
    assert moved(tensor, torch.device("meta")).device.type == "meta"
    assert laid_out(torch.rand(2, 3, 4, 5)).is_contiguous(memory_format=torch.channels_last)


def test_yielding_waits_as_long_as_somebody_wants_the_device() -> None:
    answers = iter([True, True, True, False])
    assert yield_now(lambda: next(answers), CPU) > 0
    assert list(answers) == []
    assert yield_now(lambda: False, CPU) == 0
    assert yield_now(lambda: True, CPU, longest=0.01) >= 0.01


def test_batches_go_to_cuda_from_pinned_memory_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[object] = []

    def pin_memory(tensor: torch.Tensor) -> torch.Tensor:
        done.append("pinned")
        return tensor

    def to(tensor: torch.Tensor, device: torch.device, non_blocking: bool) -> torch.Tensor:
        done.append((device.type, non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    monkeypatch.setattr(torch.Tensor, "to", to)
    moved(torch.rand(3), torch.device("cuda:0"))
    assert done == ["pinned", ("cuda", True)]
    moved(torch.rand(3), torch.device("mps"))
    assert done[2:] == [("mps", False)]


def test_what_cuda_was_given_is_finished_before_we_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda place: done.append(f"{place} is idle"))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: done.append("waits"))
    answers = iter([True, True, True, False])
    yield_now(lambda: next(answers), torch.device("cuda:1"))
    assert done == ["cuda:1 is idle", "waits", "waits"]
    yield_now(lambda: False, torch.device("cuda:1"))
    assert len(done) == 3


@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (2, 2), (3, 2), (4, 3), (16, 15)])
def test_training_leaves_a_processor_to_the_window_where_there_are_more_than_two(
    processors: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_processors", lambda: processors)
    assert training_threads() == threads


def test_memory_is_that_of_this_process() -> None:
    held = psutil.Process().memory_info().rss / (1 << 20)
    assert 0.5 * held < memory_mb(CPU) < 2 * held
    release_memory(CPU)


def test_what_was_freed_below_blocks_in_use_goes_back_to_the_system() -> None:
    # Too small to be mapped each by itself.
    blocks = [bytearray(60_000) for _ in range(2000)]
    kept = blocks[::100]
    held = memory_mb(CPU)
    blocks.clear()
    release_memory(CPU)
    given_back = held - memory_mb(CPU)
    assert given_back > 80
    assert len(kept) == 20


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("The size of tensor a (3) must match"), False),
        (OSError(12, "Cannot allocate memory"), True),
        (OSError(28, "No space left on device"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_recognised_in_whatever_words(
    error: Exception, verdict: bool
) -> None:
    assert is_out_of_memory(error) is verdict
    told = WriteError("a file was not saved")
    told.__cause__ = error
    assert is_out_of_memory(told) is verdict


def test_what_torch_itself_says_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)
