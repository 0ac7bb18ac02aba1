"""NIfTI-1 read by nothing but the standard: a second opinion on files that are half broken.

https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h, methods 1 to 3.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from tests.faults.grids import RAS_LPS, Affine, Array

HEADER = np.dtype(
    [
        ("sizeof_hdr", "i4"), ("unused", "V35"), ("dim_info", "u1"), ("dim", "i2", 8),
        ("intent_p", "f4", 3), ("intent_code", "i2"), ("datatype", "i2"), ("bitpix", "i2"),
        ("slice_start", "i2"), ("pixdim", "f4", 8), ("vox_offset", "f4"), ("scl_slope", "f4"),
        ("scl_inter", "f4"), ("slice_end", "i2"), ("slice_code", "u1"), ("xyzt_units", "u1"),
        ("cal", "f4", 2), ("slice_duration", "f4"), ("toffset", "f4"), ("gl", "i4", 2),
        ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i2"), ("sform_code", "i2"),
        ("quatern", "f4", 3), ("qoffset", "f4", 3), ("srow", "f4", (3, 4)),
        ("intent_name", "S16"), ("magic", "S4"),
    ]
)  # fmt: skip
TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_MM = {1: 1000.0, 2: 1.0, 3: 1e-3}


def read(path: Path) -> tuple[Array, Affine | None]:
    """Return voxels (z, y, x) and the affine to LPS mm; None where no form is coded."""
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        content = gzip.decompress(content)
    order = "<" if 1 <= int(np.frombuffer(content, "<i2", 1, 40)[0]) <= 7 else ">"
    header = np.frombuffer(content, HEADER.newbyteorder(order), 1)[0]
    shape = [int(n) for n in header["dim"][1 : 1 + int(header["dim"][0])]]
    kind = np.dtype(TYPES[int(header["datatype"])]).newbyteorder(order)
    offset = int(header["vox_offset"]) or 352
    voxels = np.frombuffer(content, kind, int(np.prod(shape)), offset)
    values = voxels.reshape([*shape, 1, 1][:3], order="F").T.astype(kind.newbyteorder("="))
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope != 0 and np.isfinite(slope) and (slope, inter) != (1.0, 0.0):
        values = (values.astype(np.float64) * slope + inter).astype(np.float32)
    ras = _ras(header)
    if ras is None:
        return values, None
    scale = np.diag([_MM.get(int(header["xyzt_units"]) & 7, 1.0)] * 3 + [1.0])
    return values, (RAS_LPS @ scale @ ras)[:, [2, 1, 0, 3]]


def _ras(header: np.void) -> Affine | None:
    if header["sform_code"] > 0:
        return np.vstack([header["srow"].astype(float), [0, 0, 0, 1]])
    if header["qform_code"] > 0:
        return _of_quaternion(header)
    return None


def _of_quaternion(header: np.void) -> Affine | None:
    """Return method 2; None where the three numbers are no part of a unit quaternion."""
    b, c, d = (float(v) for v in header["quatern"])
    rest = 1 - (b * b + c * c + d * d)
    if not rest > -1e-6:
        return None
    # Near half a turn the first part drowns in the rounding of the other three.
    a = np.sqrt(rest) if rest > 3 * np.finfo(np.float32).eps else 0.0
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    zooms = header["pixdim"][1:4].astype(float)
    zooms[2] *= -1 if header["pixdim"][0] < 0 else 1
    affine = np.eye(4)
    affine[:3, :3] = turn * zooms
    affine[:3, 3] = header["qoffset"]
    return affine
