"""Where the files that travel with the package lie: weights, model cards, pictures.

A wheel carries the folder ``resources/`` inside the package; an editable install and a source
tree keep it beside the package. :func:`resource` knows both places, and nothing else should.
"""

from __future__ import annotations

from pathlib import Path

# Left ventricle on cine MRI.
SHIPPED_CHECKPOINT = "crii-lv-cine-mri.safetensors"

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "resources", _PACKAGE.parent / "resources")


def resource(*parts: str) -> Path:
    """Path of a file or folder below ``resources/``.

    Parameters
    ----------
    *parts
        Components of the path, for example ``"checkpoints", "name.safetensors"``. None gives
        the folder itself.

    Raises
    ------
    FileNotFoundError
        If the package carries no such file.
    """
    for root in _ROOTS:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    name = "/".join(("resources", *parts))
    raise FileNotFoundError(
        f"napari-crii carries no file {name}: the installation is incomplete, "
        "install the package again."
    )
