"""NIfTI files made by nibabel, and where their headers hold what it would not spoil."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

RAS = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 5.0, 30], [0, 0, 0, 1]])
# Offsets in the header of NIfTI-1, which nibabel would not leave in such a state.
DIM_1, QFORM_CODE, QUATERNION, SROW_X = 42, 252, 256, 280


def save(path: Path, array: np.ndarray, affine=RAS) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path
