"""``napari-crii doctor``: whether everything is there that the tool needs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from napari_crii.cli._display import has_display
from napari_crii.cli._output import JsonOption, write_json

_OLDEST_PYTHON = (3, 11)
_ENOUGH_BYTES = 2 << 30
_BINDINGS = ("PyQt6", "PyQt5", "PySide6", "PySide2")
_GL_SECONDS = 30
# In a process of its own: a broken driver can end it without an exception.
_GL_PROBE = """
import sys
from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
application = QGuiApplication(sys.argv[:1])
context, surface = QOpenGLContext(), QOffscreenSurface()
surface.create()
assert context.create() and context.makeCurrent(surface)
version = context.format().version()
sys.stdout.write(f"{version[0]}.{version[1]}")
"""


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, or what to do about it."""

    name: str
    ok: bool
    text: str


def doctor(
    selftest: Annotated[
        bool,
        typer.Option(
            "--selftest",
            help="Test how learning behaves here: 16 bits, too little memory, yielding.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check Python, Qt, display, GL, torch, disk and write rights; exit code 1 if one fails."""
    checks = []
    for check in run_selftests() if selftest else run_checks():
        checks.append(check)
        if not as_json:
            typer.echo(f"{'OK ' if check.ok else 'NOT'} {check.name:<13} {check.text}")
    if as_json:
        write_json([asdict(check) for check in checks])
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def run_selftests() -> Iterator[Check]:
    """Run one test of learning after the other, if torch is there."""
    found = _torch()
    yield found
    if found.ok:
        from napari_crii.cli._selftest import run_selftest

        for name, ok, text in run_selftest():
            yield Check(name, ok, text)


def run_checks() -> Iterator[Check]:
    """Run one check after the other."""
    steps: tuple[Callable[[], Check], ...] = (
        _python,
        _qt,
        _display,
        _gl,
        _torch,
        _weights,
        _disk,
        lambda: _writable("temp folder", Path(tempfile.gettempdir())),
        lambda: _writable("config folder", Path(typer.get_app_dir("napari-crii"))),
    )
    for step in steps:
        yield step()


def _python() -> Check:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] >= _OLDEST_PYTHON:
        return Check("Python", True, found)
    return Check("Python", False, f"{found} is too old: install Python 3.11 or newer")


def _installed_bindings() -> list[str]:
    return [name for name in _BINDINGS if importlib.util.find_spec(name) is not None]


def _qt() -> Check:
    found = _installed_bindings()
    if found:
        return Check("Qt", True, ", ".join(found))
    return Check(
        "Qt", False, 'no binding: pip install "napari-crii[pyqt6]" (the command line needs none)'
    )


def _display() -> Check:
    if has_display():
        return Check("display", True, os.environ.get("DISPLAY") or sys.platform)
    return Check(
        "display", False, "none: set DISPLAY or use xvfb-run; without it no window, the rest works"
    )


def _gl() -> Check:
    if not (has_display() and _installed_bindings()):
        return Check("GL", False, "not looked at: it needs a display and Qt, see above")
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _GL_PROBE], capture_output=True, text=True, timeout=_GL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return Check("GL", False, "the probe did not answer: update the graphics driver")
    if probe.returncode == 0:
        return Check("GL", True, f"OpenGL {probe.stdout.strip()}")
    return Check("GL", False, "no OpenGL context: install a driver, on Debian libgl1-mesa-dri")


def _torch() -> Check:
    try:
        import torch
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Check("torch", False, f"cannot be imported ({reason}): pip install torch")
    from napari_crii.device import choose_device
    from napari_crii.errors import DeviceError

    try:
        device = str(choose_device())
    except DeviceError as error:
        return Check("torch", False, str(error))
    if device.startswith("cuda"):
        device = torch.cuda.get_device_name(device)
    return Check(
        "torch", True, f"{torch.__version__} on {device}, {torch.get_num_threads()} threads"
    )


def _weights() -> Check:
    from napari_crii.checkpoint_info import read_checkpoint_info
    from napari_crii.demo import shipped_checkpoint
    from napari_crii.errors import CheckpointError

    try:
        card = read_checkpoint_info(shipped_checkpoint())
    except CheckpointError as error:
        return Check("weights", False, str(error))
    return Check("weights", True, f"{', '.join(card.class_names)} ({card.digest[:12]})")


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    text = f"{free / (1 << 30):.1f} GiB free in the current folder"
    if free >= _ENOUGH_BYTES:
        return Check("disk", True, text)
    return Check("disk", False, f"{text}: make room, {_ENOUGH_BYTES >> 30} GiB are enough")


def _writable(name: str, folder: Path) -> Check:
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest) as stream:
            stream.write(b"napari-crii")
    except OSError as error:
        return Check(name, False, f"{nearest} cannot be written: {(error.strerror or '').lower()}")
    return Check(name, True, str(folder))
