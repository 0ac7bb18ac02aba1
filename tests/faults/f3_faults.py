"""The faults of F3. Each sets a scene and returns what must come of writing:

``"refused"``, ``"saved"``, ``"either"``, or None where this machine cannot provoke it.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from tests.faults.f3_names import (
    deep_path,
    folder_in_the_way,
    foreign_name,
    link_to_file,
    link_to_nowhere,
    link_to_read_only,
    long_name,
    long_path,
    longest_name,
    undecodable_name,
)  # fmt: skip
from tests.faults.f3_scene import LARGE, Scene, as_nobody, at_sync, fail, immutable, unmount


def full_disk(scene: Scene) -> str | None:
    """Leave a few kilobytes on a disk of its own, less than the new file needs."""
    if not scene.mount("size=256k"):
        return None
    scene.write_old()
    scene.new = scene.writer.make(scene.rng, LARGE)
    _fill(scene, 8192)
    return "refused"


def disk_full_at_random(scene: Scene) -> str | None:
    """Fill the disk to somewhere between nothing left and just enough."""
    if not scene.mount("size=256k"):
        return None
    scene.write_old()
    _fill(scene, int(scene.rng.integers(0, 16384)))
    return "either"


def _fill(scene: Scene, rest: int) -> None:
    """Fill the disk until `rest` bytes are left."""
    left = shutil.disk_usage(scene.place).free
    (scene.place / "filler").write_bytes(b"\0" * max(0, left - rest))


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
    at_sync(scene, lambda: scene.mount("remount,ro"))
    scene.undo.append(lambda: scene.mount("remount,rw"))
    # A descriptor open for writing may keep the disk from it.
    return "either"


def read_only_folder(scene: Scene) -> str | None:
    scene.write_old()
    return as_nobody(scene, scene.place)


def read_only_file(scene: Scene) -> str | None:
    scene.write_old()
    scene.place.chmod(0o777)
    return as_nobody(scene, scene.target)


def immutable_file(scene: Scene) -> str | None:
    """Lock the file as `chattr +i` does: even root may neither write nor replace it."""
    scene.write_old()
    return immutable(scene, scene.target)


def immutable_folder(scene: Scene) -> str | None:
    scene.write_old()
    return immutable(scene, scene.place)


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
    at_sync(scene, lambda: shutil.rmtree(scene.place))
    return "refused"


def mount_vanished(scene: Scene) -> str | None:
    """Take the disk away before writing: its mount point is an empty folder now."""
    if not _old_file_on_a_disk_that_will_vanish(scene):
        return None
    return "refused" if unmount(scene) else None


def mount_vanishes(scene: Scene) -> str | None:
    """Take the disk away when the new file has been written."""
    if not _old_file_on_a_disk_that_will_vanish(scene):
        return None
    at_sync(scene, lambda: unmount(scene))
    return "refused"


def _old_file_on_a_disk_that_will_vanish(scene: Scene) -> bool:
    """Save an old file in a folder on a disk of its own; False where that cannot be mounted."""
    if not scene.mount("size=1m"):
        return False
    (scene.place / "case").mkdir()
    scene.target = scene.place / "case" / scene.target.name
    scene.write_old()
    scene.medium_allows = False
    return True


def sync_of_file_fails(scene: Scene) -> str:
    scene.write_old()
    fail(scene, "fsync", 1)
    return "refused"


def sync_of_folder_fails(scene: Scene) -> str:
    scene.write_old()
    fail(scene, "fsync", 2)
    return "refused"


def rename_fails(scene: Scene) -> str:
    scene.write_old()
    fail(scene, "replace", 1)
    return "refused"


def bytes_rot(scene: Scene) -> str:
    """Change a byte of the new file between writing and reading it back."""
    scene.write_old()

    def rot(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(scene.rng.integers(len(content)))] ^= 1 << int(scene.rng.integers(8))
        path.write_bytes(content)

    _spoil_what_was_written(scene, rot)
    # A bit that no reader looks at may change.
    return "either"


def short_write(scene: Scene) -> str:
    """Lose the end of the new file without an error, as some network shares do."""
    scene.write_old()

    def shorten(path: Path) -> None:
        os.truncate(path, int(scene.rng.integers(path.stat().st_size)))

    _spoil_what_was_written(scene, shorten)
    return "refused"


def _spoil_what_was_written(scene: Scene, spoil: Callable[[Path], None]) -> None:
    """Spoil the new file, which still bears its temporary name, when it is about to be synced."""

    def spoil_all() -> None:
        for path in scene.place.glob(".*"):
            spoil(path)

    at_sync(scene, spoil_all)


Fault = Callable[[Scene], str | None]
FAULTS: tuple[Fault, ...] = (
    full_disk, read_only_disk, immutable_file, folder_missing, sync_of_folder_fails, bytes_rot,
    disk_full_at_random, read_only_folder, read_only_file, mount_vanished, mount_vanishes,
    sync_of_file_fails, rename_fails, short_write, file_too_large, no_inode_left,
    disk_turns_read_only, immutable_folder, file_open_elsewhere, folder_vanishes, long_name,
    longest_name, long_path, deep_path, foreign_name, undecodable_name, folder_in_the_way,
    link_to_file, link_to_nowhere, link_to_read_only,
)  # fmt: skip
