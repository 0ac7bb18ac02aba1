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

from napari_crii.benchmark.detection import auprc, aurc, auroc, ause, captured, ece, spearman
from napari_crii.benchmark.doubt_maps import PASSES, Doubt, doubt_about
from napari_crii.benchmark.few_labels import split_patients
from napari_crii.benchmark.material import material_digest
from napari_crii.benchmark.methods import METHODS
from napari_crii.benchmark.runs import Run, kept_or_made, read_runs
from napari_crii.benchmark.ssl import Comparison, build_learner, load_material
from napari_crii.benchmark.table import markdown_table
from napari_crii.calibration import Calibrator, PrequentialStore
from napari_crii.doubt_features import FEATURES
from napari_crii.edges import edge_distance
from napari_crii.errors import TrainingError
from napari_crii.metrics import dice
from napari_crii.networks import CRIINet, seeded
from napari_crii.training import TrainingSlice, steps_of

MEMBERS = 3
BAND = 5
BEYOND = 2
CORRECTED = (1, 2, 4, 8)
SHARES = (0.01, 0.05, 0.1, 0.25)
# A slice takes 24 passes: a pool of thousands would take longer than training the networks.
_POOL_SLICES = 500
_SHIFT_CONTRAST, _SHIFT_NOISE = 0.6, 0.3

Progress = Callable[[int, int, str], None]
Judged = tuple[TrainingSlice, Doubt, NDArray[np.bool_]]


def compare_scores(
    plan: Comparison, out: Path, progress: Progress = lambda done, total, name: None
) -> list[Run]:
    """Train an ensemble per draw and fold, and judge every score; finished ones are kept.

    The networks are those of the first method of the plan, which must be one of ours.

    Returns
    -------
    list of dict
        One per draw and fold; ``pixels`` maps set, region and score to measures, ``cases`` maps
        set and score to AURC and rank correlation, ``calibrated`` how many slices were used.

    Raises
    ------
    TrainingError
        If the method is not one with two outputs, or training fails.
    """
    name = plan.methods[0]
    if not name.startswith(("plus", "faithful", "crii")):
        raise TrainingError(f"the method {name} has no coarse and refined output: choose plus")
    finished, data = read_runs(out), load_material(plan)
    key = {"method": name, "iterations": plan.training.iterations, "labelled": plan.labelled}
    key |= {"settings": plan.settings(), "material": material_digest(data)}
    jobs = [{"draw": d, "fold": f, **key} for d in plan.draws for f in plan.folds]
    found = []
    for done, job in enumerate(jobs):
        work = partial(_run, plan, data, job, progress, (done, len(jobs)))
        found.append(kept_or_made(out, finished, job, work))
        progress(done + 1, len(jobs), name)
    return found


def _run(
    plan: Comparison,
    data: list[TrainingSlice],
    job: dict[str, Any],
    progress: Progress,
    place: tuple[int, int],
) -> Run:
    split = split_patients(data, plan.labelled, job["draw"], job["fold"], plan.fold_count)
    networks: list[CRIINet] = []
    for member in range(MEMBERS):
        seed = MEMBERS * (job["draw"] * plan.fold_count + job["fold"]) + member
        learner = build_learner(plan, METHODS[job["method"]], split, seed)
        for event in steps_of(learner.run()):
            progress(*place, f"network {member + 1}, step {event.step}")
        assert isinstance(learner.network, CRIINet)
        networks.append(learner.network)
    return judge(networks, split.tested, split.unlabelled, plan.training.crop)


def judge(
    networks: Sequence[CRIINet],
    tested: Sequence[TrainingSlice],
    pool: Sequence[TrainingSlice],
    seed: int = 0,
) -> Run:
    """Judge every score on test slices, on the pool, and on a shifted copy of the test slices.

    Of a large pool 500 slices are judged, drawn evenly.
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
            name: [_judged(networks, item, noise) for item in items] for name, items in sets.items()
        }
    # What the calibrator learnt from is not what it is judged on.
    corrected, judged["pool"] = judged["pool"][: CORRECTED[-1]], judged["pool"][CORRECTED[-1] :]
    calibrators = _calibrators(corrected, rng)
    return {
        "calibrated": min(len(corrected), CORRECTED[-1]),
        "pixels": {n: pixel_measures(j, calibrators) for n, j in judged.items() if j},
        "cases": {n: case_measures(j) for n, j in judged.items() if len(j) > 1},
    }


def shifted(item: TrainingSlice, noise: torch.Generator) -> TrainingSlice:
    """Return a slice of less contrast and more noise."""
    extra = _SHIFT_NOISE * torch.randn(item.image.shape, generator=noise)
    return replace(item, image=item.image * _SHIFT_CONTRAST + extra)


def _judged(networks: Sequence[CRIINet], item: TrainingSlice, noise: torch.Generator) -> Judged:
    doubt = doubt_about(networks, item.image, noise)
    return item, doubt, doubt.labels != item.label.numpy()


def _calibrators(
    corrected: Sequence[Judged], rng: np.random.Generator
) -> dict[str, tuple[Calibrator, list[int]]]:
    """Return calibrators by name, with the features that each reads."""
    everything = list(range(len(FEATURES)))
    without = [i for i in everything if FEATURES[i] != "branches"]
    found = {}
    for columns, suffix in ((everything, ""), (without, "_without_J")):
        store = PrequentialStore()
        for _, doubt, wrong in corrected:
            store.add(doubt.features[..., columns], wrong, rng)
        for count in CORRECTED:
            fitted = store.fit(count) if len(store) >= count else None
            if fitted is not None:
                found[f"expected_error_{count}{suffix}"] = (fitted, columns)
    return found


def pixel_measures(
    judged: Sequence[Judged], calibrators: dict[str, tuple[Calibrator, list[int]]]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return region to score to measures, over all annotated pixels of all slices together."""
    said = [item.weight.numpy() > 0 for item, _, _ in judged]

    def flat(maps: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([m[s] for m, s in zip(maps, said, strict=True)])

    wrong = flat([w for _, _, w in judged])
    scores = {name: flat([d.maps[name] for _, d, _ in judged]) for name in PASSES}
    for name, (fitted, columns) in calibrators.items():
        maps = [fitted.probability(d.features[..., columns]) for _, d, _ in judged]
        scores[name] = flat(maps)
    distance = flat([edge_distance(d.labels) for _, d, _ in judged])
    true_distance = flat([edge_distance(item.label.numpy()) for item, _, _ in judged])
    regions = {
        "whole": np.ones_like(wrong),
        "band": distance <= BAND,
        "outside": distance > BAND,
        # Errors close to the true edge are ones that a clinician would leave.
        "beyond2": ~(wrong & (true_distance <= BEYOND)),
    }
    return {
        region: {name: _measures(s[where], wrong[where], name) for name, s in scores.items()}
        for region, where in regions.items()
    }


def _measures(score: NDArray[Any], wrong: NDArray[np.bool_], name: str) -> dict[str, float | None]:
    found = {"auroc": auroc(score, wrong), "auprc": auprc(score, wrong), "ause": ause(score, wrong)}
    found |= {f"captured_{share:g}": captured(score, wrong, share) for share in SHARES}
    if name.startswith(("expected", "max_probability")) and len(score):
        found["ece"] = ece(score, wrong)
    return {k: None if np.isnan(v) else round(v, 4) for k, v in found.items()}


def case_measures(judged: Sequence[Judged]) -> dict[str, dict[str, float | None]]:
    """Return, per case score, the AURC and the rank correlation with the true Dice of slices."""
    quality = np.array([dice(d.labels > 0, item.label.numpy() > 0) for item, d, _ in judged])
    found: dict[str, dict[str, float | None]] = {}
    for name in judged[0][1].cases:
        doubt = np.array([d.cases[name] for _, d, _ in judged])
        rho = spearman(doubt, quality)
        found[name] = {
            "aurc": round(aurc(doubt, quality), 4),
            "spearman": None if np.isnan(rho) else round(rho, 4),
        }
    return found


def errors_table(runs: Sequence[Run], part: str = "test", region: str = "whole") -> str:
    """Return a row per score, means over runs, in Markdown."""
    fields = ("auroc", "auprc", "ause", "captured_0.05", "ece")
    names = list(dict.fromkeys(n for run in runs for n in run["pixels"][part][region]))
    rows = []
    for name in names:
        measures = [run["pixels"][part][region].get(name, {}) for run in runs]
        cells = [[m[f] for m in measures if m.get(f) is not None] for f in fields]
        passes = str(PASSES.get(name, 1))
        rows.append([name, passes, *(f"{np.mean(c):.3f}" if c else "" for c in cells)])
    return markdown_table(("score", "passes", "AUROC", "AUPRC", "AUSE", "top 5 %", "ECE"), rows)


def errors_page(runs: Sequence[Run]) -> str:
    """Return a Markdown page with a table per set and region, and the scores of whole slices."""
    first = runs[0]
    lines = [
        "# Does doubt find the errors",
        "",
        f"Networks trained by `{first['method']}`, {first['iterations']} iterations, "
        f"{100 * first['labelled']:g} % of the training patients labelled, {len(runs)} folds and "
        "draws. `expected_error_N` is calibrated on N corrected slices of the pool. beyond2 leaves "
        "out the errors within 2 pixels of the true edge.",
    ]
    for part, regions in first["pixels"].items():
        for region in regions:
            lines += ["", f"## {part}, {region}", "", errors_table(runs, part, region)]
    rows = [
        [f"{part}: {name}", *("" if v is None else f"{v:.3f}" for v in found.values())]
        for part, scores in first["cases"].items()
        for name, found in scores.items()
    ]
    head = ("whole slices, first run", "AURC", "Spearman")
    return "\n".join([*lines, "", markdown_table(head, rows), ""])
