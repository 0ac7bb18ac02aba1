"""A real window with the assistant docked, and an engine that answers when it is told to."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from napari_crii._layers import image_layer
from napari_crii.benchmark.window.rounds import children_of_window
from napari_crii.classes import numbered_classes
from napari_crii.engine.messages import Message, ProposalFinished, SliceProposed
from napari_crii.io import write_map
from napari_crii.patches import Box, Patch, Reason
from napari_crii.phantom import make_phantom
from napari_crii.session import Proposal
from napari_crii.session.project import Project
from napari_crii.session.proposals import LOW_CONTRAST, NEAR_EDGE
from napari_crii.volume import Volume
from tests.engine.trainer_stand_in import TrainerStandIn
from tests.factories import small_checkpoint

PATIENCE_MS = 60_000
CLASSES = numbered_classes(["class 1", "class 2"])


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what windows remember of open projects away from the user's own."""
    monkeypatch.setenv("NAPARI_CRII_STATE", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="session")
def phantom() -> Volume:
    return make_phantom((6, 40, 50))[0]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small network with random weights and two classes."""
    return save_small(tmp_path_factory.mktemp("weights") / "small.safetensors")


def save_small(path: Path, **changes: Any) -> Path:
    from napari_crii.checkpoint import save_checkpoint

    save_checkpoint(path, small_checkpoint(**{"classes": 3, **changes}))
    return path


class StandIn:
    """Takes the engine's place inside this process: answers when told, with what we know."""

    def __init__(self, receive: Callable[[Message], None]) -> None:
        self.receive = receive
        self.asked: list[tuple[int, str, tuple[int, ...]]] = []
        self.checkpoints: list[Path] = []
        self.scans: dict[str, Volume] = {}
        self.cancelled = 0
        self.pid = None
        self.folder = Path()
        self._numbers = itertools.count(1)

    def use_checkpoint(self, path: Path) -> None:
        self.checkpoints.append(path)

    def open_scan(self, key: str, volume: Volume) -> None:
        self.scans[key] = volume

    def forget_scans(self) -> None:
        self.scans.clear()

    def propose(self, key: str, slices: list[int]) -> int:
        number = next(self._numbers)
        self.asked.append((number, key, tuple(slices)))
        return number

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        self.receive = lambda _: None

    def answer(self, digest: str = "first", count: int | None = None) -> None:
        """Propose what was asked for last, or its first `count` slices."""
        number, key, slices = self.asked[-1]
        _, rows, columns = self.scans[key].slices().shape[:3]
        for index in slices[:count]:
            made = proposal(index, (rows, columns), digest)
            stem = self.folder / f"{number}-{index}"
            np.save(stem.with_suffix(".labels.npy"), made.labels)
            np.save(stem.with_suffix(".maps.npy"), [made.score, made.branches, made.places])
            files = (str(stem.with_suffix(f".{kind}.npy")) for kind in ("labels", "maps"))
            self.receive(SliceProposed(number, key, index, *files, made.patches, digest))
        if count is None:
            self.receive(ProposalFinished(number, key, 0.5))


def proposal(index: int, shape: tuple[int, int] = (40, 50), digest: str = "first") -> Proposal:
    """Return a proposal: a rectangle of class 1 in the middle, two doubtful patches."""
    rows, columns = shape
    labels = np.zeros(shape, dtype=np.uint8)
    labels[rows // 4 : rows // 2, columns // 4 : columns // 2] = 1
    score = np.where(labels, 200, 10).astype(np.uint8)
    patches = (
        Patch(index, Box(2, 3, 10, 12), 0.9 - index / 100, Reason.REGION),
        Patch(index, Box(20, 30, 28, 40), 0.5 - index / 100, Reason.BOUNDARY),
    )
    branches, places = np.full(shape, 7, np.uint8), np.zeros(shape, np.uint8)
    places[rows // 4], places[:, columns // 4] = NEAR_EDGE, LOW_CONTRAST
    return Proposal(index, labels, score, patches, digest, branches, places)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """Put stand-ins in the engine's place; `last` is the newest."""
    made = SimpleNamespace(last=None)

    def make(receive: Callable[[Message], None]) -> StandIn:
        made.last = StandIn(receive)
        made.last.folder = tmp_path / "engine"
        made.last.folder.mkdir(exist_ok=True)
        return made.last

    monkeypatch.setattr("napari_crii.widgets.proposing.EngineClient", make)
    return made


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Put stand-ins in the trainer's place; `last` is the newest, `made` are all."""
    made = SimpleNamespace(last=None, made=[])

    def make(receive: Callable[[Message], None]) -> TrainerStandIn:
        made.last = TrainerStandIn(receive)
        made.made.append(made.last)
        return made.last

    monkeypatch.setattr("napari_crii.engine.trainer_run.TrainerClient", make)
    return made


@pytest.fixture
def open_window(
    make_napari_viewer: Callable[..., Any], qtbot: Any, phantom: Volume, weights: Path
) -> Iterator[Callable[..., Any]]:
    """Return a function that opens the window on scans (the phantom), assistant docked."""
    from tests.widgets.driver import Window

    opened: list[Window] = []

    def opening(*scans: Volume, checkpoint: Path | None = weights) -> Window:
        viewer = make_napari_viewer(show=True)
        for scan in scans or (phantom,):
            data, arguments, _ = image_layer(scan)
            viewer.add_image(data, **arguments)
        window = Window(viewer, qtbot)
        opened.append(window)
        window.assistant.enter(viewer.layers[-1].name, checkpoint, CLASSES)
        return window

    yield opening
    for window in opened:
        window.end()
    opened.clear()
    # Threads that serve a child hold the window until it is gone; the leak check follows.
    qtbot.waitUntil(lambda: not serving_threads(), timeout=PATIENCE_MS)
    assert not children()


@pytest.fixture
def window(
    open_window: Callable[..., Any], engine: SimpleNamespace, trainer: SimpleNamespace
) -> Any:
    """Return a window in which everything is proposed, with stand-ins for its children."""
    window = open_window()
    window.propose(engine.last)
    return window


@pytest.fixture
def scan(tmp_path: Path, phantom: Volume) -> Path:
    """Return a scan's file."""
    write_map(tmp_path / "scan.nii.gz", phantom.array.astype(np.float32) + 1, phantom.geometry)
    return tmp_path / "scan.nii.gz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project that remembers its reader and knows no case."""
    Project.create(tmp_path / "hearts", "hearts", CLASSES)
    with Project.open(tmp_path / "hearts", "ana") as project:
        project.set("reader", "ana")
    return tmp_path / "hearts"


def serving_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith(("napari_crii", "closing"))]


def children() -> list[psutil.Process]:
    """Return the engine and the trainer, while they run."""
    return [child for child, _ in children_of_window()]
