"""Fine-tuning ticks on a project: its cases read, learnt from, and the weights published in it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_crii.checkpoint import Checkpoint, load_checkpoint
from napari_crii.cli._output import Advance, note, progress_bar
from napari_crii.device import choose_device, is_out_of_memory
from napari_crii.errors import CriiError, ProjectError, ReadOnlyError, TrainingError
from napari_crii.session.correction import SliceStatus
from napari_crii.session.project import Project
from napari_crii.session.weights import PublishedWeights
from napari_crii.snapshot import Snapshot
from napari_crii.training import Event, FinishReason, Remarked, Stepped
from napari_crii.training.method import preset as method_of
from napari_crii.training.tick import BEGAN_ON_PROCESSOR, TickResult, publish, run_tick
from napari_crii.training.tick_config import first_network, usual_config


@dataclass(frozen=True)
class Wish:
    """What is asked for; fields as the options of the command."""

    folder: Path
    ticks: int
    preset: str
    iterations: int
    device: str


@dataclass(frozen=True)
class Tick:
    """How one run went; `digest` is that of published weights, else empty."""

    number: int
    reason: str
    digest: str
    message: str
    before: float
    after: float
    check_slices: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What was learnt from, and what came of it; `left_out` are cases whose scan cannot be had."""

    slices: int
    unlabelled: int
    left_out: tuple[str, ...]
    ticks: tuple[Tick, ...]
    in_use: str


def run_finetuning(wish: Wish) -> Outcome:
    """Learn from a project, and publish into it.

    Raises
    ------
    ProjectError
        If there is no project, it may not be written to, or nothing in it can be learnt from.
    TrainingError, DeviceError
        If there is no such preset or device, or a run fails.
    """
    method_of(wish.preset)
    choose_device(wish.device)
    with Project.open(wish.folder) as project:
        if project.read_only:
            raise ReadOnlyError(project.read_only)
        left_out = _open_cases(project)
        start = _start(project)
        snapshot = project.session.snapshot(start.preprocessing.neighbours)
        _require_news(project, snapshot, left_out)
        ticks: list[Tick] = []
        for number in range(1, wish.ticks + 1):
            try:
                start, tick = _tick(project, wish, start, snapshot, number)
            except TrainingError as error:
                kept = sum(bool(tick.digest) for tick in ticks)
                before = f"; what {kept} before it learnt is kept" if kept else ""
                raise TrainingError(f"tick {number}: {error}{before}") from error
            ticks.append(tick)
            # At once: what comes after may fail or be interrupted, these weights are kept.
            if tick.digest:
                project.session.mark_learned()
        unlabelled = len(snapshot.unlabelled) if method_of(wish.preset).unlabelled else 0
        learnt = len(snapshot.training)
        return Outcome(learnt, unlabelled, left_out, tuple(ticks), project.weights.in_use)


def _open_cases(project: Project) -> tuple[str, ...]:
    """Bring the cases with work back; return the names of those whose scan cannot be had."""
    records = project.records.cases.values()
    worked = [
        record.name
        for record in records
        if project.restored(record).slices_with(SliceStatus.EDITED, SliceStatus.ACCEPTED)
    ]
    missing = [name for name in worked if not project.scans.is_there(name)]
    if missing:
        note(f"Left out, their scans are not where they were: {', '.join(missing)}")
    with progress_bar("reading") as advance:
        found = [name for name in worked if name not in missing]
        for done, name in enumerate(found, start=1):
            try:
                project.open_case(name)
            except CriiError as error:
                missing.append(name)
                note(f"Left out: {name}: {error}")
            advance(done, len(found), name)
    return tuple(missing)


def _start(project: Project) -> Checkpoint:
    """Return the weights in use, or a new network for the project's classes."""
    if project.weights.in_use:
        path = next(one.path for one in project.weights.all if one.digest == project.weights.in_use)
        assert path is not None
        return load_checkpoint(path)
    cases = project.session.cases.values()
    channels = max((case.volume.channels for case in cases), default=1)
    return first_network([c.name for c in project.session.classes], channels)


def _require_news(project: Project, snapshot: Snapshot, left_out: Sequence[str]) -> None:
    """Raise `ProjectError` unless there is something to learn that was not learnt before."""
    if not snapshot.training and left_out:
        raise ProjectError(
            f"{project.folder}: there is nothing to learn from without the scans that were left out"
        )
    if not snapshot.training:
        raise ProjectError(
            f"{project.folder}: no slice of a case that trains is corrected or accepted, so there "
            "is nothing to learn from"
        )
    if not project.session.fresh_slices():
        raise ProjectError(
            f"{project.folder}: there is nothing new to learn: accept a slice that the network "
            "has not learnt from"
        )


def _tick(
    project: Project, wish: Wish, start: Checkpoint, snapshot: Snapshot, number: int
) -> tuple[Checkpoint, Tick]:
    """Learn once; return the weights to go on from."""
    began = time.monotonic()
    config = usual_config(start).with_overrides(wish.iterations, preset=wish.preset)
    config = replace(config, seed=number - 1)
    device = choose_device(wish.device)
    with progress_bar(f"learning, tick {number} of {wish.ticks}") as advance:
        try:
            result = _followed(run_tick(start, snapshot, config, device=device), advance)
        except RuntimeError as error:
            if device.type == "cpu" or is_out_of_memory(error):
                raise
            note(BEGAN_ON_PROCESSOR.format(device))
            result = _followed(run_tick(start, snapshot, config), advance)
    if result.reason == FinishReason.FAILED:
        raise TrainingError(result.message.rstrip("."))
    digest = _published(project, result, len(snapshot.training))
    if digest:
        assert result.checkpoint is not None
        start = replace(result.checkpoint, digest=digest)
    scores = (result.before, result.after, result.check_slices)
    words = result.message
    seconds = time.monotonic() - began
    return start, Tick(number, result.reason, digest, words, *scores, seconds)


def _followed(events: Iterable[Event | TickResult], advance: Advance) -> TickResult:
    """Show a run, and return what it leads to."""
    for event in events:
        match event:
            case Stepped(step, total, loss):
                advance(step, total, f"loss {loss:.3f}")
            case Remarked(text):
                note(text)
            case TickResult():
                return event
    raise TrainingError("the run ended without a result")


def _published(project: Project, result: TickResult, slices: int) -> str:
    """Keep the new weights in the project and return their digest; none: nothing to keep."""
    if result.checkpoint is None:
        return ""
    with tempfile.TemporaryDirectory(prefix="napari-crii-") as folder:
        path = publish(result.checkpoint, Path(folder))
        scores = (result.before, result.after, result.check_slices)
        learnt = PublishedWeights.of(path, slices, *scores)
        return project.weights.add(path, learnt)
