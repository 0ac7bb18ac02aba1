"""A case on display: its layers and its review queue, there together or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from napari.components import ViewerModel

from napari_crii.classes import LabelClass
from napari_crii.session import Case
from napari_crii.widgets._compat import camera_of
from napari_crii.widgets.drawn_slices import Strokes
from napari_crii.widgets.layer_binding import LayerBinding
from napari_crii.widgets.review import Review
from napari_crii.widgets.state import AssistantState, case_in_words

ZOOM_ON_PATCH = 2.5


class CaseView:
    """Show a case and the patches to check in it.

    Parameters
    ----------
    viewer
        Where the layers live.
    case
        What they show.
    classes
        Names and colours.
    strokes
        Who hears what the user does to the layers.
    """

    def __init__(
        self, viewer: ViewerModel, case: Case, classes: Sequence[LabelClass], strokes: Strokes
    ) -> None:
        self._viewer = viewer
        self.case = case
        self.binding = LayerBinding(viewer, case, classes, strokes)
        self.review = Review(case)
        self._fit_zoom = 1.0

    @property
    def current_slice(self) -> int:
        """Index of the slice on display."""
        return self.binding.slices.current

    def fit(self) -> None:
        """Show the whole slice, and measure zooms on patches from there."""
        self._viewer.reset_view()
        self._fit_zoom = camera_of(self._viewer).zoom

    def go(self, step: int) -> None:
        """Turn to the next (+1) or previous (-1) patch, if there is one."""
        patch = self.review.step(step)
        if patch is not None:
            side = min(self.case.shape[1:])
            zoom = self._fit_zoom * min(ZOOM_ON_PATCH, max(1.0, side / 80))
            self.binding.slices.go_to(patch, zoom)
        self._show_patches()

    def show_slice(self, index: int) -> None:
        """Bring the layers in line with a slice of the case, and the queue with them."""
        self.binding.show_slice(index)
        self.renew_patches()

    def renew_patches(self) -> None:
        """Bring the review queue in line with the case, and show it."""
        self.review.refresh()
        self._show_patches()

    def in_words(self, state: AssistantState) -> AssistantState:
        """Return a state that tells of this case."""
        patches, current = self.review.patches, self.review.current
        return case_in_words(state, self.case, self.current_slice, patches, current)

    def _show_patches(self) -> None:
        self.binding.patches.show(self.review.patches, self.review.current)
