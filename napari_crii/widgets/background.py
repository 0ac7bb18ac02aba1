"""Slow work off the window's thread, its result brought back to it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qtpy.QtCore import QObject, Signal

Work = Callable[[], Any]
Then = Callable[[Any], None]


class Background(QObject):
    """One thread for work that must not make the window wait.

    Parameters
    ----------
    failed
        Called on the window's thread with the exception of work that failed.
    """

    _finished = Signal(object, object)

    def __init__(self, failed: Callable[[BaseException], None], parent: QObject | None = None):
        super().__init__(parent)
        self._failed = failed
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="napari-crii")
        self._finished.connect(self._deliver)

    def run(self, work: Work, then: Then) -> None:
        """Do `work` on the other thread, then call `then` with its result on this one."""
        self._pool.submit(work).add_done_callback(lambda done: self._finished.emit(done, then))

    def close(self) -> None:
        """Let running work end, drop what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, done: Future[Any], then: Then) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._failed(error)
        else:
            then(done.result())
