"""Where the network computes, and how it shares that place: precision, copies, threads, memory.

The same calls serve CUDA, MPS and the CPU; what a place lacks is left out there.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import math
import os
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import psutil
import torch
from torch import Tensor, nn

from napari_crii.errors import DeviceError

Network = TypeVar("Network", bound=nn.Module)

# Names the device for every process of ours, over what is found.
VARIABLE = "NAPARI_CRII_DEVICE"
_KINDS = ("cuda", "mps", "cpu")
_WAIT_SECONDS = 0.002
_MEGABYTE = 1 << 20
# How the allocators of torch and oneDNN say it where they raise no error of a kind of its own.
_NO_ROOM = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "could not create a",
    "can't start new thread",
)


def choose_device(wanted: str = "") -> torch.device:
    """Return the device to compute on: the fastest kind there is, unless one is asked for.

    Parameters
    ----------
    wanted
        ``cuda``, ``cuda:1``, ``mps`` or ``cpu``; empty takes what the environment's
        ``NAPARI_CRII_DEVICE`` names, and without that what is found.

    Raises
    ------
    DeviceError
        If what is asked for is no such name, or is not there.
    """
    return available_devices(wanted)[0]


def available_devices(wanted: str = "") -> list[torch.device]:
    """Return the devices that may be used, the fastest kind first; arguments as above."""
    name = wanted or os.environ.get(VARIABLE, "")
    if not name:
        return [device for kind in _KINDS if _is_there(device := torch.device(kind))]
    try:
        device = torch.device(name)
        known = device.type in _KINDS and _is_there(device)
    except RuntimeError:
        known = False
    if not known:
        raise DeviceError(f"there is no device '{name}' here: ask for cpu, or for none")
    return [device]


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or torch.backends.mps.is_available()


def half_type(device: torch.device) -> torch.dtype | None:
    """Return the 16-bit type that passes through networks may use there; None: there is none.

    bfloat16 has the range of float32. CUDA without it takes float16, whose small gradients a
    `GradScaler` must keep from vanishing.
    """
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    if device.type == "mps" and not torch.backends.mps.is_macos_or_newer(14, 0):
        return None
    return torch.bfloat16


def half_pays(device: torch.device) -> bool:
    """Whether computing in 16 bits is faster there; most processors only emulate it."""
    return device.type != "cpu" and half_type(device) is not None


def autocast(device: torch.device, wanted: bool) -> torch.autocast:
    """Return the context in which a network computes, in 16 bits where wanted and possible."""
    kind = half_type(device) if wanted else None
    return torch.autocast(device.type, dtype=kind, enabled=kind is not None)


def grad_scaler(device: torch.device, wanted: bool, scale: float = 65536.0) -> torch.amp.GradScaler:
    """Return what scales losses under `autocast`; it does nothing unless that is float16.

    `scale` is what it begins with; without it as torch does.
    """
    scales = wanted and half_type(device) is torch.float16
    return torch.amp.GradScaler(device.type, init_scale=scale, enabled=scales)


def laid_out(image: Tensor) -> Tensor:
    """Return images (B, C, H, W) in the memory order in which the device convolves fastest."""
    # On MPS the backward pass of channels-last convolutions is many times slower.
    if image.device.type == "mps":
        return image.contiguous()
    return image.contiguous(memory_format=torch.channels_last)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on the device; copying to CUDA goes on while the processor does."""
    if tensor.device == device:
        return tensor
    # Only from pinned memory does such a copy run beside other work.
    pinned = device.type == "cuda" and tensor.device.type == "cpu"
    return (tensor.pin_memory() if pinned else tensor).to(device, non_blocking=pinned)


def yield_now(wanted: Callable[[], bool], device: torch.device, longest: float = math.inf) -> float:
    """Wait while somebody else wants our device, `longest` seconds at most; return for how many.

    Work that was queued is finished first: on a GPU nothing of ours is in the way then.
    """
    if not wanted():
        return 0.0
    started = time.monotonic()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    while wanted() and time.monotonic() - started < longest:
        time.sleep(_WAIT_SECONDS)
    return time.monotonic() - started


def training_threads() -> int:
    """Return how many threads training takes: one processor is left to the window.

    Of two processors it takes both: at lowest priority that is faster by a third and more, and it
    steps back all the same.
    """
    processors = _processors()
    return max(min(2, processors), processors - 1)


def _processors() -> int:
    if psutil.LINUX or psutil.WINDOWS:
        return len(psutil.Process().cpu_affinity())
    return os.cpu_count() or 1


def memory_mb(device: torch.device) -> float:
    """Return the memory that this process took at most on CUDA, else what it holds, in MB."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / _MEGABYTE
    return float(psutil.Process().memory_info().rss) / _MEGABYTE


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says in whatever words that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_ROOM):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)


def release_memory(device: torch.device) -> None:
    """Give back what nobody refers to any more, to the device and to the system."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    if sys.platform == "linux":
        # The GNU library keeps what was freed between blocks in use; others have no such function.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def placed(
    network: Network, device: torch.device | str = "cpu", channels_last: bool = True
) -> Network:
    """Return a network, moved in place to a device, its filters in a memory order.

    Parameters
    ----------
    channels_last
        Whether the channels of a pixel lie side by side: what the processor convolves fastest.
    """
    network.to(device)
    order = torch.channels_last if channels_last else torch.contiguous_format
    # Torch does not tell that this may be asked for without a type or a device.
    network.to(memory_format=order)  # type: ignore[call-overload]
    return network
