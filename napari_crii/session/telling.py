"""Who hears what happens to a case: act by act, so that the journal has all of an act or nothing.

Now and then the whole state of a slice is told after the event that changed it: with that, opening
a project need not replay all that ever happened to the slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from napari_crii.session.events import CaseEvent, Stood
from napari_crii.session.history import Group
from napari_crii.session.human_mask import HumanMask

# Effects on a slice after which its whole state goes into the journal, so that opening is fast.
STATE_EVERY = 64


class Teller:
    """Tells the events of a case to one listener.

    Attributes
    ----------
    listener
        Called with the events of one act, oldest first; at first nobody hears them.
    """

    def __init__(self) -> None:
        self.listener: Callable[..., None] = lambda *events: None
        self._effects: Counter[int] = Counter()
        self._together: list[CaseEvent] | None = None

    @contextmanager
    def one_act(self) -> Iterator[None]:
        """Tell the events of a block in one call, so that they reach the disk together."""
        together: list[CaseEvent] = []
        self._together = together
        try:
            yield
        finally:
            self._together = None
            if together:
                self.listener(*together)

    def tell(self, event: CaseEvent) -> None:
        """Tell an event: at once, or with the others of its act."""
        if self._together is None:
            self.listener(event)
        else:
            self._together.append(event)

    def tell_change(self, event: CaseEvent, group: Group, human: HumanMask) -> None:
        """Tell an event that changed voxels; now and then how its slices stand after it.

        Parameters
        ----------
        event
            Told first.
        group
            The corrections that were written or taken back.
        human
            As it is after that.
        """
        self.tell(event)
        for index in sorted({correction.slice for correction in group}):
            self._effects[index] += 1
            if self._effects[index] % STATE_EVERY == 0:
                self.tell(Stood(index, human.state(index, human.whole)))
