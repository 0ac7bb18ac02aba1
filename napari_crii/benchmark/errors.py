"""Does doubt find the errors: scores beside each other, on known, unknown and shifted slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_crii.benchmark.doubt_maps import MEMBERS, Doubt, doubt_about, passes_of
from napari_crii.benchmark.error_lines import Fitted, Judged, case_lines, pixel_lines
from napari_crii.benchmark.few_labels import split_patients
from napari_crii.benchmark.material import material_digest
from napari_crii.benchmark.methods import METHODS
from napari_crii.benchmark.runs import Run, group_kept_or_made, read_runs
from napari_crii.benchmark.ssl import Comparison, build_learner, check_splits, load_material
from napari_crii.calibration import PrequentialStore
from napari_crii.doubt_features import FEATURES
from napari_crii.errors import TrainingError
from napari_crii.networks import CRIINet, seeded
from napari_crii.training import TrainingSlice, steps_of

CORRECTED = (1, 2, 4, 8)
# A slice takes 24 passes: a pool of thousands would take longer than training the networks.
_POOL_SLICES = 500
_SHIFT_CONTRAST, _SHIFT_NOISE = 0.6, 0.3

Progress = Callable[[int, int, str], None]


def compare_scores(
    plan: Comparison, out: Path, progress: Progress = lambda done, total, name: None
) -> list[Run]:
    """Train an ensemble per draw and fold, and judge every score; finished ones are kept.

    The networks are those of the first method of the plan, which must be one of ours.

    Returns
    -------
    list of dict
        One per draw, fold and line of `judge`; ``group`` tells how many lines a draw and fold has.

    Raises
    ------
    TrainingError
        If the method is not one with two outputs, patients cannot be dealt (which is known before
        anything is trained), or training fails.
    """
    name = plan.methods[0]
    if not name.startswith(("plus", "faithful", "crii")):
        raise TrainingError(f"the method {name} has no coarse and refined output: choose plus")
    finished, data = read_runs(out), load_material(plan)
    check_splits(plan, data)
    key = {
        "data": plan.images.absolute().parent.name,
        "method": name,
        "iterations": plan.training.iterations,
        "labelled": plan.labelled,
        "settings": plan.settings(),
        "material": material_digest(data),
    }
    jobs = [{"draw": d, "fold": f, **key} for d in plan.draws for f in plan.folds]
    found: list[Run] = []
    for done, job in enumerate(jobs):
        work = partial(_run, plan, data, job, progress, (done, len(jobs)))
        found += group_kept_or_made(out, finished, job, work)
        progress(done + 1, len(jobs), name)
    return found


def _run(
    plan: Comparison,
    data: list[TrainingSlice],
    job: dict[str, Any],
    progress: Progress,
    place: tuple[int, int],
) -> list[Run]:
    split = split_patients(data, plan.labelled, job["draw"], job["fold"], plan.fold_count)
    networks: list[CRIINet] = []
    for member in range(MEMBERS):
        seed = MEMBERS * (job["draw"] * plan.fold_count + job["fold"]) + member
        learner = build_learner(plan, METHODS[job["method"]], split, seed)
        for event in steps_of(learner.run()):
            progress(*place, f"network {member + 1}, step {event.step}")
        assert isinstance(learner.network, CRIINet)
        networks.append(learner.network)
    axes = plan.training.mirror_axes
    return judge(networks, split.tested, split.unlabelled, plan.training.crop, axes)


def judge(
    networks: Sequence[CRIINet],
    tested: Sequence[TrainingSlice],
    pool: Sequence[TrainingSlice],
    seed: int = 0,
    mirror_axes: tuple[int, ...] = (0, 1),
) -> list[Run]:
    """Judge every score on test slices, on the pool, and on a shifted copy of the test slices.

    Of a large pool 500 slices are judged, drawn evenly.

    Returns
    -------
    list of dict
        One per ``set``, ``region`` and ``score``: ``passes``, how many the score takes; ``auroc``,
        ``auprc``, ``ause``; ``ece`` of scores that are probabilities, else None;
        ``captured1``, ``5``, ``10``, ``25``, the part of all errors in so many percent of the
        pixels, and ``captured_patches``, in ten patches of 16 pixels a patient, mean over
        patients. On test slices ``patients_ause`` and ``patients_captured5`` hold what is measured
        among the pixels of one patient, of each that shows errors. ``expected_error`` is calibrated
        on ``corrected`` slices of the pool, up to eight; ``expected_error_after_1``, 2, 4 on fewer;
        ``expected_error_without_J`` without the divergence of the outputs;
        ``expected_error_shifts`` from three passes, as ``shifts``. In region ``case`` scores of
        whole slices stand: ``aurc`` and ``spearman``, the rank correlation with the true Dice.
        None: it cannot be said.
    """
    rng, noise = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    order = rng.permutation(len(pool))[: _POOL_SLICES + CORRECTED[-1]]
    sets = {
        "test": list(tested),
        "pool": [pool[i] for i in order],
        "shifted": [shifted(item, noise) for item in tested],
    }
    with seeded(seed):
        judged = {
            name: [_judged(networks, item, noise, mirror_axes) for item in items]
            for name, items in sets.items()
        }
    # What the calibrator learnt from is not what it is judged on.
    corrected, judged["pool"] = judged["pool"][: CORRECTED[-1]], judged["pool"][CORRECTED[-1] :]
    calibrators = _calibrators(corrected, rng)
    found = []
    for name, slices in judged.items():
        if not slices:
            continue
        lines = [
            *pixel_lines(slices, calibrators, each_patient=name == "test"),
            *case_lines(slices),
        ]
        found += [
            {"set": name, **line, "passes": passes_of(line["score"], mirror_axes)} for line in lines
        ]
    return found


def shifted(item: TrainingSlice, noise: torch.Generator) -> TrainingSlice:
    """Return a slice of less contrast and more noise."""
    extra = _SHIFT_NOISE * torch.randn(item.image.shape, generator=noise)
    return replace(item, image=item.image * _SHIFT_CONTRAST + extra)


def _judged(
    networks: Sequence[CRIINet],
    item: TrainingSlice,
    noise: torch.Generator,
    mirror_axes: tuple[int, ...] = (0, 1),
) -> Judged:
    doubt = doubt_about(networks, item.image, noise, mirror_axes)
    return item, doubt, doubt.labels != item.label.numpy()


def _calibrators(corrected: Sequence[Judged], rng: np.random.Generator) -> list[Fitted]:
    """Return the calibrators that these corrected slices allow for."""
    others = [number for number, name in enumerate(FEATURES) if name != "branches"]
    read: dict[str, Callable[[Doubt], NDArray[np.float32]]] = {
        "": lambda doubt: doubt.features,
        "_without_J": lambda doubt: doubt.features[..., others],
        "_shifts": lambda doubt: doubt.shifted,
        "_shifts_without_J": lambda doubt: doubt.shifted[..., others],
    }
    counts = [count for count in CORRECTED if count <= len(corrected)]
    found = []
    for suffix, reading in read.items():
        store = PrequentialStore()
        for _, doubt, wrong in corrected:
            store.add(reading(doubt), wrong, rng)
        for count in counts if not suffix else counts[-1:]:
            fitted = store.fit(count)
            fewer = f"_after_{count}" if count < counts[-1] else ""
            if fitted is not None:
                name = f"expected_error{fewer}{suffix}"
                found.append(Fitted(name, count, fitted, reading))
    return found
