"""``python -m napari_crii.cli``: the command line where its script is not on the path."""

from napari_crii.cli import main

main()
