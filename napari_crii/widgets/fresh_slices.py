"""How many slices there are to learn from that nothing was learnt from yet."""

from __future__ import annotations

from napari_crii.session import Case, Session


class FreshSlices:
    """Counts them anew only where something changed: that walks over all corrections."""

    def __init__(self) -> None:
        self._stand: object = None
        self._count = 0

    def of(self, session: Session) -> int:
        """Return the number of accepted slices that can be learnt from and were not."""
        stand = (session, [_stand(case) for case in session.cases.values()])
        if stand != self._stand:
            self._stand, self._count = stand, session.fresh_slices()
        return self._count


def _stand(case: Case) -> tuple[int, int]:
    """Return what changes whenever another slice of a case is accepted, taken back or learnt."""
    return -1 if case.last is None else case.last.number, len(case.notes.learned)
