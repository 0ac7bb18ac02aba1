"""What a proposal and its map cost, over the bare network passes that they need."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_crii.benchmark.ratios import Ratio, Seconds, Work, alternate
from napari_crii.disagreement import disagreement, rank_patches
from napari_crii.inference import Prediction, Predictor
from napari_crii.scan_prediction import predict_scan
from napari_crii.volume import Volume

Told = Callable[[int, int], None]
Clock = Callable[[], float]


def slice_latency(
    predictor: Predictor,
    volume: Volume,
    repeats: int = 20,
    told: Told = lambda done, total: None,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """Time proposals of single slices, the middle one first, then on through the scan.

    A round takes, for one slice: its bare passes (all views as one batch, at the working
    resolution, inference mode); the proposal, from the scan in memory to both branches'
    probabilities and labels; the map, from both branches' probabilities to score and patches.

    Parameters
    ----------
    repeats
        Number of rounds.

    Returns
    -------
    dict
        ``proposal_over_passes``, ``map_over_passes`` (median, low, high), ``milliseconds``
        (medians), and what was timed.
    """
    start = volume.slice_count // 2
    indices = [(start + i) % volume.slice_count for i in range(repeats)]
    rounds = [_slice_works(predictor, volume, index) for index in indices]
    seconds = alternate(rounds, clock, told)
    return {
        **_ratios(seconds, {"proposal": "proposal_over_passes", "map": "map_over_passes"}),
        "milliseconds": _milliseconds(seconds),
        "batch": list(input_batch(predictor, volume, start).shape),
        "repeats": repeats,
    }


def volume_latency(
    predictor: Predictor,
    volume: Volume,
    repeats: int = 20,
    told: Told = lambda done, total: None,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """Time proposal and map of a whole scan over the bare passes of all its slices.

    Returns
    -------
    dict
        ``volume_over_passes`` (median, low, high), ``milliseconds`` (medians), ``slices``.
    """
    batches = [input_batch(predictor, volume, i) for i in range(volume.slice_count)]
    works: dict[str, Work] = {
        "passes": lambda: [run_network(predictor, batch) for batch in batches],
        "volume": lambda: predict_scan(predictor, volume),
    }
    seconds = alternate([works] * repeats, clock, told)
    return {
        **_ratios(seconds, {"volume": "volume_over_passes"}),
        "milliseconds": _milliseconds(seconds),
        "slices": volume.slice_count,
        "repeats": repeats,
    }


def input_batch(predictor: Predictor, volume: Volume, index: int) -> Tensor:
    """Return what the network sees of a slice, (V, C, h, w): prepared beforehand, untimed."""
    image = predictor.checkpoint.preprocessing.slice_input(volume, index)
    return predictor.view_batch(torch.from_numpy(image))


def run_network(predictor: Predictor, batch: Tensor) -> None:
    """Run the bare network, and nothing around it."""
    with torch.inference_mode():
        predictor.checkpoint.network(batch)


def _slice_works(predictor: Predictor, volume: Volume, index: int) -> dict[str, Work]:
    prediction = predictor.predict_slice(volume, index)
    return {
        "passes": partial(run_network, predictor, input_batch(predictor, volume, index)),
        "proposal": lambda: predictor.predict_slice(volume, index).labels(),
        "map": partial(_map, predictor, volume, index, prediction, prediction.labels()),
    }


def _map(
    predictor: Predictor,
    volume: Volume,
    index: int,
    prediction: Prediction,
    labels: np.ndarray[Any, Any],
) -> None:
    score = disagreement(prediction.coarse, prediction.refined).score
    image = volume.slices()[index]
    rank_patches(score, labels, image, index, predictor.checkpoint.low_contrast)


def _ratios(seconds: Mapping[str, Seconds], names: Mapping[str, str]) -> dict[str, Any]:
    """Return each work over the passes, under its name in the report."""
    rng = np.random.default_rng(0)
    passes = seconds["passes"]
    return {named: asdict(Ratio.of(seconds[work], passes, rng)) for work, named in names.items()}


def _milliseconds(seconds: Mapping[str, Seconds]) -> dict[str, float]:
    return {name: round(float(np.median(s)) * 1000, 3) for name, s in seconds.items()}
