"""The frozen configuration from which a network is built, stored inside its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from napari_crii.errors import CheckpointError


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that decides the shape of a CRII-Net.

    Attributes
    ----------
    in_channels
        Image channels times neighbouring slices.
    classes
        Number of classes K, background included.
    widths, dropout
        Channels and dropout rate of the encoder at strides 1, 2, 4, 8, 16.
    refined_width
        Channels of the refined branch.
    embedding
        Length of the pixel embedding that the ranked losses use.
    """

    in_channels: int = 1
    classes: int = 2
    widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 256)
    dropout: tuple[float, float, float, float, float] = (0.05, 0.1, 0.2, 0.3, 0.5)
    refined_width: int = 32
    embedding: int = 32

    def __post_init__(self) -> None:
        """Refuse configurations that no network can have."""
        if self.in_channels < 1 or self.classes < 2:
            raise CheckpointError(
                f"a network of {self.in_channels} channels and {self.classes} classes cannot be"
            )
        if self.refined_width < 1 or self.embedding < 1:
            raise CheckpointError("the refined branch and the embedding have at least one channel")
        if len(self.widths) != 5 or min(self.widths) < 1:
            raise CheckpointError("a CRII-Net has five encoder widths, each at least 1")
        if len(self.dropout) != 5 or not all(0 <= rate < 1 for rate in self.dropout):
            raise CheckpointError("a CRII-Net has five dropout rates, each in [0, 1)")
