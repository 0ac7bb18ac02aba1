"""Whether a window can open."""

from __future__ import annotations

import os
import sys


def has_display() -> bool:
    """Return whether there is a display; outside Linux there is always one."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
