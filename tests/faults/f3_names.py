"""Faults of F3 that lie in the name of the file: its length, its characters, links.

Each returns what must come of writing, as those of `f3_faults`.
"""

from __future__ import annotations

import os

from tests.faults.f3_scene import SMALL, Scene


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
    scene.writer.write(real, scene.writer.make(scene.rng, SMALL))
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
