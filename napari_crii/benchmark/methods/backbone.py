"""The encoder-decoder of all compared methods: that of CRII-Net, with a plain head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_crii.networks import NetworkConfig
from napari_crii.networks.blocks import ConvBlock, UpBlock
from napari_crii.networks.crii import pad_to_stride


class Encoder(nn.Module):
    """Features at strides 1, 2, 4, 8, 16."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        inputs = (config.in_channels, *config.widths[:-1])
        self.stages = nn.ModuleList(
            ConvBlock(i, o, d)
            for i, o, d in zip(inputs, config.widths, config.dropout, strict=True)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map (B, C, H, W), sides multiples of 16, to five feature maps."""
        features = [self.stages[0](image)]
        for stage in self.stages[1:]:
            features.append(stage(nn.functional.max_pool2d(features[-1], 2)))
        return features


class TransposedUp(nn.Module):
    """Double the resolution by a transposed convolution, join the skip connection, convolve."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.convolve = ConvBlock(outputs + skip, outputs)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Map (B, inputs, h, w) and (B, skip, 2h, 2w) to (B, outputs, 2h, 2w)."""
        merged: Tensor = self.convolve(torch.cat([self.enlarge(features), skip], dim=1))
        return merged


class Decoder(nn.Module):
    """Features at strides 8, 4, 2, 1 from those of the encoder."""

    def __init__(self, config: NetworkConfig, block: type[nn.Module] = UpBlock) -> None:
        super().__init__()
        w = config.widths
        self.stages = nn.ModuleList(block(w[i + 1], w[i], w[i]) for i in (3, 2, 1, 0))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return four feature maps, the coarsest first."""
        found: list[Tensor] = []
        for stage, skip in zip(self.stages, reversed(features[:-1]), strict=True):
            found.append(stage(found[-1] if found else features[-1], skip))
        return found


class UNet(nn.Module):
    """Encoder, decoder and a 1 x 1 convolution."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.head = nn.Conv2d(config.widths[0], config.classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, C, H, W) to logits (B, K, H, W)."""
        height, width = image.shape[-2:]
        features = self.encoder(pad_to_stride(image))
        logits: Tensor = self.head(self.decoder(features)[-1])
        return logits[..., :height, :width]
