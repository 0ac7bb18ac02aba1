"""``napari-crii predict``: masks, probabilities and maps of scans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._guard import USER_ERROR, sentence
from napari_crii.cli._output import JsonOption, note, progress_bar, write_json
from napari_crii.cli._scan_options import VolumeIndex
from napari_crii.errors import CriiError

if TYPE_CHECKING:
    from napari_crii.cli._proposal_files import ProposalFiles
    from napari_crii.inference import Predictor
    from napari_crii.scan_prediction import ScanPrediction

Scans = Annotated[
    list[Path],
    typer.Argument(readable=False, metavar="SCAN...", help="Files, or DICOM folders."),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", readable=False, metavar="DIR", help="Folder to write to.")
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        readable=False,
        metavar="FILE",
        help="Weights to use instead of the shipped.",
    ),
]
Views = Annotated[int, typer.Option(min=1, max=4, help="Mirrored views to average.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Skip scans whose files are complete and unchanged.")
]


@dataclass(frozen=True)
class _Target:
    """Where a run writes, what it does about files that are there, and which volume it reads."""

    folder: Path
    overwrite: bool
    resume: bool
    volume_index: int | None


def predict(
    scans: Scans,
    output: Output,
    checkpoint: Weights = None,
    views: Views = 4,
    overwrite: Overwrite = False,
    resume: Resume = False,
    volume_index: VolumeIndex = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a mask for each scan, with probabilities, a map of doubt and patches to look at.

    Writes STEM_mask, STEM_coarse, STEM_refined and STEM_disagreement for each scan; with several
    classes one coarse and one refined map for each, such as STEM_refined-2-lesion. A scan that
    fails is named, the others are done all the same. STEM_done.json holds digests: by them
    --resume knows what a run that was broken off had finished with the same scan, weights and
    views. With --overwrite, too, what it left half done is computed anew.
    """
    from napari_crii.cli._folders import require_writable
    from napari_crii.cli._proposal_files import unique_stems

    stems = unique_stems(scans)
    if volume_index is not None:
        stems = [f"{stem}_volume{volume_index}" for stem in stems]
    require_writable(output)
    predictor = _predictor(checkpoint, views)
    target = _Target(output, overwrite, resume, volume_index)
    records, failed = [], False
    for scan, stem in zip(scans, stems, strict=True):
        try:
            records.append(_predict_one(predictor, scan, stem, target))
        except (CriiError, OSError, MemoryError) as error:
            note(f"Error: {sentence(error)}")
            failed = True
            continue
        if not as_json:
            typer.echo(_summary(records[-1]))
    if as_json:
        write_json(records)
    if failed:
        raise typer.Exit(USER_ERROR)


def _predictor(checkpoint: Path | None, views: int) -> Predictor:
    """Return the network; its file is verified before torch is loaded."""
    from napari_crii.checkpoint_info import read_checkpoint_info
    from napari_crii.demo import shipped_checkpoint

    path = checkpoint or shipped_checkpoint()
    read_checkpoint_info(path)
    from napari_crii.checkpoint import load_checkpoint
    from napari_crii.inference import Predictor

    return Predictor(load_checkpoint(path), views=views)


def _predict_one(predictor: Predictor, scan: Path, stem: str, target: _Target) -> dict[str, Any]:
    """Compute first, write last."""
    from napari_crii.cli._proposal_files import (
        is_single_image,
        proposal_files,
        proposal_writers,
        refuse_existing,
        write_all,
    )
    from napari_crii.cli._resume import Origin, done_file, report_of_done, write_done
    from napari_crii.io import read_scan
    from napari_crii.scan_prediction import predict_scan

    volume = read_scan(scan, target.volume_index)
    checkpoint = predictor.checkpoint
    files = proposal_files(target.folder, stem, checkpoint.classes, is_single_image(volume))
    origin = Origin(volume.digest, checkpoint.digest, len(predictor.views))
    report = report_of_done(origin, files) if target.resume else None
    if report is not None:
        note(f"{scan}: done before")
        return {**_paths(scan, files), **report}
    refuse_existing((*files.all, done_file(files)), target.overwrite)
    with progress_bar(stem) as advance:
        prediction = predict_scan(predictor, volume, advance)
    made = record(scan, files, prediction)
    writers = proposal_writers(files, prediction, volume.geometry)
    last = (done_file(files), lambda path: write_done(path, origin, files, made))
    write_all(target.folder, [*writers, last])
    return made


def record(scan: Path, files: ProposalFiles, prediction: ScanPrediction) -> dict[str, Any]:
    """Return the JSON object of one scan; the maps of several classes are lists of paths."""
    return {
        **_paths(scan, files),
        "patches": [
            {
                "slice": patch.slice,
                "box": [patch.box.top, patch.box.left, patch.box.bottom, patch.box.right],
                "score": patch.score,
                "reason": str(patch.reason),
            }
            for patch in prediction.patches
        ],
        "doubt": _rounded(prediction.doubt),
        "slice_doubt": [_rounded(doubt) for doubt in prediction.slice_doubt],
        "seconds": round(prediction.seconds, 3),
        "checkpoint": prediction.checkpoint,
    }


def _rounded(doubt: float | None) -> float | None:
    return None if doubt is None else round(doubt, 4)


def _paths(scan: Path, files: ProposalFiles) -> dict[str, Any]:
    return {
        "scan": str(scan),
        "mask": str(files.mask),
        "coarse": _one_or_list(files.coarse),
        "refined": _one_or_list(files.refined),
        "disagreement": str(files.disagreement),
    }


def _one_or_list(paths: tuple[Path, ...]) -> str | list[str]:
    return str(paths[0]) if len(paths) == 1 else [str(path) for path in paths]


def _summary(record: dict[str, Any]) -> str:
    patches = record["patches"]
    worst = (
        f", the first on slice {patches[0]['slice']} ({patches[0]['reason']})" if patches else ""
    )
    return (
        f"{record['scan']}: {record['mask']} in {record['seconds']:.1f} s; "
        f"{_disagreement(record['doubt'])}, {len(patches)} patches to look at{worst}"
    )


def _disagreement(doubt: float | None) -> str:
    return "nothing proposed" if doubt is None else f"outputs disagree by {doubt:.2f}"
