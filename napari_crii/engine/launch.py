"""What a child runs: a watch over the window first, then the libraries, then its work.

Started as ``python -m napari_crii.engine.launch engine PID`` (or ``trainer``), where PID is the
process that starts it. Importing torch may take longer than a window lives.
"""

from __future__ import annotations

import os
import sys
import threading
import time

import psutil

from napari_crii.engine.channel import Channel
from napari_crii.engine.priority import Yielding, yield_to

_WATCH_SECONDS = 0.5


def main(role: str, window: int) -> None:
    """Be the engine or the trainer until the window goes, or the trainer is done."""
    _serve_as(role, window)
    # At once: taking down the libraries may take longer than others wait for it.
    os._exit(0)


def _serve_as(role: str, window: int) -> None:
    threading.Thread(target=_end_with, args=(window,), name="watch", daemon=True).start()
    if role == "trainer":
        from napari_crii.engine import trainer

        trainer.main()
        return
    channel = Channel()
    channel.beat()
    yield_to(Yielding.THE_WINDOW)
    from napari_crii.engine.worker import Engine
    from napari_crii.inference import MOST_VIEWS
    from napari_crii.networks.parts import begin_threads

    begin_threads(MOST_VIEWS)
    Engine(channel).run()


def _end_with(window: int) -> None:
    """End this process when the window's is gone, whatever it is doing."""
    while _is_there(window):
        time.sleep(_WATCH_SECONDS)
    os._exit(0)


def _is_there(window: int) -> bool:
    # A parent that died is no longer ours, even while nobody has taken note of its death.
    return psutil.pid_exists(window) if psutil.WINDOWS else os.getppid() == window


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
