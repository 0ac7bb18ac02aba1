"""The window's end: children as objects, their answers as calls. No Qt, no torch."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from napari_crii.engine.child import Child, Job, Receiver
from napari_crii.engine.messages import (
    Cancel,
    Closed,
    Learn,
    Message,
    OpenScan,
    PauseLearning,
    Propose,
    SliceProposed,
    StopLearning,
    UseCheckpoint,
)
from napari_crii.session.proposals import Proposal
from napari_crii.snapshot import Snapshot, save_snapshot
from napari_crii.volume import Volume

ENGINE = "napari_crii.engine.worker"
TRAINER = "napari_crii.engine.trainer"


class EngineClient:
    """Proposals from a child process, restarted on the next request when it died.

    Parameters
    ----------
    receive
        Called with each message, on another thread.
    """

    def __init__(self, receive: Receiver) -> None:
        self._receive = receive
        self._folder = Path(tempfile.mkdtemp(prefix="napari-crii-"))
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, True)
        self._requests = itertools.count(1)
        self._files = itertools.count()
        self._ended = threading.Event()
        self._child: Child | None = None
        self._checkpoint: Path | None = None
        self._scans: dict[str, Job] = {}

    @property
    def folder(self) -> Path:
        """A private folder that lives as long as the client."""
        return self._folder

    @property
    def pid(self) -> int | None:
        """Process id of the engine, if it runs."""
        running = self._child is not None and not self._ended.is_set()
        return self._child.pid if running and self._child is not None else None

    def use_checkpoint(self, path: Path) -> None:
        """Propose with these weights from the next slice on."""
        child = self._ensure()
        self._checkpoint = path
        child.send(UseCheckpoint(str(path)))

    def open_scan(self, key: str, volume: Volume) -> None:
        """Make a scan known; its voxels are handed over as a memory-mapped file."""
        path = self.folder / f"{next(self._files)}.npy"
        message = OpenScan(key, str(path), volume.slice_spacing, volume.geometry.unit)

        def spool() -> Message:
            if not path.exists():
                _save_whole(path, volume)
            return message

        child = self._ensure()
        self._scans[key] = spool
        child.send_later(spool)

    def propose(self, key: str, slices: Iterable[int]) -> int:
        """Ask for slices of a scan, in this order; return the request's number."""
        number = next(self._requests)
        self._ensure().send(Propose(number, key, tuple(slices)))
        return number

    def cancel(self) -> None:
        """Stop proposing."""
        if self._child is not None:
            self._child.send(Cancel())

    def close(self, wait: bool = False) -> None:
        """End the engine and remove the private folder."""
        child, self._child = self._child, None

        def finish() -> None:
            """Remove the folder only when nobody writes to it any more."""
            if child is not None:
                child.close(wait=True)
            self._remove_folder()

        if child is None or wait:
            finish()
        else:
            threading.Thread(target=finish, name="closing", daemon=True).start()

    def _ensure(self) -> Child:
        """Return the running child; a new one is told what the old one knew."""
        if self._child is None or self._ended.is_set():
            self._ended = threading.Event()
            self._child = Child(ENGINE, _relay(self._receive, self._ended))
            if self._checkpoint is not None:
                self._child.send(UseCheckpoint(str(self._checkpoint)))
            for spool in self._scans.values():
                self._child.send_later(spool)
        return self._child


def _relay(receive: Receiver, ended: threading.Event) -> Receiver:
    """Return a receiver that notes the end of a child; it must not keep the client alive."""

    def relay(message: Message) -> None:
        if isinstance(message, Closed):
            ended.set()
        receive(message)

    return relay


def _save_whole(path: Path, volume: Volume) -> None:
    """Write voxels, slices first; the file appears whole or not at all."""
    partial = path.with_name(f"{path.name}.{threading.get_ident()}")
    with partial.open("wb") as stream:
        np.save(stream, volume.slices())
    partial.replace(path)


class TrainerClient:
    """One run of the trainer.

    Parameters
    ----------
    receive
        Called with each message, on another thread.
    """

    def __init__(self, receive: Receiver) -> None:
        self._child = Child(TRAINER, receive)

    @property
    def pid(self) -> int | None:
        """Process id of the trainer, once started."""
        return self._child.pid

    def learn(self, snapshot: Snapshot, folder: Path, request: Learn) -> None:
        """Freeze the snapshot into `folder` and start; `request` names that file."""

        def freeze() -> Message:
            folder.mkdir(parents=True, exist_ok=True)
            save_snapshot(Path(request.snapshot), snapshot)
            return request

        self._child.send_later(freeze)

    def pause(self, paused: bool) -> None:
        """Wait before the next step, or go on."""
        self._child.send(PauseLearning(paused))

    def stop(self) -> None:
        """Discard what is being learnt."""
        self._child.send(StopLearning())

    def close(self, wait: bool = False) -> None:
        """End the trainer."""
        self._child.close(wait)


def collect(message: SliceProposed) -> Proposal:
    """Read a proposal's arrays and delete their files.

    Raises
    ------
    OSError
        If the files are gone.
    """
    paths = (Path(message.labels), Path(message.score))
    labels, score = (np.array(np.load(path, mmap_mode="r")) for path in paths)
    for path in paths:
        path.unlink(missing_ok=True)
    return Proposal(message.slice, labels, score, message.patches, message.checkpoint)
