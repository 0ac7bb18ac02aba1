"""Strip the running environment down to what the core needs: neither Qt nor napari.

``make test`` copies ``.venv`` by hard links and runs this script in the copy. What is left is
what the project, its demo and its test tools ask for when napari, Qt, magicgui and pytest-qt
are taken out of the requirements, so a core module that leans on a library which only napari
brings fails there.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "napari-crii"
EXTRAS = ("demo", "dev")
WINDOW = frozenset({"magicgui", "napari", "npe2", "pyqt5", "pyqt6", "pytest-qt", "qtpy", "superqt"})
ALWAYS = frozenset({"pip", "setuptools"})


def core_names() -> set[str]:
    """Installed distributions that the core reaches without those of the window."""
    found: set[str] = set()
    open_ends = [(PROJECT, EXTRAS)]
    while open_ends:
        name, extras = open_ends.pop()
        for wanted, wanted_extras in _requirements(name, extras):
            if wanted not in found and wanted not in WINDOW:
                found.add(wanted)
                open_ends.append((wanted, wanted_extras))
    return found | {PROJECT} | ALWAYS


def _requirements(name: str, extras: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    try:
        texts = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    parsed = [Requirement(text) for text in texts]
    return [
        (canonicalize_name(one.name), tuple(one.extras)) for one in parsed if _applies(one, extras)
    ]


def _applies(requirement: Requirement, extras: tuple[str, ...]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def main() -> int:
    installed = {canonicalize_name(one.metadata["Name"]) for one in distributions()}
    surplus = sorted(installed - core_names())
    if not surplus:
        return 0
    command = [sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", *surplus]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
