"""Words as sentences of the status line, and errors as words."""

from __future__ import annotations


def as_sentence(words: str) -> str:
    """Return words with a capital at the beginning and a full stop at the end."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def reason_of(error: BaseException) -> str:
    """Return what an error says, else the name of its kind."""
    return str(error) or type(error).__name__
