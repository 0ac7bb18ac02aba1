"""On what a benchmark ran: ratios are not understood without it, and no name or path is in it."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_CPU_TABLE = Path("/proc/cpuinfo")
_STATUS = Path("/proc/self/status")
_PEAK_RESET = Path("/proc/self/clear_refs")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, system and versions; ``threads`` is how many torch uses."""
    import torch

    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "napari": _version("napari"),
    }


def _cpu() -> str:
    try:
        lines = _CPU_TABLE.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def start_peak() -> None:
    """Begin to measure this process's peak memory anew, where the system can."""
    with suppress(OSError):
        _PEAK_RESET.write_text("5")


def peak_megabytes() -> float | None:
    """Return the peak resident memory since `start_peak`, in MB; None where it is not known."""
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return round(int(kilobytes[0]) * 1024 / 1e6, 1) if kilobytes else None
