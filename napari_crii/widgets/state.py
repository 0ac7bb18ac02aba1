"""What the dock shows: a frozen state, and the pure functions that put it into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from napari_crii.orientation import letters
from napari_crii.patches import Patch
from napari_crii.session import Case, SliceStatus
from napari_crii.session.progress import CaseOverview, overview
from napari_crii.volume import Volume
from napari_crii.widgets.learning_words import LearningMode
from napari_crii.widgets.weights_history import WeightsHistory


@dataclass(frozen=True)
class Progress:
    """How far something has come; `total` 0: nothing runs."""

    done: int = 0
    total: int = 0

    @property
    def running(self) -> bool:
        """Whether something runs."""
        return self.total > 0


@dataclass(frozen=True)
class LearningView:
    """What the panel of learning shows, besides how far it is.

    Attributes
    ----------
    mode
        When it learns.
    offer
        The question, or the sentence, about slices that nothing was learnt from yet.
    can_learn, paused
        What the buttons need.
    place
        Where is computed, and the memory it takes.
    remarks
        Of the latest run, a sentence each.
    noted
        Those of the runs before it, each with its time.
    problem
        The last one, with its time.
    weights
        The weights that can be used.
    points
        How much there is of the learning curve.
    """

    mode: LearningMode = LearningMode.AUTOMATIC
    offer: str = ""
    can_learn: bool = False
    paused: bool = False
    place: str = ""
    remarks: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()
    problem: str = ""
    weights: WeightsHistory = field(default_factory=WeightsHistory)
    points: int = 0


@dataclass(frozen=True)
class AssistantState:
    """Everything that the dock shows, except the user's own entries.

    Attributes
    ----------
    message, is_error
        The status line.
    project, scan, slice, patch, learned
        One sentence each.
    scan_in_full
        What a tip tells of the scan.
    saved
        When the project was last written, as a time of day, or ``""``.
    has_case, has_patches
        What the buttons need.
    overview
        The line about the case in the list of cases.
    proposing, learning
        Progress of the two children.
    panel
        What else is to be said of learning.
    """

    message: str = "Choose a scan and a network, then propose."
    is_error: bool = False
    project: str = ""
    saved: str = ""
    scan: str = ""
    scan_in_full: str = ""
    slice: str = ""
    patch: str = ""
    learned: str = ""
    has_case: bool = False
    has_patches: bool = False
    overview: CaseOverview | None = None
    proposing: Progress = field(default_factory=Progress)
    learning: Progress = field(default_factory=Progress)
    panel: LearningView = field(default_factory=LearningView)


def scan_in_words(case: Case) -> str:
    """Report on a scan, a line each: its size and type, and every remark."""
    return "\n".join([_size(case), *_remarks(case)])


def scan_in_full(case: Case) -> str:
    """Report on a scan, a line each: its size and type, where its axes point, every remark."""
    return "\n".join([_size(case), *_directions(case.volume), *_remarks(case)])


def _size(case: Case) -> str:
    volume = case.volume
    count, rows, columns = case.shape
    between, row, column = volume.slice_spacing
    if volume.is_image:
        slices = f"{count} slices of " if count > 1 else ""
        size = f"{slices}{rows} x {columns} pixels, pixel size unknown"
    else:
        size = f"{count} slices of {rows} x {columns}, {row:.2f} x {column:.2f} x {between:.2f} mm"
    colour = "RGB, " if volume.channels == 3 else ""
    return f"{size}, {colour}{volume.array.dtype}"


def _remarks(case: Case) -> list[str]:
    remarks = [f"Remark: {remark}" for remark in case.volume.remarks]
    if case.validation:
        remarks.append("This patient validates: the network does not learn from this scan")
    return remarks


def _directions(volume: Volume) -> list[str]:
    """Say where the axes point and whether the grid is turned, in at most two lines."""
    lines = []
    if volume.has_orientation:
        slices, rows, columns = tuple(letters(volume.slice_geometry))
        lines.append(
            f"Slices are stored towards {slices}, rows towards {rows}, columns towards {columns}"
        )
    if volume.is_image:
        return lines
    turned = {"oblique": volume.geometry.is_oblique, "sheared": volume.geometry.is_sheared}
    words = " and ".join(word for word, holds in turned.items() if holds)
    if words:
        lines.append(f"{words.capitalize()}: shown on its own grid, saved in its true position")
    return lines


def slice_in_words(case: Case, index: int) -> str:
    """Say which slice is shown and how far the user has come with it."""
    state = {
        SliceStatus.UNTOUCHED: (
            "proposed, nobody has looked at it yet"
            if case.proposals.has(index)
            else "nothing proposed yet"
        ),
        SliceStatus.EDITED: "you are correcting it",
        SliceStatus.ACCEPTED: "accepted by you",
    }[case.status(index)]
    accepted = len(case.slices_with(SliceStatus.ACCEPTED))
    total = case.shape[0]
    return f"Slice {index + 1} of {total}: {state}. Accepted so far: {accepted} of {total}."


def case_in_words(
    state: AssistantState, case: Case, index: int, patches: Sequence[Patch], current: Patch | None
) -> AssistantState:
    """Return a state that tells of the slice on display and of the review queue."""
    return replace(
        state,
        slice=slice_in_words(case, index),
        patch=patch_in_words(patches, current),
        has_patches=bool(patches),
        overview=overview(case.work),
    )


def saved_in_words(case: Case, name: str, include_proposals: bool) -> str:
    """Say what a mask that was saved holds."""
    accepted = len(case.slices_with(SliceStatus.ACCEPTED))
    unseen = len(case.slices_with(SliceStatus.UNTOUCHED)) if include_proposals else 0
    words = f"Saved and verified {name}: {accepted} slices accepted by you"
    return words + (f", {unseen} proposed that nobody has looked at." if unseen else ".")


def patch_in_words(patches: Sequence[Patch], current: Patch | None) -> str:
    """Say which patch is shown and why it was flagged."""
    if not patches:
        return "No doubtful patch."
    if current is None or current not in patches:
        return f"{len(patches)} doubtful patches."
    position = list(patches).index(current) + 1
    return (
        f"Patch {position} of {len(patches)}: {current.reason}, "
        f"doubt {current.score:.2f}, on slice {current.slice + 1}."
    )
