from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_crii.engine.codec import decode, encode
from napari_crii.engine.messages import (
    Cancel,
    Closed,
    FellBack,
    Message,
    OpenScan,
    Propose,
    Ready,
    Restarting,
    SliceProposed,
)
from napari_crii.engine.protocol import mismatch
from napari_crii.patches import Box, Patch, Reason

WHOLE = st.integers(-(2**53), 2**53)
REAL = st.floats(allow_nan=False, allow_infinity=False)
PATCHES = st.builds(
    Patch, WHOLE, st.builds(Box, WHOLE, WHOLE, WHOLE, WHOLE), REAL, st.sampled_from(Reason)
)
VALUES = {
    "bool": st.booleans(),
    "int": WHOLE,
    "float": REAL,
    "str": st.text(),
    "tuple[int, ...]": st.lists(WHOLE).map(tuple),
    "tuple[str, ...]": st.lists(st.text()).map(tuple),
    "tuple[float, ...]": st.lists(REAL).map(tuple),
    "tuple[Patch, ...]": st.lists(PATCHES, max_size=3).map(tuple),
}
KINDS = [kind for kind in Message.__args__ if kind not in (Closed, FellBack, Restarting)]
MESSAGES = st.sampled_from(KINDS).flatmap(
    lambda kind: st.builds(kind, **{f.name: VALUES[str(f.type)] for f in fields(kind)})
)


@given(MESSAGES)
def test_every_message_comes_back_as_it_was_sent_on_one_line(message: Message) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == message


@given(st.binary())
def test_noise_is_no_message(noise: bytes) -> None:
    with pytest.raises(ValueError, match="not a message"):
        decode(noise)


@pytest.mark.parametrize(
    "body",
    [
        [],
        "Cancel",
        {},
        {"kind": "Unknown"},
        {"kind": "Closed", "exit_code": 0},
        {"kind": "Restarting", "attempt": 1, "seconds": 1.0},
        {"kind": "FellBack", "name": "a", "checkpoint": "b"},
        {"kind": ["Cancel"]},
        {"kind": "Cancel", "more": 1},
        {"kind": "Propose", "request": 1, "scan": "a"},
        {"kind": "Propose", "request": "1", "scan": "a", "slices": [1]},
        {"kind": "Propose", "request": 1, "scan": "a", "slices": 5},
        {"kind": "Propose", "request": 1, "scan": None, "slices": [1]},
    ],
)
def test_what_is_almost_a_message_is_refused(body: object) -> None:
    with pytest.raises(ValueError, match="not a message"):
        decode(json.dumps(body).encode())


def test_a_patch_with_an_unknown_reason_is_refused() -> None:
    patch = Patch(0, Box(0, 0, 1, 1), 0.5, Reason.REGION)
    line = encode(SliceProposed(1, "a", 0, "x", "y", (patch,), "d"))
    with pytest.raises(ValueError, match="not a message"):
        decode(line.replace(b"region", b"whim"))


def test_deep_nesting_and_cut_lines_are_refused() -> None:
    whole = encode(OpenScan("a", "b", (1.0, 2.0, 3.0), "mm"))
    for line in (b"[" * 100_000, whole[:-3], whole[2:], b"\n", encode(Cancel())[:-3]):
        with pytest.raises(ValueError, match="not a message"):
            decode(line)


def test_a_child_of_another_version_is_told_from_one_of_ours() -> None:
    ours = decode(encode(Ready("cpu")))
    assert isinstance(ours, Ready)
    assert mismatch(ours.protocol) == ""
    silent = decode(b'{"kind": "Ready", "device": "cpu"}')
    later = decode(b'{"kind": "Ready", "device": "cpu", "protocol": 99}')
    for other in (silent, later):
        assert isinstance(other, Ready)
        assert "another version" in mismatch(other.protocol)


def test_equal_requests_are_equal() -> None:
    assert decode(encode(Propose(1, "a", (2, 3)))) == Propose(1, "a", (2, 3))


def test_the_windows_end_loads_no_torch() -> None:
    program = "import sys, napari_crii.engine.client; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "False"
