"""How much of the machine a child leaves to the others."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import Enum

import psutil


class Yielding(Enum):
    """Before whom a process steps back when there are not enough processors.

    The values are niceness on POSIX.
    """

    THE_WINDOW = 10
    EVERYBODY = 19


if sys.platform == "linux":
    _POLICIES = {
        Yielding.THE_WINDOW: os.SCHED_BATCH,
        Yielding.EVERYBODY: os.SCHED_IDLE,
    }


def yield_to(whom: Yielding) -> None:
    """Lower the priority of this process.

    On Linux who steps back before everybody computes only on processors that nobody else wants,
    and who steps back before the window interrupts nobody who is at work: a niceness alone leaves
    a window that wakes up waiting at times.
    """
    process = psutil.Process()
    if not psutil.WINDOWS:
        process.nice(max(process.nice(), whom.value))
        if sys.platform == "linux":
            # Some machines forbid it; then niceness has to do.
            with suppress(PermissionError):
                os.sched_setscheduler(0, _POLICIES[whom], os.sched_param(0))
    elif whom is Yielding.EVERYBODY:
        process.nice(psutil.IDLE_PRIORITY_CLASS)
    else:
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
