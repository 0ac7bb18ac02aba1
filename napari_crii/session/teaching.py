"""What a slice that a human worked on teaches the network, and how much each pixel of it counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_crii.session.case import Case
from napari_crii.session.correction import Provenance
from napari_crii.snapshot import LabelledSlice
from napari_crii.volume import neighbourhood

GUARD_RING = 3


def labelled_slice(case: Case, index: int, neighbours: int, patient: str) -> LabelledSlice:
    """Return slice `index` of a case as the trainer learns from it, as it stands now.

    Parameters
    ----------
    case
        Under work.
    index
        Of the slice.
    neighbours
        Slices on either side that the network reads as further channels.
    patient
        Whose scan it is, as a pseudonym.
    """
    last = case.last_on(index)
    return LabelledSlice(
        image=neighbourhood(case.volume, index, neighbours),
        labels=case.human.labels[index].copy(),
        weights=training_weights(case.human.provenance[index]),
        stats=case.volume.intensity,
        pixel_spacing=case.volume.pixel_spacing,
        patient=patient,
        replay=last is not None and last.number in case.notes.learned,
        validation=case.validation,
    )


def training_weights(provenance: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how much each pixel (H, W) counts: 1 where a human vouches, 0 elsewhere.

    A ring of 3 pixels around what was drawn counts too: it was looked at and left alone.
    """
    drawn = provenance == Provenance.DRAWN
    ring = ndimage.binary_dilation(drawn, iterations=GUARD_RING) if drawn.any() else drawn
    said: NDArray[np.bool_] = (provenance != Provenance.UNTOUCHED) | ring
    return said.astype(np.float32)
