"""One piece of work in a forked child: its answer, its memory, and how it died if it did."""

from __future__ import annotations

import os
import pickle
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CPU_SECONDS = 5.0
WALL_SECONDS = 300
# The user without rights, on every system that knows one.
NOBODY = 65534
_ROOM = 1 << 30


@dataclass(frozen=True)
class Answer:
    """What a child said.

    Attributes
    ----------
    value
        What the work returned; None if the child died.
    death
        How the child died; empty if it answered.
    """

    value: Any = None
    death: str = ""


def in_child(work: Callable[[], Any]) -> Answer:
    """Run `work` in a fork of this process, which is warm: nothing is imported anew.

    Five seconds of processor time are allowed, and five minutes by the clock for one that waits
    for what never comes (a busy machine waits as well): the kernel ends the child then, even
    inside a library's C code.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(work, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Answer(death=_in_words(os.WTERMSIG(status)))
    return pickle.loads(content) if content else Answer(death="ended without an answer")


def give_up_root() -> None:
    """Become a user whom permissions bind: in a child only, and for good."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def limit_time() -> None:
    """Let the kernel end this process when the time allowed is over."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)


def unlimit_time() -> None:
    """Take the limit away again."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def limit_memory(more: int) -> None:
    """Allow `more` bytes than now, and some room, so that a bomb cannot take the machine."""
    ceiling = _status("VmSize") + more + _ROOM
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, resource.RLIM_INFINITY))


def reset_peak() -> int:
    """Forget the peak of memory so far; return what is held now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> int:
    """Return the peak of memory since `reset_peak`, in bytes."""
    return _status("VmHWM")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def _answer(work: Callable[[], Any], pipe: int) -> None:
    """Answer through the pipe and end at once, past every handler of the parent."""
    try:
        with os.fdopen(pipe, "wb") as stream:
            stream.write(pickle.dumps(_answered(work)))
    finally:
        os._exit(0)


def _answered(work: Callable[[], Any]) -> Answer:
    try:
        return Answer(work())
    except Exception as error:
        return Answer(death=f"{type(error).__name__}: {error}")


def _in_words(number: int) -> str:
    if number in (signal.SIGPROF, signal.SIGALRM):
        return "hang: no answer within the time allowed"
    return f"crash: killed by {signal.Signals(number).name}"
