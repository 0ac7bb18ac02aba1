"""Records as lines: one of JSON each, checked when it is read."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from napari_crii.engine.messages import Closed, FellBack, Message, Ready, Restarting
from napari_crii.patches import Box, Patch, Reason

# What the client makes is left out: a child cannot say that it has ended.
_KINDS: dict[str, type[Any]] = {
    k.__name__: k for k in Message.__args__ if k not in (Closed, FellBack, Restarting)
}
_TYPES: dict[object, type | tuple[type, ...]] = {
    "bool": bool,
    "int": int,
    "float": (int, float),
    "str": str,
}


def encode(message: Message) -> bytes:
    """Return a message as one line."""
    body = {"kind": type(message).__name__, **asdict(message)}
    return json.dumps(body, allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of a line.

    Raises
    ------
    ValueError
        If the line is no message.
    """
    try:
        body = json.loads(line)
        kind = _KINDS[body.pop("kind")]
        if kind is Ready:
            body.setdefault("protocol", 0)
        if "patches" in body:
            body["patches"] = [_patch(p) for p in body["patches"]]
        message: Message = kind(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in body.items()}
        )
        _require_types(message)
    # Deep nesting exhausts the JSON reader's recursion.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a message: {line[:80]!r}") from error
    return message


def _require_types(message: Message) -> None:
    for field in fields(message):
        if not isinstance(getattr(message, field.name), _TYPES.get(field.type, tuple)):
            raise TypeError(field.name)


def _patch(body: dict[str, Any]) -> Patch:
    return Patch(body["slice"], Box(**body["box"]), body["score"], Reason(body["reason"]))
