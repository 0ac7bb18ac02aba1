"""The scene of a fault of F3: an old file in a folder, a new one to come, ways to disturb it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_crii.io import atomic
from tests import disks
from tests.faults.child import give_up_root
from tests.faults.f3_writers import Writer

SMALL, LARGE = 600, 200_000


class Scene:
    """A folder, perhaps on a disk of its own, with an old file in it and a new one to come."""

    def __init__(self, folder: Path, writer: Writer, rng: np.random.Generator) -> None:
        self.home = folder
        self.writer = writer
        self.rng = rng
        self.place = folder / "place"
        self.place.mkdir()
        self.target = self.place / f"file{writer.suffix}"
        self.real = self.target
        self.new = writer.make(rng, SMALL)
        self.before: bytes | None = None
        self.handle: int | None = None
        self.undo: list[Callable[[], object]] = []
        self.medium_allows = True

    def write_old(self) -> None:
        """Save a file, and keep it open: its bytes can be seen even when its name is gone."""
        self.writer.write(self.target, self.writer.make(self.rng, SMALL))
        self.real = Path(os.path.realpath(self.target))
        self.before = self.real.read_bytes()
        self.handle = os.open(self.real, os.O_RDONLY)

    def write_new(self) -> None:
        self.writer.write(self.target, self.new)

    def mount(self, options: str) -> bool:
        """Put a small disk at the scene's place; False where that is not allowed."""
        return disks.mount(self.place, options)

    def lift(self) -> None:
        """Take back what a fault changed, so that what is left can be looked at."""
        while self.undo:
            self.undo.pop()()

    def not_saved(self) -> str:
        """Say what is wrong with a file that was called saved."""
        difference = self.writer.differs(self.target, self.new)
        return f"called saved, but: {difference}" if difference else self._litter_in_words()

    def old_is_whole(self, sentence: str) -> bool:
        """Whether the old file is bit-identical; or is the new one, and the sentence says so."""
        if self.before is None:
            return not os.path.isfile(self.real)
        if self.handle is not None and os.pread(self.handle, 1 << 30, 0) != self.before:
            return False
        if not self.real.exists():
            return not self.medium_allows
        if self.real.read_bytes() == self.before:
            return True
        return "holds the new content" in sentence and not self.writer.differs(self.real, self.new)

    def litter(self) -> list[str]:
        """Return names of files that should not be there."""
        if not self.medium_allows:
            return []
        return sorted(p.name for p in self.place.rglob(".*") if p.name != ".keep")

    def clean_up(self) -> None:
        """Unmount what the child may have mounted, and make everything removable again."""
        disks.unmount(self.place, "-l")
        for path in (self.place, *self.place.rglob("*")):
            if shutil.which("chattr") and not path.is_symlink():
                subprocess.run(["chattr", "-i", path], capture_output=True, check=False)

    def _litter_in_words(self) -> str:
        return f"temporary files remain: {self.litter()}" if self.litter() else ""


def at_sync(scene: Scene, act: Callable[[], object]) -> None:
    """Do something when the new file has been written and is about to be synced."""
    sync, done = os.fsync, []

    def hooked(descriptor: int) -> None:
        sync(descriptor)
        if not done:
            done.append(True)
            act()

    atomic.os.fsync = hooked
    scene.undo.append(lambda: setattr(atomic.os, "fsync", sync))


def fail(scene: Scene, name: str, turn: int) -> None:
    """Let a call of the operating system fail, at its n-th turn and ever after."""
    original, turns = getattr(os, name), []

    def failing(*arguments: Any) -> Any:
        turns.append(name)
        if len(turns) >= turn:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(*arguments)

    setattr(atomic.os, name, failing)
    scene.undo.append(lambda: setattr(atomic.os, name, original))


def as_nobody(scene: Scene, item: Path) -> str | None:
    """Take the rights of writing away, and those of root as well."""
    if os.geteuid() != 0:
        item.chmod(0o555)
        scene.undo.append(lambda: item.chmod(0o755))
        return "refused"
    scene.home.chmod(0o755)
    item.chmod(0o555)
    give_up_root()
    return "refused"


def immutable(scene: Scene, item: Path) -> str | None:
    if shutil.which("chattr") is None:
        return None
    if subprocess.run(["chattr", "+i", item], capture_output=True).returncode:
        return None
    scene.undo.append(lambda: subprocess.run(["chattr", "-i", item], capture_output=True))
    return "refused"


def unmount(scene: Scene) -> bool:
    return disks.unmount(scene.place, "-l")
