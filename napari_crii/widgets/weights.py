"""Which weights there are and which are in use; files are read off the window's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.errors import CriiError
from napari_crii.session.project import Project
from napari_crii.session.weights import PublishedWeights, with_digest
from napari_crii.widgets.sitting import Sitting
from napari_crii.widgets.weights_history import WeightsHistory


class Weights:
    """The list of weights of a sitting.

    Parameters
    ----------
    sitting
        Reads files off the window's thread, and keeps weights in its project.
    changed
        Called when `list` changed.
    """

    def __init__(self, sitting: Sitting, changed: Callable[[], None]) -> None:
        self._sitting = sitting
        self._changed = changed
        self._of = 0
        self._reading = 0
        self.list = WeightsHistory()

    def enter(self, project: Project | None) -> None:
        """Begin anew: with the weights of a project, or with none."""
        self._of += 1
        self._reading = 0
        self.list = WeightsHistory()
        if project is not None:
            self._read(lambda: weights_of(project))

    def use(self, one: PublishedWeights) -> None:
        """List weights, whose digest need not be known, as those that are in use from now on."""

        def read() -> list[PublishedWeights]:
            return [with_digest(one)]

        self._read(read, use=True)

    def roll_back(self, digest: str = "") -> PublishedWeights | None:
        """Take the weights of a digest, or those before the ones in use.

        None: there are none, or those that are in use are still being read.
        """
        if self._reading:
            return None
        wanted = self.list.of(digest) if digest else self.list.before
        if wanted is None:
            return None
        self.list = self.list.using(digest) if digest else self.list.back()
        self._sitting.keep_weights(wanted)
        self._changed()
        return wanted

    def _read(self, read: Callable[[], list[PublishedWeights]], use: bool = False) -> None:
        number = self._of
        self._reading += 1

        def failed(_: BaseException) -> None:
            # The engine says what is wrong with a file; one that cannot be read is not listed.
            if number == self._of:
                self._reading -= 1

        def arrived(found: list[PublishedWeights]) -> None:
            if number != self._of:
                return
            self._reading -= 1
            for one in found:
                self.list = self.list.with_entry(one)
            if use:
                self._now(found[-1].digest)
            self._changed()

        self._sitting.run(read, arrived, failed)

    def _now(self, digest: str) -> None:
        """Use weights; of a project that was just opened, those before them are the way back."""
        if not self.list.used:
            digests = [one.digest for one in self.list.entries]
            self.list = replace(self.list, used=(*digests[: digests.index(digest)],))
        self.list = self.list.using(digest)


def weights_of(project: Project) -> list[PublishedWeights]:
    """Return the weights of a project that are there, oldest first.

    For a second reading only those that learnt from nobody's slices here, as of
    `weights_to_open_with`.
    """
    found = []
    for one in project.weights.all:
        assert one.path is not None
        try:
            slices = read_checkpoint_info(one.path).provenance.get("slices", 0)
        except CriiError:
            continue
        # Journals of before hold no score; the file says what it was learnt from.
        known = one.slices or (slices if isinstance(slices, int) else 0)
        if not (known and project.reading == 2):
            found.append(replace(one, slices=known))
    return found


def weights_to_open_with(project: Project, chosen: Path | None) -> Path | None:
    """Return the weights that a project was left with, else its newest, else those chosen before.

    For a second reading only weights that learnt from nobody's slices here: through others the
    first reader would speak. None: a network that first learns.
    """
    found = {one.digest: one for one in project.weights.all if one.path and one.path.is_file()}
    blind = project.reading == 2
    usable = {d: one.path for d, one in found.items() if not (blind and one.slices)}
    if usable:
        return usable.get(project.weights.in_use) or next(reversed(usable.values()))
    learnt = {one.path for one in found.values()}
    return None if chosen in learnt else chosen
