"""What the network does for the case on display: proposals from its weights, new weights.

The engine and the trainer know nothing of each other: weights that the trainer publishes are handed
to the engine here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.errors import CriiError
from napari_crii.session import Proposal, Session
from napari_crii.session.project import Project
from napari_crii.session.weights import PublishedWeights
from napari_crii.widgets.background import once
from napari_crii.widgets.case_view import CaseView
from napari_crii.widgets.earlier_slices import EarlierSlices
from napari_crii.widgets.fresh_slices import FreshSlices
from napari_crii.widgets.learning import (
    TOLD_MS,
    Learning,
    LearningPlan,
    Listeners,
    neighbours_of,
)
from napari_crii.widgets.learning_words import READING, LearningMode, offer_in_words
from napari_crii.widgets.proposing import Answers, Proposing
from napari_crii.widgets.report import report
from napari_crii.widgets.report_words import Remark
from napari_crii.widgets.review import to_propose
from napari_crii.widgets.sitting import Sitting
from napari_crii.widgets.state import LearningView
from napari_crii.widgets.weights import Weights

MODE = "learning_mode"
_MODES = {mode.value: mode for mode in LearningMode}
_NOTED = 3


@dataclass(frozen=True)
class Audience:
    """Who hears of the network's work.

    Attributes
    ----------
    changed
        Called when progress or words change.
    renew
        Called when there are proposals whose patches are not in the review queue yet.
    say
        Called with a sentence, and whether it is a problem.
    """

    changed: Callable[[], None]
    renew: Callable[[], None]
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

    Attributes
    ----------
    checkpoint
        The weights that proposals are made with; None: a network that first learns.
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
        self.checkpoint: Path | None = None
        self._problem: Remark | None = None
        self._fresh = FreshSlices()
        self._keeping = False
        self._earlier = EarlierSlices(sitting)
        self.weights = Weights(sitting, audience.changed)
        listeners = Listeners(
            audience.changed, self._on_published, self._on_gave_up, self._note_problem
        )
        self.learning = Learning(listeners, self)
        problem, make_room = self._on_problem, self.learning.make_room
        answers = Answers(
            self._on_proposal, self._on_proposed, problem, problem, self._on_fell_back, make_room
        )
        self.proposing = Proposing(answers, self)
        self._soon = once(audience.changed)
        self._soon.setInterval(TOLD_MS)

    @property
    def mode(self) -> LearningMode:
        """When it learns from accepted slices: as the project says, else as chosen here."""
        return _MODES.get(str(self._sitting.chosen(MODE)), LearningMode.AUTOMATIC)

    @mode.setter
    def mode(self, mode: LearningMode) -> None:
        if mode is not self.mode:
            self._sitting.choose(MODE, mode.value)
            self._audience.changed()

    def view(self) -> LearningView:
        """Return what the panel of learning shows."""
        learning, mode, new = self.learning, self.mode, self._new_slices()
        curve, reading = learning.curve, self._earlier.reading
        again = self.weights.list.is_behind and self._sitting.learnable(again=True) is not None
        return LearningView(
            mode=mode,
            offer=READING if reading else offer_in_words(mode, new, learning.running, again),
            can_learn=(bool(new) or again) and not learning.running and not reading,
            paused=learning.paused,
            place=learning.place if learning.running else "",
            remarks=learning.run_remarks,
            noted=tuple(one.words for one in learning.earlier_remarks[-_NOTED:]),
            problem="" if self._problem is None else self._problem.words,
            weights=self.weights.list,
            points=len(curve.losses) + len(curve.checks),
        )

    def enter(self, project: Project | None) -> None:
        """List the weights of another project, which come into use with a case; or of none.

        What is being learnt belongs to the work before, and is discarded.
        """
        self.learning.stop()
        self._earlier.enter(project)
        self.proposing.forget_scans()
        checkpoint, self.checkpoint = self.checkpoint, None
        self.weights.enter(project)
        if project is None:
            self.use(checkpoint)

    def use(self, checkpoint: Path | None) -> None:
        """Propose with these weights from the next slice on; None: a network that first learns.

        What is being learnt from other weights is discarded.
        """
        if checkpoint != self.checkpoint:
            self.learning.stop()
        self.learning.forget()
        self.checkpoint = checkpoint
        if checkpoint is not None:
            self.proposing.use_checkpoint(checkpoint)
            self.weights.use(PublishedWeights("", checkpoint, when=0.0))

    def roll_back(self, digest: str = "") -> None:
        """Use the weights of a digest again, or those before the ones in use.

        What is being learnt builds on the weights that are given up, and is discarded. Slices
        that nobody touched are proposed anew; what a human drew stays.
        """
        wanted = self.weights.roll_back(digest)
        if wanted is None or wanted.path is None:
            return
        self.learning.stop()
        self.checkpoint = wanted.path
        self.proposing.use_checkpoint(wanted.path)
        self._audience.say("Other weights are in use; slices that nobody touched follow.")
        self._propose_untouched()

    def propose(self, whole_volume: bool) -> None:
        """Propose the slice on display, or every slice nobody touched, that one first."""
        shown, say = self._shown(), self._audience.say
        if shown is None:
            return
        if self.checkpoint is None:
            say("This network knows nothing yet: draw and accept a slice first.", True)
            return
        if self._ask(shown, whole_volume):
            say("Proposing.")
        else:
            say("A human has touched this already; proposals leave it alone.")

    def renew(self) -> None:
        """Propose anew, by itself, what other weights proposed of the case on display."""
        shown = self._shown()
        if shown is None or self.checkpoint is None:
            return
        proposals = shown.case.proposals
        untouched = to_propose(shown.case, shown.current_slice, whole_volume=True)
        proposed = [index for index in untouched if proposals.has(index)]
        if not proposed:
            return
        try:
            in_use = read_checkpoint_info(self.checkpoint).digest
        except CriiError:
            # Weights whose file is gone can propose nothing anew.
            return
        stale = [index for index in proposed if proposals.checkpoint(index) != in_use]
        if stale:
            self.proposing.ask(shown.case.volume, stale)

    def learn(self, plan: LearningPlan | None = None) -> None:
        """Start a fine-tuning tick, unless one is at work or nothing is new.

        Where weights were rolled back that learnt from all, it learns from all again. In a project
        what was corrected in earlier sittings is read first, once.
        """
        session = self._sitting.learnable(again=self.weights.list.is_behind)
        if session is None or self._in_between or self.learning.running:
            return
        chosen = plan or LearningPlan(self.checkpoint)
        try:
            neighbours = neighbours_of(chosen.checkpoint)
        except CriiError as error:
            self._on_problem(str(error))
            return
        earlier = self._earlier.slices(neighbours)
        if earlier is not None:
            self.learning.start(session, chosen, self.proposing.folder, earlier)
            return

        def go_on() -> None:
            self.learn(plan)
            self._audience.changed()

        self._earlier.read(neighbours, go_on, self._note_problem)
        self._audience.changed()

    @property
    def _in_between(self) -> bool:
        """Whether a run is about to begin, or the weights of one are still being kept."""
        return self._keeping or self._earlier.reading

    def learn_by_itself(self) -> None:
        """Start a fine-tuning tick if that is wanted without being asked for."""
        if self.mode is LearningMode.AUTOMATIC and self._sitting.learnable() is not None:
            self.learn()
        else:
            self._audience.changed()

    def report(self) -> str:
        """Return a report of what went wrong, without names, paths and files."""
        files = [one.path for one in self.weights.list.entries if one.path is not None]
        if self.checkpoint is not None:
            files.append(self.checkpoint)
        learning = self.learning
        return report(self._sitting, learning.place, self._problem, learning.remarks, files)

    def close(self) -> None:
        """End both children."""
        self._soon.stop()
        self.learning.close()
        self.proposing.close()

    def _ask(self, shown: CaseView, whole_volume: bool) -> bool:
        """Ask for proposals; whether there are slices that nobody touched."""
        wanted = to_propose(shown.case, shown.current_slice, whole_volume)
        if wanted:
            self.proposing.ask(shown.case.volume, wanted)
        return bool(wanted)

    def _propose_untouched(self) -> None:
        shown = self._shown()
        if shown is not None:
            self._ask(shown, whole_volume=True)
            self._audience.changed()

    def _new_slices(self) -> int:
        """Return how many accepted slices can be learnt from and were not."""
        session = self._sitting.teaching
        # What is about to be learnt, or has been, is not new.
        return 0 if session is None or self._in_between else self._fresh.of(session)

    def _on_proposal(self, proposal: Proposal) -> None:
        """Show a slice's proposal, unless a human was faster."""
        shown = self._shown()
        if shown is None:
            return
        if shown.case.publish(proposal):
            shown.binding.show_slice(proposal.slice)
        if not self._soon.isActive():
            self._soon.start()
        if self.proposing.progress.done == 1:
            # In a turn of its own: together with the slice it would stop the window.
            QTimer.singleShot(0, self._audience.renew)

    def _on_proposed(self, seconds: float) -> None:
        self._audience.renew()
        self._audience.say(f"Proposed in {seconds:.1f} s.")
        self.proposed.emit()

    def _on_published(self, new: PublishedWeights, mark_learned: Callable[[], None]) -> None:
        """Use new weights, keep them in the project, and refresh what nobody touched."""
        assert new.path is not None
        session = self._sitting.session

        def done(kept: bool) -> None:
            self._keeping = False
            # Not before: of weights that are lost nothing was learnt. Other work may be open
            # by now.
            if kept and session is self._sitting.session:
                mark_learned()
                self.learn_by_itself()
            self._audience.changed()

        self._keeping = True
        self._sitting.keep_weights(new, done)
        self.checkpoint = new.path
        self.proposing.use_checkpoint(new.path)
        self.weights.use(new)
        self.propose(whole_volume=True)

    def _on_gave_up(self, session: Session) -> None:
        """Learn what was accepted while a run was at work that led to nothing, or in other work."""
        if session is not self._sitting.teaching or session.accepted_meanwhile():
            self.learn_by_itself()

    def _on_fell_back(self, earlier: Path, sentence: str) -> None:
        """Hear that the engine goes on with earlier weights: those in use end its process."""
        self.learning.stop()
        self.checkpoint = earlier
        self._sitting.keep_weights(PublishedWeights("", earlier))
        self.weights.use(PublishedWeights("", earlier))
        self._on_problem(sentence)

    def _on_problem(self, sentence: str) -> None:
        self._note_problem(sentence)
        self._audience.say(sentence, True)

    def _note_problem(self, sentence: str) -> None:
        self._problem = Remark(time.time(), sentence)
        self._audience.changed()
