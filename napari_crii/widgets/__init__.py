"""What a clinician sees in napari. Nothing here ever imports torch."""
