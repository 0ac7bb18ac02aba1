"""What benchmarks learn from and test on: patients dealt to folds, and a digest of the slices."""

from __future__ import annotations

import hashlib

import numpy as np

from napari_crii.errors import TrainingError
from napari_crii.training import TrainingSlice


def deal_patients(
    patients: set[str], folds: int, seed: int, option: str = "--fold-count"
) -> list[set[str]]:
    """Deal patients to folds.

    Parameters
    ----------
    option
        By which the user chooses how many folds there are.

    Raises
    ------
    TrainingError
        If there are fewer patients than folds, or fewer than two folds.
    """
    if not 2 <= folds <= len(patients):
        who = "1 patient" if len(patients) == 1 else f"{len(patients)} patients"
        mend = f"choose a {option} of at most {len(patients)}"
        mend = mend if len(patients) > 1 else f"two patients are needed, and a {option} of 2"
        raise TrainingError(f"{who} cannot be dealt to {folds} folds: {mend}")
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
