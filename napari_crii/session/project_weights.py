"""The weights of a project: copies in its folder, an entry of its journal for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.errors import ProjectError
from napari_crii.io.atomic import copy_file
from napari_crii.session.entries import Entry, make_entry
from napari_crii.session.records import IN_USE, Records
from napari_crii.session.weights import PublishedWeights


class ProjectWeights:
    """What a project keeps of weights.

    Parameters
    ----------
    folder
        Of the project.
    records
        What its journal says.
    record
        Writes an entry and takes it into the records.
    require_writable
        Raises `ReadOnlyError` if nothing may be changed.
    """

    def __init__(
        self,
        folder: Path,
        records: Records,
        record: Callable[[Entry], None],
        require_writable: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._records = records
        self._record = record
        self._require_writable = require_writable

    @property
    def all(self) -> tuple[PublishedWeights, ...]:
        """The weights with their scores and where they lie, oldest first."""
        return tuple(replace(one, path=self._path(one.digest)) for one in self._records.weights)

    @property
    def in_use(self) -> str:
        """Digest of those in use: the newest, until others are chosen; or ``""``."""
        return self._records.weights.in_use

    def add(self, path: Path, learnt: PublishedWeights | None = None) -> str:
        """Copy weights into the project, use them from here on, and return their digest.

        Parameters
        ----------
        learnt
            When, from how many slices and with what score they were learnt, where that is known.

        Raises
        ------
        CheckpointError
            If the file is no checkpoint.
        WriteError
            If it cannot be copied.
        ReadOnlyError
            If the project is open for reading only.
        """
        self._require_writable()
        digest = read_checkpoint_info(path).digest
        if digest not in self._records.weights:
            target = self._path(digest)
            target.parent.mkdir(exist_ok=True)
            copy_file(path, target)
            facts = asdict(learnt or PublishedWeights(digest))
            del facts["path"]
            self._record(make_entry("checkpoint", "", {**facts, "digest": digest}))
        return digest

    def use(self, digest: str) -> None:
        """Use some of them from here on: one entry of the journal.

        Raises
        ------
        ProjectError
            If the project has no such weights.
        ReadOnlyError
            If the project is open for reading only.
        """
        self._require_writable()
        if digest not in self._records.weights:
            raise ProjectError(f"{self._folder} holds no weights {digest[:16]}")
        if digest != self.in_use:
            self._record(make_entry("setting", "", {"name": IN_USE, "value": digest}))

    def _path(self, digest: str) -> Path:
        return self._folder / "checkpoints" / f"crii-{digest[:16]}.safetensors"
