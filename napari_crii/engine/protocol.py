"""The version of the messages between the window and its children, also on two machines."""

from __future__ import annotations

# Raised whenever a message changes.
PROTOCOL = 3


def mismatch(protocol: int) -> str:
    """Return one sentence if the other end speaks another version (0: it tells none), else ``""``.

    Without it a window would wait for answers that it skips as no messages.
    """
    if protocol == PROTOCOL:
        return ""
    return "napari-crii is of another version there: install the same one on both machines"
