"""F7: NaN and infinity in loss, gradient, weights and scan, and learning rates that explode.

    python -m tests.faults.f7 --count 50

A case lets a run go wrong at a random step. The network must come back to the bit as it came, a
tick must publish nothing and say so in one sentence, and strokes must be there afterwards. One case
in five goes through a real trainer, whose folder must stay without weights.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from napari_crii.checkpoint import save_checkpoint
from napari_crii.engine.messages import Learn, LearningFinished
from napari_crii.snapshot import Snapshot
from napari_crii.training import Finished, FinishReason, fit
from napari_crii.training.data import from_snapshot
from napari_crii.training.method import PRESETS
from napari_crii.training.objectives import CoarseRefined
from napari_crii.training.tick import TickResult, run_tick
from napari_crii.training.tick_config import TickConfig
from tests.faults.frame import Verdict, main
from tests.faults.learning import Work, is_sentence, learn_in_child, weights

FULL = 50
STEPS = 12
_KINDS = ("loss", "gradient", "weights", "learning rate", "trainer")
_VALUES = (float("nan"), float("inf"), -float("inf"))


def check(seed: int, folder: Path) -> Verdict:
    """Let one run go wrong; the seed chooses how and when."""
    torch.set_num_threads(1)
    kind = _KINDS[seed % len(_KINDS)]
    rng = np.random.default_rng(seed)
    work = Work(folder)
    if kind == "trainer":
        words, fault = _in_trainer(work.snapshot(), folder, rng)
    else:
        words, fault = _in_process(work.snapshot(), kind, rng)
    published = list(folder.glob("*/crii-*")) or work.project.weights.all
    fault = fault or ("weights were published" if published else "")
    return Verdict(words, work.harm() or fault, f"{kind}: rolled back, said")


def _in_process(snapshot: Snapshot, kind: str, rng: np.random.Generator) -> tuple[str, str]:
    config = TickConfig(iterations=STEPS, batch=2, crop=64)
    at, value = int(rng.integers(1, STEPS + 1)), float(rng.choice(_VALUES))
    words = f"{value} in the {kind} at step {at}"
    if kind == "learning rate":
        config = replace(config, learning_rate=float(rng.uniform(0.3, 1)), iterations=4 * STEPS)
        words = f"a learning rate of {config.learning_rate:.2f}"
    config = replace(config, preset=str(rng.choice(list(PRESETS))))
    words += f", by {config.preset}"
    start = weights()
    with _poison(kind, at, value):
        *_, result = run_tick(start, snapshot, config)
    with _poison(kind, at, value):
        fault = _not_rolled_back(start, snapshot, config)
    assert isinstance(result, TickResult)
    if result.checkpoint is not None or result.reason != FinishReason.FAILED:
        return words, f"ended with {result.reason}"
    return words, fault or ("" if is_sentence(result.message) else f"said {result.message!r}")


def _not_rolled_back(start, snapshot: Snapshot, config: TickConfig) -> str:
    """Run `fit` itself, which trains a network where it is; return what is wrong with that one."""
    network = copy.deepcopy(start.network)
    data = from_snapshot(snapshot.training, start.preprocessing, 2)
    training = config.training(start.preprocessing.mirror_axes)
    *_, end = fit(network, data, training, np.random.default_rng(config.seed))
    assert isinstance(end, Finished)
    if end.reason is not FinishReason.FAILED:
        return f"the run ended with {end.reason}"
    pairs = zip(network.state_dict().values(), start.network.state_dict().values(), strict=True)
    return "" if all(torch.equal(a, b) for a, b in pairs) else "the weights are other ones"


@contextmanager
def _poison(kind: str, at: int, value: float) -> Iterator[None]:
    """Let step `at` go wrong."""
    taken = 0
    objective, update = CoarseRefined.__call__, torch.optim.AdamW.step

    def poisoned(self, step):
        nonlocal taken
        taken += 1
        loss = objective(self, step)
        if kind == "loss" and taken == at:
            return loss * value
        if kind == "gradient" and taken == at:
            loss.register_hook(lambda gradient: gradient * value)
        return loss

    def updated(self, *arguments, **settings):
        result = update(self, *arguments, **settings)
        if kind == "weights" and taken == at:
            with torch.no_grad():
                self.param_groups[0]["params"][taken % 7].view(-1)[0] = value
        return result

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(CoarseRefined, "__call__", poisoned))
        stack.enter_context(mock.patch.object(torch.optim.AdamW, "step", updated))
        yield


def _in_trainer(snapshot: Snapshot, folder: Path, rng: np.random.Generator) -> tuple[str, str]:
    """Let a real trainer meet a scan that is not of numbers, or a rate that explodes."""
    rate, words = 0.0, "voxels that are no numbers, in a real trainer"
    if rng.random() < 0.5:
        rate = float(rng.uniform(0.3, 1))
        words = f"a learning rate of {rate:.2f}, in a real trainer"
    else:
        slices = tuple(replace(s, image=s.image * np.float32("nan")) for s in snapshot.slices)
        snapshot = Snapshot(slices)
    save_checkpoint(folder / "start.safetensors", weights())
    request = Learn(
        snapshot=str(folder / "s.npz"),
        checkpoint=str(folder / "start.safetensors"),
        folder=str(folder / "published"),
        iterations=4 * STEPS,
        learning_rate=rate,
        preset=str(rng.choice(list(PRESETS))),
    )
    words += f", by {request.preset}"
    said, code = learn_in_child(snapshot, request, folder)
    end = said[-1]
    if not isinstance(end, LearningFinished) or code != 0:
        return words, f"the trainer said {end} and ended with {code}"
    if end.reason != FinishReason.FAILED or end.checkpoint:
        return words, f"the trainer ended with {end}"
    return words, "" if is_sentence(end.message) else f"said {end.message!r}"


if __name__ == "__main__":
    sys.exit(main("F7", check, full=FULL))
