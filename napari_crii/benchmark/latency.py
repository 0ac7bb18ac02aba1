"""What a proposal and its map cost, over the bare network passes that they need."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_crii.benchmark.ratios import Ratio, Seconds, Work, alternate
from napari_crii.inference import Predictor
from napari_crii.scan_prediction import doubt_on_slice, predict_scan
from napari_crii.volume import Volume

_SLICES = 5

Told = Callable[[int, int], None]
Clock = Callable[[], float]


def slice_latency(
    predictor: Predictor,
    volume: Volume,
    repeats: int = 20,
    told: Told = lambda done, total: None,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """Time proposals of single slices, five of them in turn, spread over the scan.

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
        ``proposal_over_passes`` and ``map_over_passes``, medians of the rounds' ratios, each with
        its 95 % ``…_interval``; ``milliseconds``, medians; ``batch``, shape of the passes' input.
    """
    count = min(_SLICES, repeats)
    indices = [(2 * i + 1) * volume.slice_count // (2 * count) for i in range(count)]
    works = [_slice_works(predictor, volume, index) for index in indices]
    seconds = alternate([works[i % count] for i in range(repeats)], clock, told)
    return {
        **_over(seconds, "proposal", "passes"),
        **_over(seconds, "map", "passes"),
        "milliseconds": _milliseconds(seconds),
        "batch": list(input_batch(predictor, volume, indices[0]).shape),
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
        ``volume_over_passes`` with its interval, ``milliseconds``.
    """
    batches = [input_batch(predictor, volume, i) for i in range(volume.slice_count)]
    works: dict[str, Work] = {
        "volume_passes": lambda: [run_network(predictor, batch) for batch in batches],
        "volume": lambda: predict_scan(predictor, volume),
    }
    seconds = alternate([works] * repeats, clock, told)
    return {
        **_over(seconds, "volume", "volume_passes"),
        "milliseconds": _milliseconds(seconds),
    }


def input_batch(predictor: Predictor, volume: Volume, index: int) -> Tensor:
    """Return what the network sees of a slice, (V, C, h, w): prepared beforehand, untimed."""
    image = predictor.checkpoint.preprocessing.slice_input(volume, index)
    return predictor.view_batch(torch.from_numpy(image))


def run_network(predictor: Predictor, batch: Tensor) -> object:
    """Return what the bare network says, with nothing around it."""
    with torch.inference_mode():
        return predictor.checkpoint.network(batch)


def _slice_works(predictor: Predictor, volume: Volume, index: int) -> dict[str, Work]:
    prediction = predictor.predict_slice(volume, index)
    labels, low_contrast = prediction.labels(), predictor.checkpoint.low_contrast
    return {
        "passes": partial(run_network, predictor, input_batch(predictor, volume, index)),
        "proposal": lambda: predictor.predict_slice(volume, index).labels(),
        "map": partial(doubt_on_slice, prediction, labels, volume, index, low_contrast),
    }


def _over(seconds: Mapping[str, Seconds], work: str, passes: str) -> dict[str, Any]:
    """Return one work over the passes, named as in the report."""
    ratio = Ratio.of(seconds[work], seconds[passes], np.random.default_rng(0))
    return ratio.named(f"{work}_over_passes")


def _milliseconds(seconds: Mapping[str, Seconds]) -> dict[str, float]:
    return {name: round(float(np.median(s)) * 1000, 3) for name, s in seconds.items()}
