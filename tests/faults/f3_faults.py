"""The faults of F3. Each sets a scene and returns what must come of writing:

``"refused"``, ``"saved"``, ``"either"``, or None where this machine cannot provoke it.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_crii.io import atomic
from tests.faults.f3_writers import Writer

_SMALL, _LARGE = 600, 200_000
_NOBODY = 65534


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
        self.new = writer.make(rng, _SMALL)
        self.before: bytes | None = None
        self.handle: int | None = None
        self.undo: list[Callable[[], object]] = []
        self.medium_allows = True

    def write_old(self) -> None:
        """Save a file, and keep it open: its bytes can be seen even when its name is gone."""
        self.writer.write(self.target, self.writer.make(self.rng, _SMALL))
        self.real = Path(os.path.realpath(self.target))
        self.before = self.real.read_bytes()
        self.handle = os.open(self.real, os.O_RDONLY)

    def write_new(self) -> None:
        self.writer.write(self.target, self.new)

    def mount(self, options: str) -> bool:
        """Put a small disk at the scene's place; False where that is not allowed."""
        command: list[Any] = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.place]
        if shutil.which("mount") is None:
            return False
        return subprocess.run(command, capture_output=True).returncode == 0

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
        subprocess.run(["umount", "-l", self.place], capture_output=True, check=False)
        for path in (self.place, *self.place.rglob("*")):
            if shutil.which("chattr") and not path.is_symlink():
                subprocess.run(["chattr", "-i", path], capture_output=True, check=False)

    def _litter_in_words(self) -> str:
        return f"temporary files remain: {self.litter()}" if self.litter() else ""


def full_disk(scene: Scene) -> str | None:
    """Leave a few kilobytes on a disk of its own, less than the new file needs."""
    if not scene.mount("size=256k"):
        return None
    scene.write_old()
    scene.new = scene.writer.make(scene.rng, _LARGE)
    left = shutil.disk_usage(scene.place).free
    (scene.place / "filler").write_bytes(b"\0" * max(0, left - 8192))
    return "refused"


def disk_full_at_random(scene: Scene) -> str | None:
    """Fill the disk to somewhere between nothing left and just enough."""
    if not scene.mount("size=256k"):
        return None
    scene.write_old()
    left = shutil.disk_usage(scene.place).free
    (scene.place / "filler").write_bytes(b"\0" * int(left - scene.rng.integers(0, 16384)))
    return "either"


def no_inode_left(scene: Scene) -> str | None:
    if not scene.mount("size=256k,nr_inodes=2"):
        return None
    scene.write_old()
    return "refused"


def file_too_large(scene: Scene) -> str:
    """Forbid files beyond a limit, as a quota does, at a random length."""
    scene.write_old()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = scene.real.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(scene.rng.integers(0, size // 2)), limits[1]))
    scene.undo.append(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))
    return "refused"


def read_only_disk(scene: Scene) -> str | None:
    if not scene.mount("size=1m"):
        return None
    scene.write_old()
    return "refused" if scene.mount("remount,ro") else None


def disk_turns_read_only(scene: Scene) -> str | None:
    """Make the disk read-only when the new file has been written, as a failing disk does."""
    if not scene.mount("size=1m"):
        return None
    scene.write_old()
    _at_sync(scene, lambda: scene.mount("remount,ro"))
    scene.undo.append(lambda: scene.mount("remount,rw"))
    # A descriptor open for writing may keep the disk from it.
    return "either"


def read_only_folder(scene: Scene) -> str | None:
    scene.write_old()
    return _as_nobody(scene, scene.place)


def read_only_file(scene: Scene) -> str | None:
    scene.write_old()
    scene.place.chmod(0o777)
    return _as_nobody(scene, scene.target)


def immutable_file(scene: Scene) -> str | None:
    """Lock the file as `chattr +i` does: even root may neither write nor replace it."""
    scene.write_old()
    return _immutable(scene, scene.target)


def immutable_folder(scene: Scene) -> str | None:
    scene.write_old()
    return _immutable(scene, scene.place)


def file_open_elsewhere(scene: Scene) -> str:
    """Hold an advisory lock: who reads the old file goes on reading it."""
    import fcntl

    scene.write_old()
    assert scene.handle is not None
    fcntl.flock(scene.handle, fcntl.LOCK_EX)
    return "saved"


def folder_missing(scene: Scene) -> str:
    scene.target = scene.real = scene.place / "missing" / scene.target.name
    return "refused"


def folder_vanishes(scene: Scene) -> str:
    """Remove the folder when the new file has been written."""
    scene.write_old()
    scene.medium_allows = False
    _at_sync(scene, lambda: shutil.rmtree(scene.place))
    return "refused"


def mount_vanished(scene: Scene) -> str | None:
    """Take the disk away before writing: its mount point is an empty folder now."""
    if not scene.mount("size=1m"):
        return None
    (scene.place / "case").mkdir()
    scene.target = scene.place / "case" / scene.target.name
    scene.write_old()
    scene.medium_allows = False
    return "refused" if _unmount(scene) else None


def mount_vanishes(scene: Scene) -> str | None:
    """Take the disk away when the new file has been written."""
    if not scene.mount("size=1m"):
        return None
    (scene.place / "case").mkdir()
    scene.target = scene.place / "case" / scene.target.name
    scene.write_old()
    scene.medium_allows = False
    _at_sync(scene, lambda: _unmount(scene))
    return "refused"


def long_name(scene: Scene) -> str:
    scene.target = scene.real = scene.place / ("x" * 300 + scene.writer.suffix)
    return "refused"


def longest_name(scene: Scene) -> str:
    """Take the longest name that a file system has: 255 bytes."""
    suffix = scene.writer.suffix
    scene.target = scene.place / ("x" * (255 - len(suffix)) + suffix)
    scene.write_old()
    return "saved"


def long_path(scene: Scene) -> str:
    """Go beyond the 4096 bytes that a path may have."""
    deep = "/".join(["d" * 200] * 25)
    scene.target = scene.real = scene.place / deep / scene.target.name
    return "refused"


def deep_path(scene: Scene) -> str:
    """Come close to the longest path, in a folder that exists."""
    folder = scene.place
    while len(str(folder)) < 3500:
        folder = folder / ("d" * 200)
    folder.mkdir(parents=True)
    scene.target = folder / scene.target.name
    scene.write_old()
    return "saved"


def foreign_name(scene: Scene) -> str:
    names = ("größe 脳 μ'\"", "🫀 Herz", "a b\tc", "%s{0}$HOME", "-rf", "نبض", "e\u0301", "CON")
    name = names[scene.rng.integers(len(names))]
    (scene.place / name).mkdir()
    scene.target = scene.place / name / (name + scene.writer.suffix)
    scene.write_old()
    return "saved"


def undecodable_name(scene: Scene) -> str:
    """Name a folder by bytes that are no UTF-8, as old disks hold them."""
    folder = scene.place / os.fsdecode(b"gr\xf6\xdfe")
    folder.mkdir()
    scene.target = folder / scene.target.name
    scene.write_old()
    return "saved"


def folder_in_the_way(scene: Scene) -> str:
    scene.target.mkdir()
    return "refused"


def link_to_file(scene: Scene) -> str:
    (scene.place / "far").mkdir()
    real = scene.place / "far" / scene.target.name
    scene.writer.write(real, scene.writer.make(scene.rng, _SMALL))
    scene.target.symlink_to(real)
    scene.write_old()
    return "saved"


def link_to_nowhere(scene: Scene) -> str:
    """Follow a link into a folder that is gone."""
    scene.real = scene.home / "gone" / scene.target.name
    scene.target.symlink_to(scene.real)
    return "refused"


def link_to_read_only(scene: Scene) -> str | None:
    """Follow a link onto a disk that is read-only."""
    link = scene.home / f"link{scene.writer.suffix}"
    link.symlink_to(scene.target)
    if not scene.mount("size=1m"):
        return None
    scene.target = link
    scene.write_old()
    return "refused" if scene.mount("remount,ro") else None


def sync_of_file_fails(scene: Scene) -> str:
    scene.write_old()
    _fail(scene, "fsync", 1)
    return "refused"


def sync_of_folder_fails(scene: Scene) -> str:
    scene.write_old()
    _fail(scene, "fsync", 2)
    return "refused"


def rename_fails(scene: Scene) -> str:
    scene.write_old()
    _fail(scene, "replace", 1)
    return "refused"


def bytes_rot(scene: Scene) -> str:
    """Change a byte of the new file between writing and reading it back."""
    scene.write_old()

    def rot() -> None:
        for path in scene.place.glob(".*"):
            content = bytearray(path.read_bytes())
            content[int(scene.rng.integers(len(content)))] ^= 1 << int(scene.rng.integers(8))
            path.write_bytes(content)

    _at_sync(scene, rot)
    # A bit that no reader looks at may change.
    return "either"


def short_write(scene: Scene) -> str:
    """Lose the end of the new file without an error, as some network shares do."""
    scene.write_old()

    def shorten() -> None:
        for path in scene.place.glob(".*"):
            os.truncate(path, int(scene.rng.integers(path.stat().st_size)))

    _at_sync(scene, shorten)
    return "refused"


def _at_sync(scene: Scene, act: Callable[[], object]) -> None:
    """Do something when the new file has been written and is about to be synced."""
    sync, done = os.fsync, []

    def hooked(descriptor: int) -> None:
        sync(descriptor)
        if not done:
            done.append(True)
            act()

    atomic.os.fsync = hooked
    scene.undo.append(lambda: setattr(atomic.os, "fsync", sync))


def _fail(scene: Scene, name: str, turn: int) -> None:
    """Let a call of the operating system fail, at its n-th turn and ever after."""
    original, turns = getattr(os, name), []

    def failing(*arguments: Any) -> Any:
        turns.append(name)
        if len(turns) >= turn:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(*arguments)

    setattr(atomic.os, name, failing)
    scene.undo.append(lambda: setattr(atomic.os, name, original))


def _as_nobody(scene: Scene, item: Path) -> str | None:
    """Take the rights of writing away, and those of root as well."""
    if os.geteuid() != 0:
        item.chmod(0o555)
        scene.undo.append(lambda: item.chmod(0o755))
        return "refused"
    scene.home.chmod(0o755)
    item.chmod(0o555)
    # For this child only, and for good.
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)
    return "refused"


def _immutable(scene: Scene, item: Path) -> str | None:
    if shutil.which("chattr") is None:
        return None
    if subprocess.run(["chattr", "+i", item], capture_output=True).returncode:
        return None
    scene.undo.append(lambda: subprocess.run(["chattr", "-i", item], capture_output=True))
    return "refused"


def _unmount(scene: Scene) -> bool:
    return subprocess.run(["umount", "-l", scene.place], capture_output=True).returncode == 0


Fault = Callable[[Scene], str | None]
FAULTS: tuple[Fault, ...] = (
    full_disk, read_only_disk, immutable_file, folder_missing, sync_of_folder_fails, bytes_rot,
    disk_full_at_random, read_only_folder, read_only_file, mount_vanished, mount_vanishes,
    sync_of_file_fails, rename_fails, short_write, file_too_large, no_inode_left,
    disk_turns_read_only, immutable_folder, file_open_elsewhere, folder_vanishes, long_name,
    longest_name, long_path, deep_path, foreign_name, undecodable_name, folder_in_the_way,
    link_to_file, link_to_nowhere, link_to_read_only,
)  # fmt: skip
