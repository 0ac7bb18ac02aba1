"""What a training step costs: processor time over a supervised one, memory by batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from napari_crii.benchmark.machine import peak_megabytes, start_peak
from napari_crii.device import placed
from napari_crii.errors import TrainingError
from napari_crii.networks import CRIINet, NetworkConfig, seeded
from napari_crii.phantom import make_phantom
from napari_crii.preprocessing import Preprocessing
from napari_crii.training import Event, TrainingConfig
from napari_crii.training.data import from_volume
from napari_crii.training.fit import Learner
from napari_crii.training.method import FAITHFUL, PLUS, SUP
from napari_crii.training.objectives import CoarseRefined
from napari_crii.training.streams import StreamSampler, without_labels

# Every ingredient acts from the first step on.
_SETTINGS = {
    "sup": SUP,
    "faithful_unranked": replace(FAITHFUL, intra=0.0, inter=0.0),
    "faithful": replace(FAITHFUL, ranked_from=0.0, ranked_full=1e-9),
    "plus_unranked": replace(PLUS, labelled_only=0.0, intra=0.0, inter=0.0),
    "plus": replace(PLUS, labelled_only=0.0, ranked_from=0.0, ranked_full=1e-9),
}


def step_seconds(
    repeats: int = 10, batch: int = 8, crop: int = 128, mixed_precision: bool = False
) -> dict[str, float]:
    """Return the median processor seconds of a step, settings by turns, on the phantom.

    ``plus`` over ``sup`` is what the method costs; what a preset costs more than its
    ``…_unranked`` is the ranked losses' share.
    """
    runs = {name: _events(name, repeats, batch, crop, mixed_precision) for name in _SETTINGS}
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, events in runs.items():
            started = time.process_time()
            next(events)
            spent[name].append(time.process_time() - started)
    # The first step of each builds what later ones reuse.
    return {name: float(np.median(seconds[1:])) for name, seconds in spent.items()}


def step_megabytes(batches: Sequence[int], crop: int = 128) -> dict[int, float]:
    """Return the peak memory of the process in a step of ``plus``, in MB, by labelled crops.

    The batches should rise: memory that was taken once is not always given back.

    Raises
    ------
    TrainingError
        If this system does not tell.
    """
    found = {}
    for batch in batches:
        start_peak()
        events = _events("plus", 2, batch, crop, mixed_precision=False)
        next(events)
        next(events)
        peak = peak_megabytes()
        if peak is None:
            raise TrainingError("this system does not tell how much memory a process took")
        found[batch] = peak
    return found


def _events(
    name: str, repeats: int, batch: int, crop: int, mixed_precision: bool
) -> Iterator[Event]:
    config = TrainingConfig(
        iterations=repeats + 1, batch=batch, crop=crop, mixed_precision=mixed_precision,
        method=_SETTINGS[name],
    )  # fmt: skip
    volume, mask = make_phantom((8, 128, 128))
    data = from_volume(volume, mask, Preprocessing(), 3)
    rng = np.random.default_rng(0)
    with seeded(0):
        network = CRIINet(NetworkConfig(classes=3))
    placed(network)
    sampler = StreamSampler(data[::2] + without_labels(data[1::2]), config, rng)
    return Learner(network, CoarseRefined(config.method, 3), sampler, config, rng).run()
