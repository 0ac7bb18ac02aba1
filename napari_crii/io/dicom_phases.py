"""Time points of a stack: slices that repeat at every position, told apart by one witness."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from napari_crii.io.dicom_headers import Header
from napari_crii.io.dicom_stack import same_position


def phases(headers: Sequence[Header]) -> list[list[Header]]:
    """Split sorted slices into volumes.

    There are several if every position holds equally many slices, and one element of the
    header (temporal position, trigger time, acquisition time …) tells those at each position
    apart; they are ordered by it. In any other case all slices are one volume, and slices that
    repeat are left to be recognised as copies or refused.

    Parameters
    ----------
    headers
        In order of their positions.
    """
    places = _places(headers)
    counts = {len(place) for place in places}
    if len(counts) != 1 or counts == {1}:
        return [list(headers)]
    witnesses = min(len(header.phases) for header in headers)
    for witness in range(witnesses):
        if all(_tells_apart(place, witness) for place in places):
            ordered = [sorted(place, key=partial(_key, witness)) for place in places]
            return [list(phase) for phase in zip(*ordered, strict=True)]
    return [list(headers)]


def _places(headers: Sequence[Header]) -> list[list[Header]]:
    places: list[list[Header]] = []
    for header in headers:
        if places and same_position(places[-1][0], header):
            places[-1].append(header)
        else:
            places.append([header])
    return places


def _tells_apart(place: Sequence[Header], witness: int) -> bool:
    found = [header.phases[witness] for header in place]
    alike = len({type(value) for value in found}) == 1
    return None not in found and alike and len(set(found)) == len(found)


def _key(witness: int, header: Header) -> tuple[float, str]:
    found = header.phases[witness]
    return (found, "") if isinstance(found, float | int) else (0.0, str(found))
