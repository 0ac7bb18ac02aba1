"""The engine: a child process that owns the network and makes proposals.

Started as ``python -m napari_crii.engine.worker``; speaks :mod:`napari_crii.engine.messages`.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from napari_crii.checkpoint import load_checkpoint
from napari_crii.engine.channel import Channel
from napari_crii.engine.messages import (
    Cancel,
    CheckpointInUse,
    Failed,
    Message,
    OpenScan,
    ProposalFinished,
    Propose,
    Ready,
    SliceProposed,
    UseCheckpoint,
)
from napari_crii.engine.priority import Yielding, yield_to
from napari_crii.errors import CriiError
from napari_crii.geometry import Geometry
from napari_crii.inference import Predictor
from napari_crii.scan_prediction import doubt_on_slice
from napari_crii.volume import Volume


class Engine:
    """Propose slice after slice, looking for newer messages in between."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._predictor: Predictor | None = None
        self._scans: dict[str, tuple[Volume, Path]] = {}
        self._request: Propose | None = None
        self._queue: deque[int] = deque()
        self._started = 0.0

    def run(self) -> None:
        """Serve until the window goes."""
        self._channel.send(Ready("cpu"))
        while True:
            try:
                message = self._channel.receive(wait=not self._queue)
            except queue.Empty:
                with self._saying_why(0 if self._request is None else self._request.request):
                    self._propose_next()
                continue
            if message is None:
                return
            with self._saying_why():
                self._handle(message)

    @contextmanager
    def _saying_why(self, request: int = 0) -> Iterator[None]:
        """Turn what a user can cause into a message; anything else is a defect and ends us."""
        try:
            yield
        except (CriiError, OSError, ValueError) as error:
            self._channel.send(Failed(str(error), request))

    def _handle(self, message: Message) -> None:
        match message:
            case UseCheckpoint(path):
                self._predictor = Predictor(load_checkpoint(path))
                self._channel.send(CheckpointInUse(self._predictor.checkpoint.digest))
            case OpenScan():
                self._open(message)
            case Propose():
                self._request = message
                self._queue = deque(message.slices)
                self._started = time.perf_counter()
                self._finish_if_done(message)
            case Cancel():
                self._queue.clear()

    def _open(self, message: OpenScan) -> None:
        between, rows, columns = message.spacing
        unit: Literal["mm", "px"] = "px" if message.unit == "px" else "mm"
        array = np.load(message.array, mmap_mode="r")
        geometry = Geometry((between, rows, columns), unit=unit)
        self._scans[message.scan] = (Volume(array, geometry), Path(message.array).parent)

    def _propose_next(self) -> None:
        request = self._request
        if request is None or self._predictor is None or request.scan not in self._scans:
            self._queue.clear()
            raise ValueError("a scan and a checkpoint are needed before proposing")
        index = self._queue.popleft()
        try:
            self._channel.send(self._propose(self._predictor, request, index))
        except Exception:
            self._queue.clear()
            raise
        self._finish_if_done(request)

    def _finish_if_done(self, request: Propose) -> None:
        if not self._queue:
            seconds = time.perf_counter() - self._started
            self._channel.send(ProposalFinished(request.request, request.scan, seconds))

    def _propose(self, predictor: Predictor, request: Propose, index: int) -> SliceProposed:
        volume, folder = self._scans[request.scan]
        prediction = predictor.predict_slice(volume, index)
        labels = prediction.labels()
        low_contrast = predictor.checkpoint.low_contrast
        score, patches = doubt_on_slice(prediction, labels, volume, index, low_contrast)
        stem = folder / uuid.uuid4().hex
        files = (stem.with_suffix(".labels.npy"), stem.with_suffix(".score.npy"))
        np.save(files[0], labels)
        np.save(files[1], np.rint(score * 255).astype(np.uint8))
        return SliceProposed(
            request.request,
            request.scan,
            index,
            str(files[0]),
            str(files[1]),
            tuple(patches),
            predictor.checkpoint.digest,
        )


if __name__ == "__main__":
    yield_to(Yielding.THE_WINDOW)
    Engine(Channel()).run()
