"""The store of truth: what humans said, what was proposed, and the way between the two."""

from napari_crii.session.case import Case, Proposal
from napari_crii.session.correction import Act, Correction, Provenance, SliceStatus
from napari_crii.session.session import Session

__all__ = ["Act", "Case", "Correction", "Proposal", "Provenance", "Session", "SliceStatus"]
