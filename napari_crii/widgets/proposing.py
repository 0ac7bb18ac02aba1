"""The proposing half of the dock: questions to the engine, and its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qtpy.QtCore import QObject

from napari_crii.engine.client import EngineClient, collect
from napari_crii.engine.messages import (
    Closed,
    Failed,
    FellBack,
    Message,
    Notice,
    ProposalFinished,
    Restarting,
    SliceProposed,
)
from napari_crii.io.atomic import in_words
from napari_crii.session import Proposal
from napari_crii.volume import Volume
from napari_crii.widgets.background import Mailbox
from napari_crii.widgets.state import Progress


@dataclass(frozen=True)
class Answers:
    """Who hears the engine's answers, all on the window's thread.

    Attributes
    ----------
    proposed
        Called with the proposal of a slice.
    finished
        Called with the seconds that a whole request took.
    failed, noticed
        Called with one sentence; after the second one proposing goes on.
    fell_back
        Called with the earlier weights with which proposing goes on, and with one sentence.
    busy
        Called with whether slices are being proposed, whenever that may have changed.
    """

    proposed: Callable[[Proposal], None]
    finished: Callable[[float], None]
    failed: Callable[[str], None]
    noticed: Callable[[str], None]
    fell_back: Callable[[Path, str], None]
    busy: Callable[[bool], None]


class Proposing(QObject):
    """One engine; of a slice only the answer to the latest question counts.

    A question comes before earlier ones about the same scan, which stay; one about another scan
    replaces them.
    """

    def __init__(self, answers: Answers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._answers = answers
        self._mailbox = Mailbox(self._on_message, self)
        self._engine = EngineClient(self._mailbox.post)
        self._scan = ""
        # By slice, which question waits for it; and questions that are not at their end.
        self._asked: dict[int, int] = {}
        self._open: set[int] = set()
        self._failed = False
        self.progress = Progress()

    @property
    def folder(self) -> Path:
        """A private folder that lives as long as this."""
        return self._engine.folder

    @property
    def pid(self) -> int | None:
        """Process id of the engine, if it runs."""
        return self._engine.pid

    def use_checkpoint(self, path: Path) -> None:
        """Propose with these weights from the next slice on."""
        self._failed = False
        self._engine.use_checkpoint(path)

    def open_scan(self, volume: Volume) -> None:
        """Make a scan known to the engine."""
        self._engine.open_scan(volume.digest, volume)

    def forget_scans(self) -> None:
        """Let go of the scans of work that is left, and of what was asked of them."""
        self._engine.forget_scans()
        self._forget()

    def ask(self, volume: Volume, slices: Sequence[int]) -> None:
        """Ask for slices of a scan, in this order, before what was asked earlier."""
        self._failed = False
        number = self._engine.propose(volume.digest, slices)
        if self._scan != volume.digest:
            self._forget()
        self._scan = volume.digest
        self._open.add(number)
        self._asked |= dict.fromkeys(slices, number)
        self.progress = Progress(0, len(self._asked))
        self._answers.busy(True)

    def cancel(self) -> None:
        """Stop proposing; what has arrived stays."""
        self._engine.cancel()
        self._forget()

    def close(self) -> None:
        """End the engine."""
        self._mailbox.close()
        self._forget()
        self._engine.close()

    def _forget(self) -> None:
        self._asked, self._open = {}, set()
        self.progress = Progress()
        self._answers.busy(False)

    def _on_message(self, message: Message) -> None:
        match message:
            case SliceProposed():
                self._on_proposal(message)
            case ProposalFinished(request, _, seconds) if request in self._open:
                self._open.remove(request)
                if not self._asked:
                    self._forget()
                    self._answers.finished(seconds)
            case Failed(text, request) if request in {0, *self._open}:
                self._fail(text, request)
            case Closed(code) if code != 0 and not self._failed:
                self._forget()
                self._answers.failed("The engine ended; it starts again when you propose.")
            case _:
                self._on_remark(message)

    def _fail(self, text: str, request: int = 0) -> None:
        """Give up a question, or all of them, and say why."""
        first, self._failed = not self._failed, True
        self._open.discard(request)
        self._asked = {i: number for i, number in self._asked.items() if number != request}
        self.progress = replace(self.progress, total=self.progress.done + len(self._asked))
        if not request or not self._asked:
            self._forget()
        # The first failure is the cause; what fails after it only follows from it.
        if first:
            self._answers.failed(f"No proposal: {text}")

    def _on_remark(self, message: Message) -> None:
        """Hear what happened on the way; proposing goes on."""
        match message:
            case Restarting(_, seconds):
                said = f"The network's process ended; it starts again in {seconds:.0f} s."
                self._answers.noticed(said)
            case FellBack(name, earlier):
                said = f"{name} ended the network's process twice: "
                said += "proposals go on with the earlier weights."
                self._answers.fell_back(Path(earlier), said)
            case Notice(text):
                self._answers.noticed(text)

    def _on_proposal(self, message: SliceProposed) -> None:
        try:
            proposal = collect(message)
        except (OSError, ValueError, MemoryError) as error:
            self._engine.cancel()
            self._fail(f"what the network found cannot be read here ({in_words(error)})")
            return
        if message.scan != self._scan or self._asked.get(message.slice) != message.request:
            return
        del self._asked[message.slice]
        self.progress = replace(self.progress, done=self.progress.done + 1)
        self._answers.proposed(proposal)
