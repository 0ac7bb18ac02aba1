"""What the network does for the case on display: proposals from its weights, new weights.

The engine and the trainer know nothing of each other: weights that the trainer publishes are handed
to the engine here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal

from napari_crii.errors import CriiError
from napari_crii.session import Proposal
from napari_crii.widgets.case_view import CaseView
from napari_crii.widgets.learning import Learning, LearningPlan
from napari_crii.widgets.proposing import Answers, Proposing
from napari_crii.widgets.review import to_propose
from napari_crii.widgets.sitting import Sitting


@dataclass(frozen=True)
class Audience:
    """Who hears of the network's work.

    Attributes
    ----------
    changed
        Called when progress or words change.
    renew
        Called when there are proposals whose patches are not in the review queue yet.
    published
        Called when new weights are in use.
    say
        Called with a sentence, and whether it is a problem.
    """

    changed: Callable[[], None]
    renew: Callable[[], None]
    published: Callable[[], None]
    say: Callable[..., None]


class NetworkAtWork(QObject):
    """The engine, the trainer, and the weights that they share.

    Parameters
    ----------
    sitting
        Whose corrections are learnt from, and who keeps the weights.
    shown
        Returns the case on display, None if there is none.
    audience
        Who hears of it.
    """

    proposed = Signal()

    def __init__(
        self,
        sitting: Sitting,
        shown: Callable[[], CaseView | None],
        audience: Audience,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._sitting = sitting
        self._shown = shown
        self._audience = audience
        self._checkpoint: Path | None = None
        answers = Answers(
            self._on_proposal, self._on_proposed, lambda said: audience.say(said, True)
        )
        self.proposing = Proposing(answers, self)
        self.learning = Learning(audience.changed, self._on_published, self)

    def use(self, checkpoint: Path | None) -> None:
        """Propose with these weights from the next slice on; None: a network that first learns."""
        self._checkpoint = checkpoint
        if checkpoint is not None:
            self.proposing.use_checkpoint(checkpoint)

    def propose(self, whole_volume: bool) -> None:
        """Propose the slice on display, or every slice nobody touched, that one first."""
        shown, say = self._shown(), self._audience.say
        if shown is None:
            return
        if self._checkpoint is None:
            say("This network knows nothing yet: draw and accept a slice first.", True)
            return
        wanted = to_propose(shown.case, shown.current_slice, whole_volume)
        if not wanted:
            say("A human has touched this already; proposals leave it alone.")
            return
        self.proposing.ask(shown.case.volume, wanted)
        say("Proposing.")

    def learn(self, plan: LearningPlan | None = None) -> None:
        """Start a fine-tuning tick, unless one is at work or nothing is new."""
        session = self._sitting.learnable()
        if session is None or self.learning.running:
            return
        chosen = plan or LearningPlan(self._checkpoint)
        try:
            self.learning.start(session, chosen, self.proposing.folder)
        except CriiError as error:
            self._audience.say(str(error), True)

    def close(self) -> None:
        """End both children."""
        self.learning.close()
        self.proposing.close()

    def _on_proposal(self, proposal: Proposal) -> None:
        """Show a slice's proposal, unless a human was faster."""
        shown = self._shown()
        if shown is None:
            return
        if shown.case.publish(proposal):
            shown.binding.show_slice(proposal.slice)
        self._audience.changed()
        if self.proposing.progress.done == 1:
            # In a turn of its own: together with the slice it would stop the window.
            QTimer.singleShot(0, self._audience.renew)

    def _on_proposed(self, seconds: float) -> None:
        self._audience.renew()
        self._audience.say(f"Proposed in {seconds:.1f} s.")
        self.proposed.emit()

    def _on_published(self, checkpoint: Path) -> None:
        """Use new weights, keep them in the project, and refresh what nobody touched."""
        self._sitting.keep_weights(checkpoint)
        self.use(checkpoint)
        self.propose(whole_volume=True)
        self._audience.published()
