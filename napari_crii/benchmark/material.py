"""What benchmarks learn from and test on: patients dealt to folds, and a digest of the slices."""

from __future__ import annotations

import hashlib

import numpy as np

from napari_crii.errors import TrainingError
from napari_crii.training import TrainingSlice


def deal_patients(patients: set[str], folds: int, seed: int) -> list[set[str]]:
    """Deal patients to folds.

    Raises
    ------
    TrainingError
        If there are fewer patients than folds, or fewer than two folds.
    """
    if not 2 <= folds <= len(patients):
        raise TrainingError(f"{len(patients)} patients cannot be dealt to {folds} folds")
    order = np.random.default_rng(seed).permutation(sorted(patients))
    return [{str(p) for p in order[fold::folds]} for fold in range(folds)]


def material_digest(data: list[TrainingSlice]) -> str:
    """Return the SHA-256 of what is learnt from, whatever its files are called."""
    sha = hashlib.sha256()
    for item in data:
        sha.update(f"{item.patient} {tuple(item.image.shape)}".encode())
        sha.update(np.ascontiguousarray(item.image.numpy()).data)
        sha.update(np.ascontiguousarray(item.label.numpy()).data)
    return sha.hexdigest()
