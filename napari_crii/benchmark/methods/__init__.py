"""The compared methods: same backbone, augmentation, budget and inference; one file each."""

from __future__ import annotations

from napari_crii.benchmark.methods.bcp import BCP
from napari_crii.benchmark.methods.copy_paste import COPY_PASTE
from napari_crii.benchmark.methods.cps import CPS
from napari_crii.benchmark.methods.crii import CRII
from napari_crii.benchmark.methods.mcnet import MCNET
from napari_crii.benchmark.methods.mean_teacher import MEAN_TEACHER
from napari_crii.benchmark.methods.method import Method, Setting
from napari_crii.benchmark.methods.supervised import FULL, SUPERVISED_STRONG, SUPERVISED_WEAK
from napari_crii.benchmark.methods.uamt import UAMT
from napari_crii.benchmark.methods.unimatch import UNIMATCH
from napari_crii.benchmark.methods.urpc import URPC

METHODS: dict[str, Method] = {
    "supervised_weak": SUPERVISED_WEAK,
    "supervised_strong": SUPERVISED_STRONG,
    "copy_paste": COPY_PASTE,
    "mean_teacher": MEAN_TEACHER,
    "uamt": UAMT,
    "cps": CPS,
    "urpc": URPC,
    "mcnet": MCNET,
    "bcp": BCP,
    "unimatch": UNIMATCH,
    "full": FULL,
    **CRII,
}

__all__ = ["METHODS", "Method", "Setting"]
