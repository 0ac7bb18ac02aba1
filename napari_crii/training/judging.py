"""How weights are judged on slices that are never learnt from, and when new ones lose."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import stdtrit

from napari_crii.inference import most_certain_pieces
from napari_crii.metrics import dice
from napari_crii.networks.segmenter import Segmenter
from napari_crii.training.data import TrainingSlice

TOLERATED_LOSS = 0.005
_CONFIDENCE = 0.9
_PLAIN_LOSS = 0.05
# On the way of a run at most this many slices are judged in all, so that it costs little.
_ON_THE_WAY = 4
_SLICES_ON_THE_WAY = 64


@dataclass(frozen=True, eq=False)
class Judge:
    """The check slices of a run.

    Attributes
    ----------
    slices
        To judge by; there may be none.
    classes
        Number of classes, background included.
    device
        Where the networks are.
    one_object
        Whether of each class only the most certain piece counts, as in proposals.
    """

    slices: Sequence[TrainingSlice]
    classes: int
    device: torch.device
    one_object: bool = False

    def scores(self, network: Segmenter, stop: Callable[[], bool] = lambda: False) -> list[float]:
        """Return, for each slice, the mean Dice of the foreground classes where a human vouches.

        A class that neither shows says nothing; a slice without any, left empty, counts as 1.
        One pass a slice, on the grid on which the network learns. None at all once `stop` says so;
        it is asked before each slice.
        """
        found = []
        for item in self.slices:
            if stop():
                return []
            found.append(self._dice(network, item))
        return found

    def steps(self, total: int) -> frozenset[int]:
        """Return after which of `total` steps the weights are judged on the way."""
        often = min(_ON_THE_WAY, _SLICES_ON_THE_WAY // max(1, len(self.slices)))
        if not self.slices:
            return frozenset()
        return frozenset(total * part // (often + 1) for part in range(1, often + 1)) - {0, total}

    def _dice(self, network: Segmenter, item: TrainingSlice) -> float:
        with torch.inference_mode():
            p = network(item.image[None].to(self.device)).refined.softmax(dim=1)[0].cpu().numpy()
        labels = p.argmax(axis=0).astype(np.uint16)
        if self.one_object:
            labels = most_certain_pieces(labels, p)
        said = (item.weight > 0).numpy()
        predicted, truth = labels[said], item.label.numpy()[said]
        found = [
            dice(predicted == k, truth == k)
            for k in range(1, self.classes)
            if (predicted == k).any() or (truth == k).any()
        ]
        return float(np.mean(found)) if found else 1.0


def loses(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether it is shown, one-sided at 90 %, that more than half a Dice point was lost.

    So are, whatever they show, five points of the mean, and a score that is no number: where one of
    a few slices loses everything, the spread is so wide that nothing is ever shown.

    Parameters
    ----------
    before, after
        Dice of the same check slices, at least two, under the old and the new weights.
    """
    change = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    if not change.mean() >= -_PLAIN_LOSS:
        return True
    error = float(change.std(ddof=1)) / math.sqrt(len(change))
    # Student's t: with three slices the normal quantile would refuse too easily.
    quantile = float(stdtrit(len(change) - 1, _CONFIDENCE))
    return float(change.mean()) + quantile * error < -TOLERATED_LOSS
