"""Which volume of a file that holds several."""

from __future__ import annotations

from pathlib import Path

from napari_crii.errors import ScanError, SeveralVolumesError

Remarks = tuple[str, ...]


def chosen_volume(path: str | Path, count: int, index: int | None) -> tuple[int, Remarks]:
    """Return the index of the volume to read, and a remark where there was a choice.

    Raises
    ------
    SeveralVolumesError
        If there are several volumes and none was chosen.
    ScanError
        If there is no such volume.
    """
    if count == 1 and index in (None, 0):
        return 0, ()
    if index is not None and 0 <= index < count:
        return index, (f"volume {index} of volumes 0 to {count - 1}",)
    if count == 1:
        raise ScanError(f"{path} holds one volume, so there is no volume index {index}")
    holds = f"{path} holds {count} volumes: choose one with volume index 0 to {count - 1}"
    if index is None:
        raise SeveralVolumesError(holds, count)
    raise ScanError(f"{holds}, not {index}")
