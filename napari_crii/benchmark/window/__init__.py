"""Measurements in real windows: all that needs Qt, napari and a display."""
