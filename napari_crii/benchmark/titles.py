"""How the pages of the benchmarks begin: by that they are known, and may be written anew."""

from __future__ import annotations

CORRECTIONS = "# Corrections, slice by slice, on "
CROSS_VALIDATION = "# Cross-validation on "
ERRORS = "# Does doubt find the errors"
FEW_LABELS = "# Few labels on "
TITLES = (CORRECTIONS, CROSS_VALIDATION, ERRORS, FEW_LABELS)
