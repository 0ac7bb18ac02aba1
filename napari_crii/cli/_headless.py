"""The demonstration without a window: learn if there is something to learn, propose, write."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_crii.checkpoint import Checkpoint, load_checkpoint, new_checkpoint
from napari_crii.cli._contact_sheet import contact_sheet
from napari_crii.cli._learning import follow
from napari_crii.cli._output import Advance, note, progress_bar
from napari_crii.cli._proposal_files import (
    ProposalFiles,
    is_single_image,
    proposal_files,
    proposal_writers,
    write_all,
)
from napari_crii.demo import DemoTask
from napari_crii.inference import Predictor
from napari_crii.io import atomic_write
from napari_crii.metrics import dice
from napari_crii.preprocessing import Preprocessing
from napari_crii.scan_prediction import ScanPrediction, predict_scan
from napari_crii.training import fit
from napari_crii.training.data import TrainingSlice, from_volume
from napari_crii.training.tick_config import FIRST_RUN
from napari_crii.volume import to_slices

SHEET = "contact_sheet.png"


@dataclass(frozen=True)
class UnseenDice:
    """Overlap with the truth, all voxels of the slices that the network never saw together."""

    coarse: float
    refined: float
    slices: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a headless demonstration leaves.

    Attributes
    ----------
    dice
        None where no truth is known.
    learning_seconds
        0 where there was nothing to learn.
    """

    files: ProposalFiles
    sheet: Path
    prediction: ScanPrediction
    dice: UnseenDice | None
    learning_seconds: float


def run_headless(task: DemoTask, folder: Path, stem: str) -> Outcome:
    """Show a task without a window, and write mask, probabilities, map and contact sheet.

    Files of an earlier demonstration are replaced.

    Raises
    ------
    CriiError
        If the weights do not fit the scan, nothing can be learnt, or a file cannot be written.
    """
    started = time.perf_counter()
    with progress_bar("learning") as advance:
        checkpoint = weights(task, advance)
    learning = time.perf_counter() - started if task.checkpoint is None else 0.0
    with progress_bar("proposing") as advance:
        prediction = predict_scan(Predictor(checkpoint), task.volume, advance)
    files = proposal_files(folder, stem, task.classes, is_single_image(task.volume))
    sheet = folder / SHEET
    picture = contact_sheet(task.volume, prediction, task.classes, task.seeds)
    writers = proposal_writers(files, prediction, task.volume.geometry)
    write_all(folder, [*writers, (sheet, _picture_writer(picture))])
    scored = None if task.truth is None else unseen_dice(prediction, task, task.truth)
    return Outcome(files, sheet, prediction, scored, learning)


def weights(task: DemoTask, advance: Advance) -> Checkpoint:
    """Return the task's checkpoint, or a fresh network that has learnt from its seeds."""
    if task.checkpoint is not None:
        return load_checkpoint(task.checkpoint)
    note(f"A fresh network learns from {len(task.seeds)} labelled slices.")
    recipe = Preprocessing(channels=task.volume.channels, scope="volume")
    fresh = new_checkpoint(task.classes, recipe)
    config = FIRST_RUN.with_overrides(task.iterations).training(recipe.mirror_axes)
    events = fit(fresh.network, seed_slices(task, recipe), config, np.random.default_rng(0))
    follow(events, advance)
    return fresh


def seed_slices(task: DemoTask, recipe: Preprocessing) -> list[TrainingSlice]:
    """Return the task's labelled slices as training material, and no other slice."""
    labels = np.zeros(task.volume.shape, dtype=np.uint16)
    for index, seed in task.seeds.items():
        to_slices(labels, task.volume.slice_axis)[index] = seed
    every = from_volume(task.volume, labels, recipe, len(task.classes) + 1)
    return [item for index, item in enumerate(every) if index in task.seeds]


def unseen_dice(
    prediction: ScanPrediction, task: DemoTask, truth: NDArray[np.integer]
) -> UnseenDice:
    """Score both branches on the slices without a seed, averaged over classes.

    Parameters
    ----------
    truth
        (Z, Y, X), as `DemoTask.truth`.
    """
    axis = task.volume.slice_axis
    unseen = [index for index in range(task.volume.slice_count) if index not in task.seeds]
    true = to_slices(truth, axis)[unseen]

    def score(labels: NDArray[np.integer]) -> float:
        ours = to_slices(labels, axis)[unseen]
        return float(np.mean([dice(ours == c.id, true == c.id) for c in task.classes]))

    return UnseenDice(score(most_probable(prediction.coarse)), score(prediction.mask), len(unseen))


def most_probable(foreground: NDArray[np.float32]) -> NDArray[np.integer]:
    """Return the class (Z, Y, X) of probabilities (K-1, Z, Y, X); the rest is background."""
    background = 1 - foreground.sum(axis=0)
    return np.where(foreground.max(axis=0) > background, foreground.argmax(axis=0) + 1, 0)


def _picture_writer(picture: Image.Image) -> Callable[[Path], None]:
    def verify(path: Path) -> None:
        with Image.open(path) as back:
            back.verify()

    return lambda path: atomic_write(path, lambda p: picture.save(p, format="PNG"), verify)
