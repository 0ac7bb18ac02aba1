"""F4, malformed input: no crash, no hang, memory kept, refusals in words, acceptances right.

Each case is opened in a forked child with five seconds of processor time. Memory may rise by
twice the voxels that are returned and 300 MB; by 300 MB alone where the file is refused.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_crii.errors import GeometryError, ScanError
from napari_crii.io import dicom, metaimage, nifti, nrrd, raster, read_scan
from napari_crii.volume import Volume
from tests.faults import f4_dicom, f4_files, f4_nifti, f4_raw, f4_series
from tests.faults.child import in_child, limit_memory, limit_time, peak, reset_peak, unlimit_time
from tests.faults.frame import Verdict, main
from tests.faults.grids import corners
from tests.faults.subjects import ANYWHERE, Family, Subject, Truth

FULL = 700
ALLOWANCE = 300 << 20
LONGEST = 300
# Readers are imported when first needed; a child must not pay for that.
WARM = (dicom, metaimage, nifti, nrrd, raster)

# What betrays code instead of telling about the file.
_INTERNAL = re.compile(
    r"Traceback|Errno|object at 0x|NoneType|<class|numpy|nibabel|dtype|\w+(Error|Exception)\b"
    r"|\.py\b|\bself\b|unpack|subscript|\w\(\)|literal|argument|reshape|buffer|attribute|Error -"
)
_FORMAT = re.compile("is not a readable [^:]*:")
# A refusal must hold a field or a rule: what the file has, or lacks, or what it would have to be.
_RULE = re.compile(
    r"does not exist|empty|neither|truncated|damaged|another kind|promises|expected|CRC|checksum"
    r"|readable DICOM folder: |multi-frame|volumes|colours|transfer syntax|compressed|no codec"
    r"|Rows and Columns|Pixel ?Spacing|pixel spacing|spacing|Image(Orientation|Position)Patient"
    r"|[Oo]rientation|directions?|perpendicular|even stack|stacks|same position|where they lie"
    r"|size|shape|photometric|Photometric|bits|[Bb]its ?(Stored|Allocated)|slope|no frames|finite"
    r"|number|value|type|length|more pixels|memory|holds no (DICOM )?images?|not a DICOM file"
    r"|affine|axes|qform|sform|infinite|magic|unit|offset|element|decompresses|follow the voxels"
    r"|frames|another size|half|pair|Pixel Data|header|data file|encoding|sizes|endian|field|space"
    r"|pixels are|[Nn]o such file|voxels as text|several files|axis without"
    r"|begin (with|as)|must be",
)


def check(seed: int, folder: Path) -> Verdict:
    """Run the case of this seed: families take turns by weight, the rest is drawn."""
    rng = np.random.default_rng(seed)
    name, family = PLAN[seed % len(PLAN)]
    subject = family(rng, folder)
    words = f"{name}: {subject.words}"
    answer = in_child(lambda: _judged(subject))
    if answer.death:
        return Verdict(words, answer.death, "died")
    fault, outcome = answer.value
    return Verdict(words, fault, outcome)


def _judged(subject: Subject) -> tuple[str, str]:
    """Open a file in a child; return what was wrong, and the outcome."""
    limit_memory(ALLOWANCE)
    before = reset_peak()
    limit_time()
    volume, sentence, fault = None, "", ""
    try:
        volume = read_scan(subject.path)
    except (ScanError, GeometryError) as error:
        sentence = str(error)
    except BaseException as error:
        fault = f"{type(error).__name__} escaped: {error}"
    used = peak() - before
    unlimit_time()
    fault = fault or _memory_fault(used, volume)
    if volume is None:
        return fault or refusal_fault(subject, sentence), "refused"
    return fault or _acceptance_fault(subject, volume), "accepted"


def _memory_fault(used: int, volume: Volume | None) -> str:
    allowed = ALLOWANCE + (0 if volume is None else 2 * volume.array.nbytes)
    return f"took {used >> 20} MB of {allowed >> 20} MB allowed" if used > allowed else ""


def refusal_fault(subject: Subject, sentence: str) -> str:
    """Say what is missing in a refusal: the file, the field or rule, plain words, one sentence."""
    if subject.must == "accept":
        return f"refused: {sentence}"
    rest = sentence.replace(str(subject.path), "")
    faults = (
        (rest == sentence, "the file is not named"),
        (len(sentence.splitlines()) != 1 or ". " in rest, "not one sentence"),
        (len(rest) > LONGEST, "too long"),
        (bool(_INTERNAL.search(rest)), "internal words"),
        (not _RULE.search(_FORMAT.sub("", rest)), "no field and no rule"),
        (subject.rule not in sentence, f"nothing of '{subject.rule}'"),
    )
    return next((f"{why} in: {sentence}" for wrong, why in faults if wrong), "")


def _acceptance_fault(subject: Subject, volume: Volume) -> str:
    """Say why no independent reading agrees with an accepted file."""
    if subject.must == "refuse":
        return f"accepted as {volume.array.shape} {volume.array.dtype} {volume.remarks}"
    reasons = [_disagreement(truth, volume) for truth in subject.truths]
    return "" if "" in reasons or not reasons else "; ".join(reasons)


def _disagreement(truth: Callable[[], Truth], volume: Volume) -> str:
    try:
        array, affine = truth()
    # A library that cannot read it either has no opinion.
    except Exception as error:
        return f"no second opinion ({type(error).__name__}: {error})"
    if array.shape != volume.array.shape:
        return f"shape {volume.array.shape} instead of {array.shape}"
    if not np.allclose(volume.array, mended(array), rtol=1e-6, atol=1e-6):
        return "other voxels"
    if affine is None:
        told = volume.is_image or any("unknown" in remark for remark in volume.remarks)
        return "" if told else "its place was taken for known"
    if affine is ANYWHERE:
        return ""
    away = corners(affine, volume.shape) - corners(volume.geometry.affine, volume.shape)
    far = float(np.linalg.norm(away, axis=1).max())
    # Beyond a kilometre float32 cannot hold a thousandth of a millimetre.
    near = 1e-3 + 1e-6 * float(np.abs(corners(affine, volume.shape)).max())
    return "" if far <= near else f"a corner lies {far:.3g} mm away"


def mended(array: np.ndarray) -> np.ndarray:
    """Return real voxels with NaN and infinities as the readers promise to mend them."""
    good = array[np.isfinite(array)]
    if array.dtype.kind != "f" or good.size in (0, array.size):
        return array
    return np.nan_to_num(array, nan=good.min(), posinf=good.max(), neginf=good.min())


FAMILIES: tuple[tuple[str, Family, int], ...] = (
    ("NIfTI cut", f4_nifti.cut, 3),
    ("NIfTI field", f4_nifti.mutated, 7),
    ("NIfTI bytes", f4_nifti.flipped, 3),
    ("NIfTI bomb", f4_nifti.bomb, 1),
    ("raw field", f4_raw.mutated, 6),
    ("raw cut", f4_raw.cut, 3),
    ("raw bytes", f4_raw.flipped, 3),
    ("detached", f4_raw.detached, 3),
    ("DICOM cut", f4_dicom.cut, 3),
    ("DICOM element", f4_dicom.mutated, 7),
    ("DICOM type", f4_dicom.mistyped, 4),
    ("DICOM bytes", f4_dicom.flipped, 4),
    ("DICOM series", f4_series.broken, 6),
    ("DICOM bomb", f4_dicom.bomb, 1),
    ("image cut", f4_files.cut_image, 2),
    ("image bytes", f4_files.flipped_image, 3),
    ("image bomb", f4_files.image_bomb, 1),
    ("name", f4_files.mislabelled, 4),
    ("special", f4_files.special, 3),
    ("test file", f4_files.borrowed, 10),
)
PLAN = tuple((name, family) for name, family, weight in FAMILIES for _ in range(weight))

if __name__ == "__main__":
    sys.exit(main("F4", check, FULL))
