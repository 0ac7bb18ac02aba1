"""The few layers of which the networks are made."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_crii.networks.randomness import own_generator


def normalisation(channels: int) -> nn.GroupNorm:
    """Group normalisation: independent of the batch, which is one to four images while tuning."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


class Dropout(nn.Dropout):
    """Dropout that threads may draw side by side, each from a generator of its own."""

    def forward(self, features: Tensor) -> Tensor:
        """Set each value to 0 with the chance `p`, and scale the others up."""
        chance = own_generator()
        if chance is None or not self.training:
            return super().forward(features)
        kept = torch.empty_like(features).bernoulli_(1 - self.p, generator=chance)
        return features * kept.div_(1 - self.p)


class ConvBlock(nn.Sequential):
    """Two 3 x 3 convolutions, each normalised and rectified, with dropout between them."""

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            normalisation(outputs),
            nn.LeakyReLU(0.01, inplace=True),
            Dropout(dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            normalisation(outputs),
            nn.LeakyReLU(0.01, inplace=True),
        )


class UpBlock(nn.Module):
    """Double the resolution, join the skip connection, convolve."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, 1)
        self.convolve = ConvBlock(outputs + skip, outputs)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Map (B, inputs, h, w) and (B, skip, 2h, 2w) to (B, outputs, 2h, 2w)."""
        wide = nn.functional.interpolate(
            self.reduce(features), scale_factor=2, mode="bilinear", align_corners=False
        )
        merged: Tensor = self.convolve(torch.cat([wide, skip], dim=1))
        return merged


class ResidualBlock(nn.Module):
    """Add what two 3 x 3 convolutions find to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            normalisation(channels),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            normalisation(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape (B, C, H, W)."""
        return nn.functional.leaky_relu(features + self.body(features), 0.01)
