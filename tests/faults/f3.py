"""F3, faults of the medium while a file is written: every writer x every fault.

Each case runs in a forked child, on a small disk of its own where the machine lets root mount
one. A case passes when the error is one plain sentence that names the file, the old file is
bit-identical, no temporary file remains where the medium allows, and nothing is called saved
that does not read back right.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from napari_crii.errors import WriteError
from tests.faults.child import in_child
from tests.faults.f3_faults import FAULTS, Fault
from tests.faults.f3_scene import Scene
from tests.faults.f3_writers import WRITERS
from tests.faults.frame import Verdict, main

# At least 140: every writer meets every fault.
FULL = max(140, len(WRITERS) * len(FAULTS))
_CODE = ("Errno", "Traceback", "Error(", "Exception", "object at")


def check(seed: int, folder: Path) -> Verdict:
    """Run the case of this seed: every writer meets every fault in turn."""
    rng = np.random.default_rng(seed)
    writer = WRITERS[seed % len(WRITERS)]
    fault = FAULTS[(seed // len(WRITERS)) % len(FAULTS)]
    words = f"{writer.name}: {fault.__name__.replace('_', ' ')}"
    scene = Scene(folder, writer, rng)
    answer = in_child(lambda: _judged(scene, fault))
    scene.clean_up()
    if answer.death:
        return Verdict(words, answer.death, "died")
    wrong, outcome = answer.value
    return Verdict(words, wrong, outcome)


def _judged(scene: Scene, fault: Fault) -> tuple[str, str]:
    """Write an old file, provoke the fault, write anew, and look at what is left."""
    expected = fault(scene)
    if expected is None:
        return "", "impossible here"
    sentence = ""
    try:
        scene.write_new()
    except WriteError as error:
        sentence = str(error)
    except BaseException as error:
        return f"{type(error).__name__} escaped: {error}", "escaped"
    finally:
        scene.lift()
    if sentence:
        return _refusal_fault(scene, sentence, expected), "refused"
    if expected == "refused":
        return "was called saved", "saved"
    return scene.not_saved(), "saved"


def _refusal_fault(scene: Scene, sentence: str, expected: str) -> str:
    if expected == "saved":
        return f"refused: {sentence}"
    rest = sentence.replace(str(scene.target), "")
    faults = (
        (rest == sentence, f"the file is not named in: {sentence}"),
        (len(sentence.splitlines()) != 1 or ". " in rest, f"not one sentence: {sentence}"),
        (any(word in rest for word in _CODE), f"words of code in: {sentence}"),
        (not scene.old_is_whole(sentence), f"the old file is not as it was: {sentence}"),
        (bool(scene.litter()), f"temporary files remain: {scene.litter()}"),
    )
    return next((words for wrong, words in faults if wrong), "")


if __name__ == "__main__":
    sys.exit(main("F3", check, FULL))
