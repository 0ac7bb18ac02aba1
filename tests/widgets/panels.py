"""The panel of learning, as its tests handle it."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel

from napari_crii.session import SliceStatus


def panel(window):
    return window.assistant.learning_group


def in_use(window):
    used = window.controller.network.weights.list.in_use
    return None if used is None else used.digest


def accept(window, *indices):
    for index in indices:
        window.show(index)
        window.controller.accept_slice()
        assert window.case.status(index) is SliceStatus.ACCEPTED


def learn(window, trainer):
    """Press *Learn now*, and wait until the trainer is sent out: in a project it reads first."""
    runs = len(trainer.made)
    window.click(panel(window).learn)
    window.until(lambda: len(trainer.made) > runs)


def answer(window, engine, digest):
    """Let the engine answer what it was asked for last."""
    window.until(lambda: engine.last.asked)
    engine.last.answer(digest)
    window.until(lambda: window.status.startswith("Proposed"))


def told(window):
    """Wait until the dock shows what the trainer said."""
    window.until(lambda: not window.controller.network.learning._mailbox._waiting)
    window.controller._refresh()


def seen(box, words):
    return any(words in label.text() for label in box.findChildren(QLabel) if label.isVisible())
