"""`napari-crii engine` as a process: messages in and out, files through the pipe."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from napari_crii.engine.messages import Alive, CheckpointInUse, Ready, UseCheckpoint
from napari_crii.engine.wire import Wire


def test_it_serves_over_standard_input_and_output(checkpoint: Path, tmp_path: Path) -> None:
    wire = Wire(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_crii.cli", "engine"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    request = io.BytesIO()
    wire.write(request, UseCheckpoint(str(checkpoint), 7))
    process.stdin.write(request.getvalue())
    process.stdin.flush()
    heard = []
    for message in wire.read(process.stdout):
        heard.append(message)
        if isinstance(message, CheckpointInUse):
            break
    assert isinstance(heard[0], Alive)
    assert any(isinstance(message, Ready) for message in heard)
    assert isinstance(heard[-1], CheckpointInUse)
    assert heard[-1].number == 7
    process.stdin.close()
    process.stdout.close()
    assert process.wait(30) == 0
