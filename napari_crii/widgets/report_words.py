"""What may leave the house: sentences without names, put together to a report; pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from napari_crii.widgets.project_words import clock

_REMOVED = "(removed)"
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# A word with a separator of folders, or one that ends like the name of a file.
_FILE = r"(?:\S*[/\\]\S*|\S+\.[A-Za-z]\w{0,11}(?=[\s,;:.)]|$))"
# From the first such word to the last one: names of folders and files may hold blanks.
_FILES = re.compile(rf"{_FILE}(?:.*{_FILE})?")


@dataclass(frozen=True)
class Remark:
    """Something that happened on the way.

    Attributes
    ----------
    at
        Seconds since the epoch.
    text
        One sentence.
    """

    at: float
    text: str

    @property
    def words(self) -> str:
        """The sentence with its time."""
        return f"{clock(self.at)} {self.text}"


def without_names(sentence: str, private: Iterable[str]) -> str:
    """Return a sentence without paths, names of files, quotations and the names given.

    Parameters
    ----------
    sentence
        What an error says.
    private
        Names of scans, people and folders, in any case of letters.
    """
    for name in sorted({one for one in private if len(one) > 1}, key=len, reverse=True):
        pattern = rf"(?<!\w){re.escape(name)}(?!\w)"
        sentence = re.sub(pattern, _REMOVED, sentence, flags=re.IGNORECASE)
    return _FILES.sub(_REMOVED, _QUOTED.sub(_REMOVED, sentence))


def report_in_words(
    versions: Sequence[str], place: str, error: Remark | None, remarks: Sequence[Remark]
) -> str:
    """Return a report of several lines; the sentences in it must be free of names already."""
    problem = "none" if error is None else error.words
    noted = [one.words for one in remarks] or ["none"]
    return "\n".join(
        [
            *versions,
            f"Learning: {place or 'nothing was learnt yet'}",
            f"Last problem: {problem}",
            "Remarks:",
            *(f"- {words}" for words in noted),
        ]
    )
