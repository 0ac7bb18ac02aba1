"""F6: memory that runs out in proposals and in training.

    python -m tests.faults.f6 --count 40

Half of the cases inject it: above a random size, or once, at a random place of a step. The run must
go on with fewer crops, then with smaller ones, and say so, from the very weights that the last
whole step left; a proposal must go on with one view at a time, then with tiles. Where nothing fits,
one sentence says so and nothing is published. The other half starts the real trainer and the real
engine and lets the kernel limit their memory (RLIMIT_AS). Strokes must be there afterwards in every
case.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from napari_crii.checkpoint import load_checkpoint, new_checkpoint, save_checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.engine.client import EngineClient, collect
from napari_crii.engine.messages import (
    Closed,
    Failed,
    Learn,
    LearningFinished,
    Notice,
    ProposalFinished,
    SliceProposed,
)
from napari_crii.errors import DeviceError
from napari_crii.inference import Predictor
from napari_crii.preprocessing import Preprocessing
from napari_crii.training import Finished, FinishReason, Remarked, Stepped, TrainingConfig
from napari_crii.training.data import from_snapshot
from napari_crii.training.fit import learner_of
from napari_crii.training.method import PRESETS, preset
from napari_crii.training.objectives import CoarseRefined
from napari_crii.training.streams import StreamSampler
from tests.faults.frame import Verdict, main
from tests.faults.learning import (
    PatientInbox,
    Work,
    is_sentence,
    learn_in_child,
    limit,
    scan,
    weights,
)

FULL = 40
STEPS = 6
BATCH, CROP = 8, 64
_KINDS = ("training, injected", "training, limited", "proposal, injected", "proposal, limited")
_PLACES = ("draw", "forward", "backward", "update")
# From where the least thing fails to where all of it fits, in bytes.
_STEP_LIMITS = (100 << 20, 500 << 20)
_SLICE_LIMITS = (48 << 20, 1200 << 20)
_BIG = (2, 448, 512)
# What the smallest tile shows the network, its margins too.
_LEAST = 128
Outcome = tuple[str, str, str]


def check(seed: int, folder: Path) -> Verdict:
    """Let memory run out once; the seed chooses where, and how much there is."""
    torch.set_num_threads(1)
    kind = _KINDS[seed % len(_KINDS)]
    run = {
        "training, injected": _training_injected,
        "training, limited": _training_limited,
        "proposal, injected": _proposal_injected,
        "proposal, limited": _proposal_limited,
    }[kind]
    work = Work(folder)
    words, fault, outcome = run(work, folder, np.random.default_rng(seed))
    return Verdict(f"{kind}: {words}", work.harm() or fault, f"{kind}: {outcome}")


def _shortage(rng: np.random.Generator) -> BaseException:
    """Return one of the ways in which it is told that memory ran out."""
    words = (
        "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried",
        "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory: you tried",
    )
    kinds = (MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), *map(RuntimeError, words))
    return kinds[int(rng.integers(len(kinds)))]


def _training_injected(work: Work, folder: Path, rng: np.random.Generator) -> Outcome:
    """Run out above a size for good, or once whatever the size."""
    start, error = weights(), _shortage(rng)
    once, place = bool(rng.random() < 0.5), str(rng.choice(_PLACES))
    at = int(rng.integers(1, STEPS + 1))
    fits = (int(rng.integers(1, BATCH + 1)), int(rng.choice([16, 32, 48, 64])))
    method = str(rng.choice(list(PRESETS)))
    data = from_snapshot(work.snapshot().training, start.preprocessing, 2)
    config = TrainingConfig(iterations=STEPS, batch=BATCH, crop=CROP, method=preset(method))
    taken = 0

    def too_much(batch: int, crop: int) -> bool:
        nonlocal taken
        taken += 1
        return taken == at if once else batch > fits[0] or crop > fits[1]

    with _Injection(place, too_much, error).patches():
        learner = learner_of(start.network, data, config, np.random.default_rng(0))
        came = _weights_of(learner.network)
        good, fault, remarks = came, "", []
        for event in learner.run():
            if isinstance(event, Remarked):
                remarks.append(event.text)
                same = torch.equal(_weights_of(learner.network), good)
                fault = fault or ("" if same else "a step cut short changed the weights")
            elif isinstance(event, Stepped):
                good = _weights_of(learner.network)
    assert isinstance(event, Finished)
    rungs, end = _expected(None if once else fits)
    said = [tuple(map(int, re.findall(r"\d+", text))) for text in remarks]
    words = f"{type(error).__name__} in {place} of {method}, "
    words += f"once, at {at}" if once else f"fits {fits}"
    if said != rungs or event.reason != end or not all(map(is_sentence, remarks)):
        return words, f"said {said} and {event}, expected {rungs} and {end}", "wrong"
    if end is FinishReason.FAILED and not torch.equal(_weights_of(learner.network), came):
        fault = fault or "the weights are not those that the run came with"
    return words, fault, "went on with less" if end is FinishReason.COMPLETED else "gave up, said"


class _Injection:
    """Lets memory run out at a place of a step, after some of its work."""

    def __init__(
        self, place: str, too_much: Callable[[int, int], bool], error: BaseException
    ) -> None:
        self._place, self._too_much, self._error = place, too_much, error
        self._size = (0, 0)
        self._objective, self._draw = CoarseRefined.__call__, StreamSampler.draw
        self._update = torch.optim.AdamW.step

    def patches(self) -> ExitStack:
        stack = ExitStack()
        for owner, name, ours in (
            (StreamSampler, "draw", lambda sampler: self._drawn(sampler)),
            (CoarseRefined, "__call__", lambda objective, step: self._forward(objective, step)),
            (torch.optim.AdamW, "step", lambda *given, **more: self._updated(*given, **more)),
        ):
            stack.enter_context(mock.patch.object(owner, name, ours))
        return stack

    def _is_out(self, place: str) -> bool:
        return place == self._place and self._too_much(*self._size)

    def _fail(self, *_: object) -> None:
        raise self._error

    def _drawn(self, sampler):
        batch = self._draw(sampler)
        self._size = (len(batch.labelled.images), batch.labelled.images.shape[-1])
        if self._is_out("draw"):
            self._fail()
        return batch

    def _forward(self, objective, step):
        loss = self._objective(objective, step)
        if self._is_out("forward"):
            self._fail()
        if self._is_out("backward"):
            loss.register_hook(self._fail)
        return loss

    def _updated(self, optimiser, *given, **more):
        if self._is_out("update"):
            # Some of the weights have moved by then.
            with torch.no_grad():
                optimiser.param_groups[0]["params"][0].add_(1)
            self._fail()
        return self._update(optimiser, *given, **more)


def _expected(fits: tuple[int, int] | None) -> tuple[list[tuple[int, int]], FinishReason]:
    """Return the sizes that are tried after the first one, and how the run ends; None: once."""
    ladder = [(4, 64), (2, 64), (2, 32)]
    if fits is None:
        return ladder[:1], FinishReason.COMPLETED
    good = [i for i, (b, c) in enumerate([(BATCH, CROP), *ladder]) if b <= fits[0] and c <= fits[1]]
    if not good:
        return ladder, FinishReason.FAILED
    return ladder[: good[0]], FinishReason.COMPLETED


def _weights_of(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def _proposal_injected(work: Work, folder: Path, rng: np.random.Generator) -> Outcome:
    """Run out above a number of views and pixels."""
    checkpoint, error = weights(), _shortage(rng)
    volume = scan(_BIG)
    whole = Predictor(checkpoint).predict_slice(volume, 0)
    views, side = int(rng.choice([1, 4])), int(rng.choice([40, 140, 200, 330, 600]))
    network = checkpoint.network

    def forward(image: torch.Tensor) -> object:
        if len(image) > views or max(image.shape[-2:]) > side:
            raise error
        return type(network).forward(network, image)

    words = f"{type(error).__name__}, fits {views} views of {side} pixels"
    with mock.patch.object(network, "forward", forward):
        predictor = Predictor(checkpoint)
        try:
            found = predictor.predict_slice(volume, 0)
        except DeviceError as refusal:
            fault = "" if side < _LEAST else f"gave up: {refusal}"
            return words, fault, "gave up, said"
    if side < _LEAST:
        return words, "proposed, though not one tile fits", "wrong"
    same = float((found.labels() == whole.labels()).mean())
    if found.refined.shape != whole.refined.shape or same < 0.9:
        return words, f"only {same:.0%} of the labels are those of a whole slice", "wrong"
    if (views, side) == (4, 600):
        return words, predictor.remark, "whole"
    fault = "" if predictor.remark and is_sentence(predictor.remark) else "nothing was said"
    return words, fault, "in smaller parts"


def _training_limited(work: Work, folder: Path, rng: np.random.Generator) -> Outcome:
    """Limit a real trainer, which learns with a network of the usual size."""
    more = _some_bytes(rng, _STEP_LIMITS)
    request = Learn(
        snapshot=str(folder / "s.npz"),
        checkpoint="",
        folder=str(folder / "published"),
        iterations=2,
        classes=("disc",),
    )
    said, code = learn_in_child(work.snapshot(), request, folder, more)
    words = f"{more >> 20} MB more"
    remarks = [message.text for message in said if isinstance(message, Notice)]
    end = said[-1]
    if code or not isinstance(end, LearningFinished):
        return words, f"the trainer said {end} and ended with {code}", "wrong"
    if not all(map(is_sentence, [*remarks, end.message])):
        return words, f"said {remarks} and {end.message!r}", "wrong"
    published = sorted((folder / "published").glob("crii-*"))
    if end.reason == FinishReason.COMPLETED:
        load_checkpoint(end.checkpoint)
        return words, "", "went on with less" if remarks else "had enough"
    fault = "weights were published" if published or end.checkpoint else ""
    return words, fault, "gave up, said"


def _proposal_limited(work: Work, folder: Path, rng: np.random.Generator) -> Outcome:
    """Limit a real engine, which proposes a large slice."""
    more = _some_bytes(rng, _SLICE_LIMITS)
    path = folder / "weights.safetensors"
    recipe = Preprocessing(scope="volume")
    save_checkpoint(path, new_checkpoint(numbered_classes(["disc"]), recipe))
    inbox = PatientInbox()
    engine = EngineClient(inbox.arrived.put)
    try:
        engine.use_checkpoint(path)
        engine.open_scan("small", work.case.volume)
        engine.open_scan("big", scan(_BIG))
        engine.propose("small", [0])
        inbox.until(ProposalFinished)
        limit(engine.pid or 0, more)
        engine.propose("big", [0])
        said = inbox.until(ProposalFinished, Failed, Closed)
        words, end = f"{more >> 20} MB more", said[-1]
        if isinstance(end, Closed):
            return words, f"the engine ended with {end.exit_code}", "wrong"
        if isinstance(end, Failed):
            fault = "" if "memory ran out" in end.message else f"said {end.message!r}"
            return words, fault, "gave up, said"
        proposed = [message for message in said if isinstance(message, SliceProposed)]
        labels = collect(proposed[0]).labels
        return words, "" if labels.shape == _BIG[1:] else "not a whole slice", "proposed"
    finally:
        engine.close(wait=True)


def _some_bytes(rng: np.random.Generator, limits: tuple[int, int]) -> int:
    """Return a number of bytes, small ones as often as large ones."""
    low, high = np.log(limits)
    return int(np.exp(rng.uniform(low, high)))


if __name__ == "__main__":
    sys.exit(main("F6", check, full=FULL))
