"""Where a grid's axes point, in the letters that readers of scans use."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from napari_crii.geometry import Geometry

# LPS: x grows to the Left, y to the Posterior, z to the Superior.
_POSITIVE, _NEGATIVE = "LPS", "RAI"


def letters(geometry: Geometry) -> str:
    """Return one letter per array axis: where it points in the patient, as nearly as possible.

    Each pair (L and R, P and A, S and I) is used once, however oblique the grid.
    """
    axes = np.array(geometry.direction)
    best = max(permutations(range(3)), key=lambda p: float(np.abs(axes[range(3), p]).sum()))
    return "".join(
        (_POSITIVE if axis[patient] > 0 else _NEGATIVE)[patient]
        for axis, patient in zip(axes, best, strict=True)
    )


def opposite(letter: str) -> str:
    """Return the letter on the other side of the patient."""
    return (_NEGATIVE + _POSITIVE)[(_POSITIVE + _NEGATIVE).index(letter)]
