"""Slices of earlier sittings, read off the window's thread before the trainer's first run."""

from __future__ import annotations

from collections.abc import Callable

from napari_crii.session.earlier_work import EarlierWork
from napari_crii.session.project import Project
from napari_crii.snapshot import LabelledSlice
from napari_crii.widgets.sentences import reason_of
from napari_crii.widgets.sitting import Sitting


class EarlierSlices:
    """What was corrected in a project before this sitting.

    Parameters
    ----------
    sitting
        Reads off the window's thread.

    Attributes
    ----------
    reading
        Whether they are being read.
    """

    def __init__(self, sitting: Sitting) -> None:
        self._sitting = sitting
        self._work: EarlierWork | None = None
        self.reading = False

    def enter(self, project: Project | None) -> None:
        """Begin anew with a project, or with none."""
        self._work = None if project is None else EarlierWork(project)

    def slices(self, neighbours: int) -> tuple[LabelledSlice, ...] | None:
        """Return them for a network that reads so many neighbours; None: `read` them first."""
        if self._work is None:
            return ()
        return self._work.slices() if self._work.is_read(neighbours) else None

    def read(
        self, neighbours: int, then: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        """Read them, then go on, unless another project has been entered meanwhile.

        If that fails, `failed` is told why, and it goes on without them.
        """
        work = self._work
        assert work is not None

        def done(_: object) -> None:
            self.reading = False
            if work is self._work:
                then()

        def told(error: BaseException) -> None:
            failed(f"What was corrected earlier teaches nothing: {reason_of(error)}")
            done(None)

        self.reading = True
        self._sitting.run(lambda: work.read(neighbours), done, told)
