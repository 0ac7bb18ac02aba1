"""The window's end: children as objects, their answers as calls. No Qt, no torch."""

from __future__ import annotations

import itertools
import shutil
import threading
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from napari_crii.engine.child import Child, Receiver
from napari_crii.engine.command import ENGINE, TRAINER, engine_command, trainer_command
from napari_crii.engine.messages import (
    Learn,
    Message,
    PauseLearning,
    Propose,
    SliceProposed,
    StopLearning,
)
from napari_crii.engine.private_folder import private_folder
from napari_crii.engine.slice_maps import SliceMaps
from napari_crii.engine.spool import Spool
from napari_crii.engine.supervision import Process, Supervision
from napari_crii.patches import Patch
from napari_crii.session.proposals import Proposal
from napari_crii.snapshot import Snapshot, save_snapshot
from napari_crii.volume import Volume

__all__ = ["ENGINE", "TRAINER", "EngineClient", "TrainerClient", "collect"]

Start = Callable[[Receiver, Path], Process]
TRAINER_SILENT_SECONDS = 300


class EngineClient:
    """Proposals from an engine that starts with the first question, and again when it dies.

    Parameters
    ----------
    receive
        Called with each message, on another thread; after `close` at most with one that was on its
        way, whose files may be gone.
    start
        Starts an engine, given who receives and where its files arrive; by default a child.
    """

    def __init__(self, receive: Receiver, start: Start | None = None) -> None:
        self._folder = folder = private_folder()
        begin = start or _start_engine
        self._engine = Supervision(lambda relay: begin(relay, folder), receive)
        self._requests = itertools.count(1)
        self._files = itertools.count()
        self._spools: dict[str, Spool] = {}
        self._forget = weakref.finalize(self, _let_go, self._engine, self._folder)

    @property
    def folder(self) -> Path:
        """A private folder that lives as long as the client."""
        return self._folder

    @property
    def pid(self) -> int | None:
        """Process id of the engine, if it runs."""
        return self._engine.pid

    def use_checkpoint(self, path: Path) -> None:
        """Propose with these weights from the next slice on."""
        self._engine.use_checkpoint(path)

    def open_scan(self, key: str, volume: Volume) -> None:
        """Make a scan known; its voxels are handed over as a memory-mapped file."""
        spool = self._spools.get(key)
        if spool is None or not spool.is_of(volume):
            if spool is not None:
                spool.remove()
            path = self.folder / f"{next(self._files)}.npy"
            spool = self._spools[key] = Spool(key, path, volume)
        self._engine.open_scan(key, spool)

    def forget_scans(self) -> None:
        """Let go of every scan; those that are asked about later are made known again."""
        self._engine.forget_scans()
        for spool in self._spools.values():
            spool.remove()
        self._spools.clear()

    def propose(self, key: str, slices: Iterable[int]) -> int:
        """Ask for slices of a scan, in this order; return the request's number.

        They come before what was asked for earlier; see `Wanted`.
        """
        spool = self._spools.get(key)
        if spool is not None and spool.failed:
            self._engine.open_scan(key, spool)
        number = next(self._requests)
        self._engine.ask(Propose(number, key, tuple(slices)))
        return number

    def propose_patch(self, key: str, patch: Patch) -> int:
        """Ask for a patch: its whole slice, which is what the network sees at once."""
        return self.propose(key, (patch.slice,))

    def cancel(self) -> None:
        """Stop proposing."""
        self._engine.cancel()

    def close(self, wait: bool = False) -> None:
        """End the engine and remove the private folder."""
        process = self._engine.close()

        def finish() -> None:
            """Remove the folder only when nobody writes to it any more."""
            if process is not None:
                process.close(wait=True)
            self._forget()

        if process is None or wait:
            finish()
        else:
            threading.Thread(target=finish, name="closing", daemon=True).start()


def _start_engine(receive: Receiver, files: Path) -> Process:
    return Child(engine_command(), receive, files)


def _let_go(engine: Supervision, folder: Path) -> None:
    engine.close()
    shutil.rmtree(folder, ignore_errors=True)


class TrainerClient:
    """One run of the trainer.

    Parameters
    ----------
    receive
        Called with each message, on another thread.
    silent
        Seconds of silence after which it is taken for hung. At its priority a busy machine leaves
        it little, so that it is given much more time than an engine.
    """

    def __init__(self, receive: Receiver, silent: int = TRAINER_SILENT_SECONDS) -> None:
        self._child = Child(trainer_command(), receive, silent=silent)
        self._over = threading.Event()

    @property
    def pid(self) -> int | None:
        """Process id of the trainer, once started."""
        return self._child.pid

    def learn(self, snapshot: Snapshot, folder: Path, request: Learn) -> None:
        """Freeze the snapshot into `folder` and start; `request` names that file.

        After `close` no file is left.
        """
        path = Path(request.snapshot)

        def freeze() -> Message | None:
            if self._over.is_set():
                return None
            folder.mkdir(parents=True, exist_ok=True)
            self._child.let_files_arrive(folder)
            save_snapshot(path, snapshot)
            if self._over.is_set():
                path.unlink(missing_ok=True)
                return None
            return request

        self._child.send_later(freeze)

    def pause(self, paused: bool) -> None:
        """Wait as soon as a layer is done, or go on; see `yielding` in `napari_crii.training`."""
        self._child.send(PauseLearning(paused))

    def stop(self) -> None:
        """Discard what is being learnt."""
        self._child.send(StopLearning())

    def close(self, wait: bool = False) -> None:
        """End the trainer."""
        self._over.set()
        self._child.close(wait)


def collect(message: SliceProposed) -> Proposal:
    """Read a proposal's arrays and delete their files.

    Raises
    ------
    OSError
        If the files are gone.
    """
    paths = (Path(message.labels), Path(message.maps))
    labels, maps = (np.array(np.load(path, mmap_mode="r")) for path in paths)
    for path in paths:
        path.unlink(missing_ok=True)
    seen = SliceMaps(*maps)
    return Proposal(
        message.slice, labels, seen.score, message.patches, message.checkpoint, seen.branches,
        seen.places,
    )  # fmt: skip
