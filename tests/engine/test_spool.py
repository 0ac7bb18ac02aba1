"""Scans on their way to the engine: written once, not held, tried again, removed."""

from __future__ import annotations

import gc
import weakref
from typing import IO

import numpy as np
import pytest

from napari_crii.engine.child import Job
from napari_crii.engine.client import EngineClient
from napari_crii.engine.messages import Message, OpenScan
from tests.factories import noise_scan


class Silent:
    """An engine that is handed scans and says nothing."""

    def __init__(self) -> None:
        self.pid: int | None = 1
        self.jobs: list[Job] = []

    def send(self, message: Message) -> None:
        pass

    def send_later(self, job: Job) -> None:
        self.jobs.append(job)

    def close(self, wait: bool = False) -> None:
        pass


def test_a_scan_is_written_once_and_not_held_and_gone_when_it_is_forgotten() -> None:
    engine = Silent()
    client = EngineClient(lambda message: None, lambda receive, folder: engine)
    volume = noise_scan()
    for _ in range(3):
        client.open_scan("noise", volume)
    said = [job() for job in engine.jobs]
    assert len(said) == 3
    assert said[0] == said[1] == said[2]
    (file,) = client.folder.iterdir()
    assert np.array_equal(np.load(file), volume.slices())
    known = weakref.ref(volume)
    del volume
    gc.collect()
    assert known() is None
    assert engine.jobs[0]() == said[0]
    client.forget_scans()
    assert not list(client.folder.iterdir())
    assert engine.jobs[0]() is None
    client.close(wait=True)


def test_a_scan_that_could_not_be_written_is_tried_again_with_the_next_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Silent()
    client = EngineClient(lambda message: None, lambda receive, folder: engine)
    client.open_scan("noise", noise_scan())
    full = OSError("no space left on device")

    def save(stream: IO[bytes], array: object) -> None:
        stream.write(b"half")
        raise full

    with monkeypatch.context() as patched:
        patched.setattr("napari_crii.engine.spool.np.save", save)
        with pytest.raises(OSError, match="no space"):
            engine.jobs[0]()
    assert not list(client.folder.iterdir())
    client.propose("noise", [0])
    assert isinstance(engine.jobs[-1](), OpenScan)
    asked = len(engine.jobs)
    client.propose("noise", [1])
    assert len(engine.jobs) == asked
    client.close(wait=True)


def test_a_scan_that_is_read_again_takes_the_place_of_the_earlier_file() -> None:
    engine = Silent()
    client = EngineClient(lambda message: None, lambda receive, folder: engine)
    first, second = noise_scan(), noise_scan()
    client.open_scan("noise", first)
    earlier = engine.jobs[-1]
    earlier()
    client.open_scan("noise", second)
    assert not list(client.folder.iterdir())
    assert earlier() is None
    assert isinstance(engine.jobs[-1](), OpenScan)
    assert len(list(client.folder.iterdir())) == 1
    client.close(wait=True)
