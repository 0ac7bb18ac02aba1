"""Run as a program: propose a whole scan in a real window, then look for torch in this process.

Arguments: the scan's file, the checkpoint. Prints what it found as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import napari
from qtpy.QtCore import QTimer

from napari_crii._reader import read_layers
from napari_crii.widgets.assistant import CriiAssistant

PATIENCE_MS = 90_000


def main(scan: str, checkpoint: str) -> None:
    from napari_crii.checkpoint_info import read_checkpoint_info

    viewer = napari.Viewer()
    for data, arguments, _ in read_layers(scan):
        viewer.add_image(data, **arguments)
    assistant = CriiAssistant(viewer)
    viewer.window.add_dock_widget(assistant, name="CRII assistant")
    classes = read_checkpoint_info(checkpoint).classes
    assistant.enter(viewer.layers[0].name, Path(checkpoint), classes)
    controller, proposed = assistant.controller, []

    def take() -> None:
        case = controller.case
        assert case is not None
        proposed.extend(case.proposals.has(index) for index in range(case.shape[0]))
        viewer.close()

    controller.proposed.connect(take)
    QTimer.singleShot(PATIENCE_MS, viewer.close)
    assistant.propose(True)
    napari.run()
    found = {
        "proposed": bool(proposed) and all(proposed),
        "torch": sorted(name for name in sys.modules if name.split(".")[0] == "torch"),
    }
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
