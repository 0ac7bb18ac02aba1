"""The weights of a sitting or a project: each with its score, and which are in use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.errors import ProjectError


@dataclass(frozen=True)
class PublishedWeights:
    """Weights to which one can come back.

    Attributes
    ----------
    digest
        Of the weights.
    path
        Their file; None where only the journal speaks of them.
    when
        Seconds since the epoch; 0 for those that a sitting began with.
    slices
        How many slices of a human's they learnt from; 0 where that is not known.
    before, after
        Mean Dice on the check slices with the weights that they came from, and with themselves;
        -1 where it was not checked.
    check_slices
        How many check slices there were.
    """

    digest: str
    path: Path | None = None
    when: float = field(default_factory=time.time)
    slices: int = 0
    before: float = -1.0
    after: float = -1.0
    check_slices: int = 0

    @classmethod
    def of(
        cls,
        path: Path,
        slices: int = 0,
        before: float = -1.0,
        after: float = -1.0,
        check_slices: int = 0,
    ) -> PublishedWeights:
        """Describe the weights of a file, published now.

        Raises
        ------
        CheckpointError
            If the file is no checkpoint.
        """
        digest = read_checkpoint_info(path).digest
        return cls(digest, path, time.time(), slices, before, after, check_slices)


def with_digest(weights: PublishedWeights) -> PublishedWeights:
    """Return weights with the digest that their file gives; errors as of `of`."""
    assert weights.path is not None
    return replace(weights, digest=read_checkpoint_info(weights.path).digest)


class WeightsList:
    """Weights in the order of publication; new ones are in use until others are chosen."""

    def __init__(self) -> None:
        self._by_digest: dict[str, PublishedWeights] = {}
        self.in_use = ""

    def __iter__(self) -> Iterator[PublishedWeights]:
        return iter(self._by_digest.values())

    def __len__(self) -> int:
        return len(self._by_digest)

    def __contains__(self, digest: object) -> bool:
        return digest in self._by_digest

    def __getitem__(self, digest: str) -> PublishedWeights:
        return self._by_digest[digest]

    def add(self, weights: PublishedWeights) -> None:
        """Take new weights in, and use them; the same ones again keep their place."""
        self._by_digest.setdefault(weights.digest, weights)
        self.in_use = weights.digest

    def use(self, digest: str) -> None:
        """Use some of the weights from here on.

        Raises
        ------
        ProjectError
            If they are not among them.
        """
        if digest not in self:
            raise ProjectError(f"there are no weights {digest[:16]} to go back to")
        self.in_use = digest
