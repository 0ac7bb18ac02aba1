"""How long scans take to open and how much memory, over what bare libraries need for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from napari_crii._layers import preview_layer, scan_layer
from napari_crii.benchmark._scans import FORMATS, SIDE, Format, voxels
from napari_crii.benchmark.ratios import Ratio, Work, alternate
from napari_crii.errors import CriiError
from napari_crii.io import read_scan
from napari_crii.io.bare import bare_reader

Told = Callable[[str], None]
Clock = Callable[[], float]


def loading(
    slices: int = 600,
    repeats: int = 5,
    side: int = SIDE,
    told: Told = lambda what: None,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """Measure every format on a scan of `slices` x `side` x `side`, made in a temporary folder.

    Returns
    -------
    dict
        ``formats``: one record each with ``reader`` (the bare one), ``over_bare`` (median of the
        rounds' ratios) with its 95 % ``over_bare_interval``, ``milliseconds`` (medians) and
        ``memory_over_voxels``; ``first_slice``: see `first_slice`.
    """
    array = voxels(slices, side)
    report: dict[str, Any] = {"shape": list(array.shape), "repeats": repeats, "formats": {}}
    with TemporaryDirectory(prefix="crii-loading-") as folder:
        for kind in FORMATS:
            told(kind.name)
            path = Path(folder, kind.file)
            kind.make(path, array)
            report["formats"][kind.name] = _measured(kind, path, repeats, clock)
            if kind.reader == "pydicom":
                report["first_slice"] = first_slice(path, repeats, clock)
            elif path.is_file():
                path.unlink()
    return report


def first_slice(folder: Path, repeats: int, clock: Clock = time.perf_counter) -> dict[str, float]:
    """Tell when a series shows its first slice, over the time that the whole series takes.

    Returns
    -------
    dict
        ``visible``: the slice that the window shows first, of one file whose own header is
        checked, as the layer that napari is given to draw; ``checked``: the middle slice, once
        the headers of all slices are checked. Both over our time for the whole series, and
        ``…_over_bare`` over that of the bare reader.
    """
    from napari_crii.io.dicom import open_series

    def checked() -> object:
        series = open_series(folder)
        return series.read_slice(series.shape[0] // 2)

    works: dict[str, Work] = {
        "visible": partial(preview_layer, folder),
        "checked": checked,
        "series": partial(scan_layer, folder),
        "bare": partial(bare_reader("pydicom"), folder),
    }
    seconds = alternate([works] * repeats, clock)
    found: dict[str, float] = {}
    for name in ("visible", "checked"):
        for whole, suffix in (("series", ""), ("bare", "_over_bare")):
            ratio = float(np.median(seconds[name] / seconds[whole]))
            found[f"{name}{suffix}"] = round(ratio, 4)
    return found


def _measured(kind: Format, path: Path, repeats: int, clock: Clock) -> dict[str, Any]:
    works: dict[str, Work] = {
        "ours": partial(read_scan, path),
        "bare": partial(bare_reader(kind.reader), path),
    }
    seconds = alternate([works] * repeats, clock)
    ratio = Ratio.of(seconds["ours"], seconds["bare"], np.random.default_rng(0))
    return {
        "reader": kind.reader,
        "over_bare": ratio.median,
        "over_bare_interval": [ratio.low, ratio.high],
        "milliseconds": {n: round(float(np.median(s)) * 1000, 1) for n, s in seconds.items()},
        "memory_over_voxels": memory_over_voxels(path),
    }


def memory_over_voxels(path: Path) -> float:
    """Return the peak of memory while a scan is read, over its voxels, from a process of its own.

    Raises
    ------
    CriiError
        If that process fails.
    """
    command = [sys.executable, "-m", "napari_crii.benchmark.loading", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    if done.returncode:
        raise CriiError(f"the memory for {path.name} was not measured: {done.stderr[-300:]}")
    measured = json.loads(done.stdout)
    return round(float(measured["peak"] - measured["before"]) / float(measured["voxels"]), 3)


def _memory() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _peak_memory() -> int:
    """Return the largest memory this process has held, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Unlike getrusage, this does not include what the parent held before exec.
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
    return _peak_elsewhere()


def _peak_elsewhere() -> int:
    import psutil

    held = psutil.Process().memory_info()
    if hasattr(held, "peak_wset"):
        return int(held.peak_wset)
    import resource

    # On macOS in bytes.
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def measure_memory(path: str) -> dict[str, int]:
    """Read one scan and return bytes: held before, at the peak, and of its voxels."""
    # The libraries are there already when a second scan is opened, and are not the scan's.
    from napari_crii.io import dicom, gipl, metaimage, nifti, nrrd, raster, tiff

    assert all((dicom, gipl, metaimage, nifti, nrrd, raster, tiff))
    before = _memory()
    volume = read_scan(path)
    return {"before": before, "peak": _peak_memory(), "voxels": volume.array.nbytes}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_memory(sys.argv[1])))
