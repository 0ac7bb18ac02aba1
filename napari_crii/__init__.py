"""Few-label medical image segmentation in napari, and without it.

The public names below are loaded when they are first used, so ``import napari_crii`` costs
nothing: no torch, no Qt, no napari, no SimpleITK.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_crii.checkpoint import load_checkpoint
    from napari_crii.geometry import Geometry
    from napari_crii.inference import Predictor
    from napari_crii.io import read_scan, write_mask
    from napari_crii.session import Session
    from napari_crii.training import fit
    from napari_crii.volume import Volume

    __version__: str

__all__ = [
    "Geometry",
    "Predictor",
    "Session",
    "Volume",
    "__version__",
    "fit",
    "load_checkpoint",
    "read_scan",
    "write_mask",
]

_HOMES = {
    "Geometry": "geometry",
    "Predictor": "inference",
    "Session": "session",
    "Volume": "volume",
    "fit": "training",
    "load_checkpoint": "checkpoint",
    "read_scan": "io",
    "write_mask": "io",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _version() if name == "__version__" else _load(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _load(name: str) -> object:
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    value: object = getattr(module, name)
    return value


def _version() -> str:
    from importlib.metadata import version

    return version("napari-crii")
