"""A human mask from a file: read and resampled off the window's thread, asked about, entered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_crii.errors import CriiError
from napari_crii.session import Case, SliceStatus
from napari_crii.session.mask_import import (
    Labels,
    MaskFile,
    fits_classes,
    named,
    read_mask_file,
    resampled,
    slices_of,
    with_labels_as_one,
)
from napari_crii.widgets import _questions
from napari_crii.widgets.background import Background
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.sentences import reason_of

TITLE = "Import mask"


class MaskImport(QObject):
    """Import a mask for the case on display.

    Its slices are entered as finished: they are accepted and may be learnt from. Slices that are
    empty in the file are left as they are, and so is a human's work unless the user gives it up.

    Parameters
    ----------
    parent
        The widget that questions belong to.
    controller
        Whose case it is.
    """

    def __init__(self, parent: QWidget, controller: AssistantController) -> None:
        super().__init__(parent)
        self._widget = parent
        self._controller = controller
        self._background = Background(self._on_failure, self)

    def start(self, path: Path) -> None:
        """Read a mask, then ask what has to be asked and enter it."""
        case = self._controller.case
        if case is None:
            return
        self._say(f"Reading {path.name}.")
        self._run(case, lambda: read_mask_file(path, case.volume), self._on_read)

    def close(self) -> None:
        """Drop what is being read."""
        self._background.close()

    def _run(
        self, case: Case, work: Callable[[], MaskFile], then: Callable[[Case, MaskFile], None]
    ) -> None:
        """Do a step off the window's thread; what follows is for the same case only."""

        def prepare() -> MaskFile:
            mask = work()
            # Listing the labels of a large mask takes long: here, and remembered.
            _ = mask.values
            return mask

        def go_on(mask: MaskFile) -> None:
            if self._controller.case is case:
                then(case, mask)
            else:
                self._say(f"{mask.name} was not imported: another scan is on display now.")

        self._background.run(prepare, go_on)

    def _on_read(self, case: Case, mask: MaskFile) -> None:
        if not mask.mismatch:
            self._on_scans_grid(case, mask)
            return
        question = (
            f"{mask.mismatch}.\n\nResample it to the scan? Every voxel of the scan then takes the "
            "label that lies nearest."
        )
        if _questions.agrees(self._widget, TITLE, question):
            self._run(case, lambda: resampled(mask, case.volume), self._on_scans_grid)
        else:
            self._say(f"{mask.name} was not imported: its grid is not the scan's.")

    def _on_scans_grid(self, case: Case, mask: MaskFile) -> None:
        # With several classes nobody can tell which one an unknown label means: that is refused.
        if fits_classes(mask, case.classes) or case.classes > 2:
            self._enter(case, mask)
            return
        answers = ["all of them", *(f"label {value} only" for value in mask.values)]
        question = f"{mask.name} holds {named(mask.values)}, but there is one class. What belongs?"
        chosen = _questions.choice(self._widget, TITLE, question, answers)
        if chosen is None:
            self._say(f"{mask.name} was not imported.")
            return
        values = mask.values if chosen == 0 else (mask.values[chosen - 1],)
        self._run(case, lambda: with_labels_as_one(mask, values), self._enter)

    def _enter(self, case: Case, mask: MaskFile) -> None:
        # What was drawn and not yet reported counts as work, too.
        self._controller.sync()
        try:
            slices = slices_of(mask, case.volume, case.classes)
        except CriiError as error:
            self._say(str(error), True)
            return
        slices = {index: labels for index, labels in slices.items() if _is_new(case, index, labels)}
        mine = [index for index in slices if case.status(index) is not SliceStatus.UNTOUCHED]
        if mine and not self._gives_up(len(mine)):
            slices = {index: labels for index, labels in slices.items() if index not in mine}
        if not slices:
            self._say(f"Nothing was imported from {mask.name}.")
            return
        try:
            self._controller.seed(slices)
        except CriiError as error:
            self._say(f"Nothing was imported from {mask.name}: {error}.", True)
            return
        words = f"Imported {len(slices)} slices of {mask.name} as accepted"
        self._say(f"{words}; one undo takes them back.")
        self._controller.network.learn_by_itself()

    def _gives_up(self, count: int) -> bool:
        question = f"You have worked on {count} of these slices. Replace your work by the file's?"
        return _questions.agrees(self._widget, TITLE, question)

    def _say(self, sentence: str, is_error: bool = False) -> None:
        self._controller.say(sentence, is_error)

    def _on_failure(self, error: BaseException) -> None:
        self._say(reason_of(error), True)


def _is_new(case: Case, index: int, labels: Labels) -> bool:
    """Whether a slice would change, or become accepted."""
    accepted = case.status(index) is SliceStatus.ACCEPTED
    return not (accepted and np.array_equal(labels, case.human.labels[index]))
