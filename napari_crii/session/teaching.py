"""What a slice that a human worked on teaches the network, and how much each pixel of it counts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, zip_longest

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_crii.session.case import Case
from napari_crii.session.correction import Provenance, SliceStatus
from napari_crii.session.reading import Reading
from napari_crii.snapshot import LabelledSlice, UnlabelledSlice
from napari_crii.volume import Volume, neighbourhood

GUARD_RING = 3
# What a snapshot holds beside what humans said.
UNLABELLED_SLICES = 64
_UNLABELLED_BYTES = 32 << 20


def labelled_slice(
    volume: Volume, work: Reading, index: int, neighbours: int, patient: str, *, validation: bool
) -> LabelledSlice:
    """Return a slice of a case as the trainer learns from it, as it stands now.

    Parameters
    ----------
    volume, work
        The scan of the case, and what a reader said about it.
    index
        Of the slice.
    neighbours
        Slices on either side that the network reads as further channels.
    patient
        Whose scan it is, as a pseudonym.
    validation
        Whether the network is judged by this case and never learns from it.
    """
    return LabelledSlice(
        image=neighbourhood(volume, index, neighbours),
        labels=work.human.labels[index].copy(),
        weights=training_weights(work.human.provenance[index]),
        stats=volume.intensity,
        pixel_spacing=volume.pixel_spacing,
        patient=patient,
        replay=work.history.last_number_on(index) in work.notes.learned,
        validation=validation,
    )


def taught_slices(work: Reading) -> list[int]:
    """Return the slices that a human edited or accepted and of which anything is said."""
    touched = work.slices_with(SliceStatus.EDITED, SliceStatus.ACCEPTED)
    return [index for index in touched if work.human.provenance[index].any()]


def unlabelled_slices(
    cases: Mapping[str, Case], neighbours: int, most: int
) -> tuple[UnlabelledSlice, ...]:
    """Return untouched slices of cases under work, nearest to what was corrected first.

    Cases that are judged by take no part, nor do cases that nobody touched; the others by turns.

    Parameters
    ----------
    cases
        By the digests of their scans.
    neighbours
        As of `labelled_slice`.
    most
        How many at most, and 32 MB in all.
    """
    queues = [
        [(case, case.patient or key, index) for index in nearest_first(case)]
        for key, case in cases.items()
        if not case.validation
    ]
    # One of each case by turns.
    in_turn = (one for turn in zip_longest(*queues) for one in turn if one is not None)
    taken: list[UnlabelledSlice] = []
    held = 0
    for case, patient, index in islice(in_turn, most):
        image = _image(case, index, neighbours)
        held += image.nbytes
        if held > _UNLABELLED_BYTES:
            break
        volume = case.volume
        taken.append(UnlabelledSlice(image, volume.intensity, volume.pixel_spacing, patient))
    return tuple(taken)


def nearest_first(case: Case) -> list[int]:
    """Return the slices that nobody touched, nearest to those that somebody did first.

    None where nobody touched any. Of slices equally near, the lower one is first.
    """
    touched = case.slices_with(SliceStatus.EDITED, SliceStatus.ACCEPTED)
    if not touched:
        return []
    rest = case.slices_with(SliceStatus.UNTOUCHED)
    return sorted(rest, key=lambda index: min(abs(index - one) for one in touched))


def _image(case: Case, index: int, neighbours: int) -> NDArray[np.generic]:
    """Return a slice as (C, H, W); without neighbours a view of the scan, which never changes."""
    if neighbours or case.volume.channels > 1:
        return neighbourhood(case.volume, index, neighbours)
    slices = case.volume.slices()
    return slices[index : index + 1]


def training_weights(provenance: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how much each pixel (H, W) counts: 1 where a human vouches, 0 elsewhere.

    A ring of 3 pixels around what was drawn counts too: it was looked at and left alone.
    """
    drawn = provenance == Provenance.DRAWN
    ring = ndimage.binary_dilation(drawn, iterations=GUARD_RING) if drawn.any() else drawn
    said: NDArray[np.bool_] = (provenance != Provenance.UNTOUCHED) | ring
    return said.astype(np.float32)
