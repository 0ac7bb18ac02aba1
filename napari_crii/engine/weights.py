"""Which weights a new engine is told: the last that were good, then those that are wished for."""

from __future__ import annotations

from pathlib import Path

from napari_crii.engine.messages import UseCheckpoint

_TRIES = 2


class Weights:
    """The checkpoints of one client, as far as its engines answered.

    A wish during which engines died twice is dropped, if other weights were good before.

    Attributes
    ----------
    good
        The last weights that an engine took; None: none yet.
    """

    def __init__(self) -> None:
        self._numbers = 0
        self._told: dict[int, Path] = {}
        self.good: Path | None = None
        self._wish: Path | None = None
        self._deaths = 0

    def wish(self, path: Path) -> UseCheckpoint:
        """Wish for weights; return what is told to the engine."""
        self._wish, self._deaths = path, 0
        return self._tell(path)

    def tell_again(self) -> list[UseCheckpoint]:
        """Return what a new engine is told."""
        self._told.clear()
        return [self._tell(path) for path in (self.good, self._wish) if path is not None]

    def taken(self, number: int) -> None:
        """Hear that an engine proposes with these now."""
        path = self._told.get(number)
        if path is not None:
            self.good = path
            self._forget_wish(path)

    def refused(self, number: int) -> None:
        """Hear that an engine could not use these."""
        self._forget_wish(self._told.get(number))

    def died(self) -> Path | None:
        """Hear that an engine died; return a wish that is dropped for that."""
        dropped = None
        if self._wish is not None:
            self._deaths += 1
            if self._deaths >= _TRIES and self.good is not None:
                dropped, self._wish = self._wish, None
        return dropped

    def _tell(self, path: Path) -> UseCheckpoint:
        self._numbers += 1
        self._told[self._numbers] = path
        return UseCheckpoint(str(path), self._numbers)

    def _forget_wish(self, path: Path | None) -> None:
        if path == self._wish:
            self._wish = None
