"""Networks: CRII-Net, and the protocol through which a user's own network plugs in."""

from napari_crii.networks.config import NetworkConfig
from napari_crii.networks.crii import CRIINet
from napari_crii.networks.randomness import seeded
from napari_crii.networks.segmenter import BranchLogits, Segmenter

__all__ = ["BranchLogits", "CRIINet", "NetworkConfig", "Segmenter", "seeded"]
