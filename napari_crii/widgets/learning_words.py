"""What the dock says of learning: pure functions."""

from __future__ import annotations

from enum import StrEnum

from napari_crii.engine.messages import LearningFinished
from napari_crii.session.weights import PublishedWeights
from napari_crii.snapshot import MINIMUM_CHECK_SLICES
from napari_crii.widgets.project_words import clock
from napari_crii.widgets.sentences import as_sentence

READING = "Reading what was corrected earlier."


class LearningMode(StrEnum):
    """When the network learns from accepted slices."""

    AUTOMATIC = "automatic"
    ASK = "ask"
    MANUAL = "manual"

    @property
    def words(self) -> str:
        """What the user reads."""
        return {
            LearningMode.AUTOMATIC: "by itself, after each slice I accept",
            LearningMode.ASK: "after asking me",
            LearningMode.MANUAL: "only when I press Learn now",
        }[self]


def slices_in_words(count: int, kind: str) -> str:
    """Return a number of slices of a kind."""
    return f"{count} {kind} slice{'s' if count != 1 else ''}"


def seconds_in_words(seconds: float) -> str:
    """Return a time left, roundly."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left"


def at_work_in_words(slices: int, seconds_left: float | None) -> str:
    """Say what is learnt from and how long it takes; None: that is not known yet."""
    left = "starting" if seconds_left is None else seconds_in_words(seconds_left)
    return f"Learning from {slices_in_words(slices, 'corrected')}, {left}."


def paused_in_words(slices: int, done: int, total: int) -> str:
    """Say that learning waits, and how far it is."""
    counted = slices_in_words(slices, "corrected")
    return f"Paused: learning from {counted} waits after step {done} of {total}."


def outcome_in_words(slices: int, finished: LearningFinished) -> str:
    """Say what a run led to."""
    if finished.reason == "refused":
        return f"{_judged(finished)} It was refused: the network is as it was."
    if not finished.checkpoint:
        said = "Learning was stopped." if finished.reason == "stopped" else finished.message
        return f"{said} The network is as it was.".strip()
    return f"Learnt from {slices_in_words(slices, 'corrected')}. {_judged(finished)}"


def verdict_in_words(finished: LearningFinished) -> str:
    """Say whether the last update made proposals better; ``""`` where there was none."""
    if finished.reason == "refused":
        return f"{_judged(finished)} It was refused."
    return _judged(finished) if finished.checkpoint else ""


def _judged(finished: LearningFinished) -> str:
    before, after = round(finished.before, 2), round(finished.after, 2)
    if finished.before < 0 or finished.after < 0:
        return _unjudged(finished)
    figures = (
        f"Dice {before:.2f} -> {after:.2f} on your "
        f"{slices_in_words(finished.check_slices, 'check')}."
    )
    if finished.check_slices < MINIMUM_CHECK_SLICES:
        return f"{_unjudged(finished)} {figures}"
    if finished.reason == "refused":
        return f"The last update made proposals worse: {figures}"
    if before == after:
        return f"The last update left proposals as good as they were: {figures}"
    if after > before:
        return f"The last update made proposals better: {figures}"
    return f"The last update may have made proposals worse: {figures} Too little to be sure."


def _unjudged(finished: LearningFinished) -> str:
    if finished.reason == "refused":
        return as_sentence(finished.message)
    needed = MINIMUM_CHECK_SLICES
    there = min(finished.check_slices, needed)
    return (
        f"The last update is not checked yet: {there} of the {needed} check slices that this needs "
        "are there."
    )


def offer_in_words(mode: LearningMode, new: int, running: bool, again: bool = False) -> str:
    """Return the question, or the sentence, about slices to learn from: new ones, or all again."""
    if again and not new and not running:
        return "An earlier version is in use; Learn now learns from all corrected slices again."
    if running or not new or mode is LearningMode.AUTOMATIC:
        return ""
    counted = slices_in_words(new, "new")
    if mode is LearningMode.ASK:
        return f"Learn from {counted} now?"
    return f"{counted} can be learnt from."


def place_in_words(device: str, memory_mb: float) -> str:
    """Say where is computed, and how much memory that takes; ``""`` where nobody knows."""
    if not device:
        return ""
    where = "On the processor" if device == "cpu" else "On the graphics card"
    if memory_mb <= 0:
        return f"{where}."
    taken = f"{memory_mb:.0f} MB" if memory_mb < 1000 else f"{memory_mb / 1000:.1f} GB"
    return f"{where}, {taken}."


def weights_in_words(one: PublishedWeights, in_use: bool) -> str:
    """Return a line of the list of weights: when, what from, how good."""
    when = clock(one.when)[:-3] if one.when else "At the start"
    plural = "s" if one.slices != 1 else ""
    name = one.digest[:16] if one.path is None else one.path.stem
    source = f"from {one.slices} slice{plural}" if one.slices else name
    score = f", Dice {one.after:.2f}" if one.after >= 0 else ", not checked" if one.slices else ""
    return f"{when}, {source}{score}{' (in use)' if in_use else ''}"
