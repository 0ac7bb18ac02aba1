"""The compared methods: same backbone, augmentation, budget and inference; one file each."""

from __future__ import annotations

from napari_crii.benchmark.methods.bcp import BCP
from napari_crii.benchmark.methods.copy_paste import COPY_PASTE
from napari_crii.benchmark.methods.cps import CPS
from napari_crii.benchmark.methods.crii import CRII
from napari_crii.benchmark.methods.mcnet import MCNET
from napari_crii.benchmark.methods.mean_teacher import MEAN_TEACHER
from napari_crii.benchmark.methods.method import Method, Setting, weighted
from napari_crii.benchmark.methods.supervised import FULL, SUPERVISED_STRONG, SUPERVISED_WEAK
from napari_crii.benchmark.methods.uamt import UAMT
from napari_crii.benchmark.methods.unimatch import UNIMATCH
from napari_crii.benchmark.methods.urpc import URPC

RIVALS: dict[str, Method] = {
    "mean_teacher": MEAN_TEACHER,
    "uamt": UAMT,
    "cps": CPS,
    "urpc": URPC,
    "mcnet": MCNET,
    "bcp": BCP,
    "unimatch": UNIMATCH,
}
# For the search of the rivals' best setting; those without a suffix weigh as their papers say.
_FACTORS = {"quarter": 0.25, "fourfold": 4.0}

METHODS: dict[str, Method] = {
    "supervised_weak": SUPERVISED_WEAK,
    "supervised_strong": SUPERVISED_STRONG,
    "copy_paste": COPY_PASTE,
    **RIVALS,
    "full": FULL,
    **CRII,
    **{
        f"{name}_{word}": weighted(method, factor)
        for name, method in RIVALS.items()
        for word, factor in _FACTORS.items()
    },
}

__all__ = ["METHODS", "RIVALS", "Method", "Setting", "weighted"]
