"""The window's stand-in on another machine: a child of this one, its files through the pipe.

`napari-crii engine` runs this at the far end of, say, an SSH connection. The child is the one that
a window starts on its own machine; it shares a private folder with the relay. No torch.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
from pathlib import Path

from napari_crii.engine.channel import Channel
from napari_crii.engine.child import Child
from napari_crii.engine.command import Command
from napari_crii.engine.messages import Closed, Failed, ForgetScans, Message, OpenScan
from napari_crii.engine.private_folder import private_folder
from napari_crii.errors import CriiError

_GRACE_SECONDS = 1.0


def relay(command: Command) -> None:
    """Serve the window at standard input and output until it goes, or the child ends."""
    # The end of the input says that the window has gone; a signal beside it would leave the
    # folder behind.
    with contextlib.suppress(AttributeError):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder = private_folder()
    channel = Channel(folder, leave=lambda: shutil.rmtree(folder, ignore_errors=True))
    channel.beat()

    def answer(message: Message) -> None:
        if isinstance(message, Closed):
            channel.end()
            return
        try:
            channel.send(message)
        except CriiError as error:
            channel.send(Failed(str(error)))

    child = Child(command, answer)
    scans: dict[str, Path] = {}
    try:
        while (message := channel.receive(wait=True)) is not None:
            _remove_superseded(message, scans)
            child.send(message)
        # Nothing is lost with it, and one that still loads its libraries does not hear.
        child.close(wait=True, grace=_GRACE_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_superseded(message: Message, scans: dict[str, Path]) -> None:
    """Remove files of scans that a message replaces or lets go of; the child has mapped them.

    Parameters
    ----------
    scans
        The file of each scan that has come through; kept up to date.
    """
    match message:
        case OpenScan(scan, array):
            path = Path(array)
            gone = [scans[scan]] if scan in scans and scans[scan] != path else []
            scans[scan] = path
        case ForgetScans():
            gone = [*scans.values()]
            scans.clear()
        case _:
            return
    for path in gone:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
