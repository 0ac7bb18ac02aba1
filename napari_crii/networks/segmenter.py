"""What training and inference ask of a network."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class BranchLogits(NamedTuple):
    """Logits of the two branches at image resolution, each (B, K, H, W)."""

    coarse: Tensor
    refined: Tensor


class Segmenter(Protocol):
    """A network with a coarse and a refined output.

    A network with a single output returns it twice; the disagreement then comes from the
    views alone. It is called by several threads at once, each with some of the images, so what it
    says of an image hangs on no other one, and it keeps nothing of a call.
    """

    def __call__(self, image: Tensor) -> BranchLogits:
        """Map images (B, C, H, W), normalised, of any size, to logits of that size."""
        ...
