"""The engine: a child process that owns the network and makes proposals.

Started by :mod:`napari_crii.engine.launch`; speaks :mod:`napari_crii.engine.messages`.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_crii.backend import Backend, fastest
from napari_crii.checkpoint import load_checkpoint
from napari_crii.device import choose_device, release_memory
from napari_crii.engine.channel import Channel
from napari_crii.engine.messages import (
    Cancel,
    CheckpointInUse,
    Failed,
    ForgetScans,
    Message,
    Notice,
    OpenScan,
    ProposalFinished,
    Propose,
    Ready,
    SliceProposed,
    UseCheckpoint,
)
from napari_crii.engine.slice_maps import SliceMaps
from napari_crii.engine.wanted import Wanted
from napari_crii.errors import CriiError
from napari_crii.geometry import Geometry
from napari_crii.inference import Predictor
from napari_crii.patches import Patch
from napari_crii.scan_prediction import doubt_on_slice
from napari_crii.volume import Volume

# Rows and columns on which backends are tried: tens of milliseconds a run.
_TRIED = 128


@dataclass(frozen=True, eq=False)
class _Proposed:
    """What was computed of a slice: classes (H, W), maps and patches."""

    labels: NDArray[np.integer]
    maps: SliceMaps
    patches: list[Patch]
    checkpoint: str


class Engine:
    """Propose slice after slice, looking for newer messages in between.

    What is wanted, and what a new request makes of older ones, is told in `Wanted`. New weights are
    taken up between two slices, and once they are said to be in use no proposal of older ones
    follows; a slice is never computed twice with the same ones because it was asked for again
    meanwhile.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._backend: Backend | None = None
        self._predictor: Predictor | None = None
        self._scans: dict[str, tuple[Volume, Path]] = {}
        self._wanted = Wanted()
        self._started: dict[int, float] = {}
        self._noticed = ""
        self._alone = False

    def run(self) -> None:
        """Serve until the window goes."""
        with self._saying_why():
            self._channel.send(Ready(str(choose_device())))
        while not self._alone:
            self._hear(wait=not self._wanted)
            index = self._wanted.first
            if index is not None and not self._alone:
                self._propose(index)

    def _hear(self, wait: bool) -> None:
        """Take in all messages that are there; wait for one if there is none."""
        while not self._alone:
            try:
                message = self._channel.receive(wait)
            except queue.Empty:
                return
            wait = False
            self._alone = message is None
            if message is not None:
                self._take_in(message)

    def _take_in(self, message: Message) -> None:
        match message:
            case UseCheckpoint():
                with self._saying_why(checkpoint=message.number):
                    self._use(message)
            case OpenScan():
                with self._saying_why():
                    self._open(message)
            case Propose():
                self._ask(message)
            case Cancel():
                self._want_nothing()
            case ForgetScans():
                self._want_nothing()
                self._scans.clear()

    @contextmanager
    def _saying_why(self, request: int = 0, checkpoint: int = 0) -> Iterator[None]:
        """Turn what a user can cause into a message; anything else is a defect and ends us."""
        try:
            yield
        except (CriiError, OSError, ValueError) as error:
            self._wanted.drop(request)
            self._started.pop(request, None)
            self._channel.send(Failed(str(error), request, checkpoint))

    def _use(self, message: UseCheckpoint) -> None:
        checkpoint = load_checkpoint(message.path)
        if self._backend is None:
            shape = (1, checkpoint.preprocessing.in_channels, _TRIED, _TRIED)
            image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            self._backend = fastest(checkpoint.network, image)
        where = self._backend
        self._predictor = Predictor(checkpoint, where.device, channels_last=where.channels_last)
        release_memory(torch.device(where.device))
        self._channel.send(CheckpointInUse(checkpoint.digest, message.number, str(where)))

    def _open(self, message: OpenScan) -> None:
        between, rows, columns = message.spacing
        unit: Literal["mm", "px"] = "px" if message.unit == "px" else "mm"
        array = np.load(message.array, mmap_mode="r")
        geometry = Geometry((between, rows, columns), unit=unit)
        self._scans[message.scan] = (Volume(array, geometry), Path(message.array).parent)

    def _want_nothing(self) -> None:
        self._wanted.clear()
        self._started.clear()

    def _ask(self, message: Propose) -> None:
        if message.scan != self._wanted.scan:
            self._started.clear()
        self._wanted.ask(message)
        self._started[message.request] = time.perf_counter()
        self._say_what_is_finished()

    def _say_what_is_finished(self) -> None:
        for request in sorted(self._started.keys() - self._wanted.requests):
            seconds = time.perf_counter() - self._started.pop(request)
            self._channel.send(ProposalFinished(request, self._wanted.scan, seconds))

    def _propose(self, index: int) -> None:
        """Compute a slice, and answer whoever wants it then."""
        scan, predictor = self._wanted.scan, self._predictor
        request = self._wanted.request_for(index) or 0
        with self._saying_why(request):
            proposed = self._compute(predictor, scan, index)
            self._hear(wait=False)
            latest = self._wanted.request_for(index)
            if latest is None or self._wanted.scan != scan:
                return
            # New weights came meanwhile and are said to be in use: the slice is still wanted.
            if predictor is not self._predictor:
                return
            request = latest
            self._channel.send(self._written(proposed, latest, index))
            self._wanted.is_done(index, latest)
            self._say_what_is_finished()

    def _compute(self, predictor: Predictor | None, scan: str, index: int) -> _Proposed:
        if predictor is None or scan not in self._scans:
            raise ValueError("a scan and a checkpoint are needed before proposing")
        volume, _ = self._scans[scan]
        prediction = predictor.predict_slice(volume, index)
        labels = prediction.labels()
        low_contrast = predictor.checkpoint.low_contrast
        doubt, patches = doubt_on_slice(prediction, labels, volume, index, low_contrast)
        image = volume.slices()[index]
        maps = SliceMaps.of(doubt.score, doubt.branches, labels, image, low_contrast)
        if predictor.remark and predictor.remark != self._noticed:
            self._noticed = predictor.remark
            self._channel.send(Notice(predictor.remark))
        return _Proposed(labels, maps, patches, predictor.checkpoint.digest)

    def _written(self, proposed: _Proposed, request: int, index: int) -> SliceProposed:
        """Write the arrays beside the scan, and return the message that names them."""
        scan = self._wanted.scan
        stem = self._scans[scan][1] / uuid.uuid4().hex
        files = (stem.with_suffix(".labels.npy"), stem.with_suffix(".maps.npy"))
        np.save(files[0], proposed.labels)
        np.save(files[1], proposed.maps)
        labels, maps = map(str, files)
        return SliceProposed(
            request, scan, index, labels, maps, tuple(proposed.patches), proposed.checkpoint
        )
