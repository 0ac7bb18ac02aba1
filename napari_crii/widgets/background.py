"""Slow work off the window's thread, its result brought back to it."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

Work = Callable[[], Any]
Then = Callable[[Any], None]
Failed = Callable[[BaseException], None]


class Gate:
    """Lets other threads emit a Qt signal until it is closed; then no thread is inside it.

    A signal that is emitted while its object is being destroyed ends the whole process.
    """

    def __init__(self, emit: Callable[[Any], None]) -> None:
        self._emit: Callable[[Any], None] | None = emit
        self._lock = threading.RLock()

    def __call__(self, message: Any) -> None:
        """Emit, unless closed."""
        with self._lock:
            if self._emit is not None:
                self._emit(message)

    @property
    def closed(self) -> bool:
        """Whether nothing comes through any more; what did may still wait for its turn."""
        return self._emit is None

    def close(self) -> None:
        """Let nothing through any more, and forget who listened."""
        with self._lock:
            self._emit = None


class Mailbox(QObject):
    """Messages of other threads, delivered on the window's thread.

    One message a turn of the event loop, among the timers: several at once, or one between a
    scroll and its paint, would stop the window for longer.

    Parameters
    ----------
    deliver
        Called with each message, in the order in which they were posted.
    """

    _arrived = Signal(object)

    def __init__(self, deliver: Then, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._deliver = deliver
        self._waiting: deque[Any] = deque()
        # Nobody's child: it can be stopped when the window that owned us is gone.
        self._turns = QTimer()
        self._turns.timeout.connect(self._next)
        self._arrived.connect(self._keep)
        self.post = Gate(self._arrived.emit)

    def close(self) -> None:
        """Deliver nothing any more."""
        self.post.close()
        self._turns.stop()
        self._waiting.clear()

    def _keep(self, message: Any) -> None:
        if self.post.closed:
            return
        self._waiting.append(message)
        self._turns.start(0)

    def _next(self) -> None:
        message = self._waiting.popleft()
        if not self._waiting:
            self._turns.stop()
        self._deliver(message)


class Background(QObject):
    """One thread for work that must not make the window wait.

    Parameters
    ----------
    failed
        Called on the window's thread with the exception of work that failed.
    """

    _finished = Signal(object)

    def __init__(self, failed: Failed, parent: QObject | None = None):
        super().__init__(parent)
        self._failed = failed
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="napari-crii")
        self._finished.connect(self._deliver)
        self._gate = Gate(self._finished.emit)

    def run(self, work: Work, then: Then, failed: Failed | None = None) -> None:
        """Do `work` on the other thread, then call `then` with its result on this one.

        If it fails, `failed` is called instead, where given in place of that of all work.
        """
        gate, told = self._gate, failed or self._failed
        self._pool.submit(work).add_done_callback(lambda done: gate((done, then, told)))

    def close(self) -> None:
        """Let running work end, drop what waits."""
        self._gate.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, arrived: tuple[Future[Any], Then, Failed]) -> None:
        done, then, failed = arrived
        if self._gate.closed or done.cancelled():
            return
        error = done.exception()
        if error is not None:
            failed(error)
        else:
            then(done.result())


def once(act: Callable[[], None]) -> QTimer:
    """Return a timer that does something once when it is started."""
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(act)
    return timer


def before_exit(act: Callable[[], None]) -> None:
    """Call a method when the interpreter ends, if its object lives until then.

    A script or a console ends without the application's event loop; what belongs to Qt is then
    taken down in no order.
    """
    method = weakref.WeakMethod(act)

    def call() -> None:
        alive = method()
        if alive is not None:
            alive()

    atexit.register(call)
