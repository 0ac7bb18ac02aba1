"""How much of the machine a child leaves to the others."""

from __future__ import annotations

import os
import sys
from enum import Enum

import psutil


class Yielding(Enum):
    """Before whom a process steps back when there are not enough processors.

    The values are niceness on POSIX.
    """

    THE_WINDOW = 10
    EVERYBODY = 19


def yield_to(whom: Yielding) -> None:
    """Lower the priority of this process.

    On Linux who steps back before everybody computes only on processors that nobody else wants:
    a niceness alone leaves a window that wakes up waiting at times.
    """
    process = psutil.Process()
    if not psutil.WINDOWS:
        process.nice(max(process.nice(), whom.value))
        if whom is Yielding.EVERYBODY and sys.platform == "linux":
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    elif whom is Yielding.EVERYBODY:
        process.nice(psutil.IDLE_PRIORITY_CLASS)
    else:
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
