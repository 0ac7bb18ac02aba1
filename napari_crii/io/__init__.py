"""Scans and masks on disk: the only place where files, DICOM and NIfTI's RAS are met."""

from napari_crii.io.atomic import atomic_write
from napari_crii.io.kinds import is_scan
from napari_crii.io.mask import Mask, open_mask, read_mask
from napari_crii.io.scan import read_scan, volume_count
from napari_crii.io.write import write_map, write_mask

__all__ = [
    "Mask",
    "atomic_write",
    "is_scan",
    "open_mask",
    "read_mask",
    "read_scan",
    "volume_count",
    "write_map",
    "write_mask",
]
