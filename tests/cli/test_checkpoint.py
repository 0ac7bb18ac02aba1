"""`checkpoint`: the card, the digest, and weights in another form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from napari_crii.checkpoint import load_checkpoint, new_checkpoint, save_checkpoint
from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.classes import numbered_classes
from napari_crii.preprocessing import Preprocessing


def test_the_card_in_words_and_as_json(run, as_json, two_classes: Path) -> None:
    card = as_json("checkpoint", "info", two_classes)
    known = read_checkpoint_info(two_classes)
    assert card == json.loads(known.to_json())
    text = run("checkpoint", "info", two_classes).stdout
    assert "2 a lesion/2" in text
    assert known.digest in text


def test_what_is_not_whole_is_named_and_the_others_are_verified(
    run, checkpoint: Path, two_classes: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.safetensors"
    blob = bytearray(checkpoint.read_bytes())
    blob[-5] ^= 1
    damaged.write_bytes(blob)
    assert run("checkpoint", "verify", checkpoint, two_classes).exit_code == 0
    result = run("checkpoint", "verify", checkpoint, damaged, two_classes, "--json")
    assert result.exit_code == 2
    assert [entry["checkpoint"] for entry in json.loads(result.stdout)] == [
        str(checkpoint),
        str(two_classes),
    ]
    assert "damaged.safetensors is damaged" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("kind", "dtype"), [("fp16", np.float16), ("fp32", np.float32)])
def test_weights_are_exported_in_the_kind_asked_for(
    as_json, checkpoint: Path, tmp_path: Path, kind: str, dtype: type
) -> None:
    target = tmp_path / "out.safetensors"
    written = as_json("checkpoint", "export", checkpoint, "--as", kind, "-o", target)
    before, after = load_file(checkpoint), load_file(target)
    assert list(before) == list(after)
    for name, values in before.items():
        assert after[name].dtype == dtype
        assert np.array_equal(after[name], values.astype(dtype))
    back, source = load_checkpoint(target), read_checkpoint_info(checkpoint)
    assert written == {"written": str(target), "digest": back.digest}
    assert back.provenance == {**source.provenance, "exported_from": source.digest}
    assert back.classes == source.classes


def test_the_card_alone_is_json(as_json, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "card.json"
    as_json("checkpoint", "export", checkpoint, "-o", target)
    assert json.loads(target.read_text()) == json.loads(read_checkpoint_info(checkpoint).to_json())


def test_weights_too_large_for_half_are_refused(refused, run, tmp_path: Path) -> None:
    made = new_checkpoint(numbered_classes(["lesion"]), Preprocessing())
    next(made.network.parameters()).data.view(-1)[0] = 1e5
    source, target = tmp_path / "large.safetensors", tmp_path / "half.safetensors"
    save_checkpoint(source, made)
    text = refused("checkpoint", "export", source, "--as", "fp16", "-o", target)
    assert "more than fp16 can hold" in text
    assert not target.exists()
    assert run("checkpoint", "export", source, "-o", target).exit_code == 0


def test_a_file_that_exists_and_an_unknown_ending_are_refused(
    refused, run, checkpoint: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"mine")
    assert "--overwrite" in refused("checkpoint", "export", checkpoint, "-o", mine)
    assert mine.read_bytes() == b"mine"
    assert run("checkpoint", "export", checkpoint, "-o", mine, "--overwrite").exit_code == 0
    assert "must end in" in refused("checkpoint", "export", checkpoint, "-o", tmp_path / "a.onnx")
