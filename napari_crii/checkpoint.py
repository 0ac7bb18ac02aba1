"""Checkpoints: weights and everything needed to use them, in one safe file.

Nothing is ever unpickled. The card (see :mod:`napari_crii.checkpoint_info`) carries the network's
configuration, the classes, the preprocessing recipe and the provenance.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from napari_crii.checkpoint_info import (
    CARD_KEY,
    CheckpointInfo,
    compute_digest,
    read_checkpoint_bytes,
    verified_info,
)
from napari_crii.classes import LabelClass
from napari_crii.device import is_out_of_memory, placed
from napari_crii.errors import CheckpointError
from napari_crii.io.atomic import atomic_write
from napari_crii.networks import CRIINet, NetworkConfig, seeded
from napari_crii.preprocessing import Preprocessing

# What packing takes beside the weights and their bytes.
_ROOM = 1 << 20


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network with its classes and its preprocessing.

    Attributes
    ----------
    network
        In evaluation mode, float32, on the CPU.
    classes
        Foreground classes, ids 1 to K-1.
    preprocessing
        The recipe for its inputs.
    low_contrast
        Edge contrast-to-noise ratio below which a place counts as low in contrast.
    provenance
        Where the weights come from.
    digest
        Empty until saved.
    """

    network: CRIINet
    classes: tuple[LabelClass, ...]
    preprocessing: Preprocessing
    low_contrast: float = 1.0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        config = self.network.config
        if [c.id for c in self.classes] != list(range(1, config.classes)):
            raise CheckpointError(
                f"a network of {config.classes} classes needs names for 1 to {config.classes - 1}"
            )
        if config.in_channels != self.preprocessing.in_channels:
            raise CheckpointError(
                f"a network of {config.in_channels} channels cannot read "
                f"{self.preprocessing.in_channels} of them"
            )

    def info(self) -> CheckpointInfo:
        """Return the card."""
        return CheckpointInfo(
            classes=self.classes,
            network=asdict(self.network.config),
            preprocessing=asdict(self.preprocessing),
            low_contrast=self.low_contrast,
            provenance=self.provenance,
            digest=self.digest,
        )


def new_checkpoint(
    classes: tuple[LabelClass, ...],
    preprocessing: Preprocessing,
    seed: int = 0,
    provenance: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Return an untrained network for these classes; `seed` decides its weights."""
    with seeded(seed):
        network = CRIINet(NetworkConfig(preprocessing.in_channels, len(classes) + 1))
    return Checkpoint(placed(network).eval(), classes, preprocessing, provenance=provenance or {})


def transferred(source: Checkpoint, target: Checkpoint) -> Checkpoint:
    """Return `target` with every weight of another task's checkpoint that fits it.

    Features move over; heads for another number of classes, and first layers for other channels,
    stay as `target` has them.

    Parameters
    ----------
    source
        A checkpoint with any classes and recipe.
    target
        A network for the new classes; it is left as it is.
    """
    network = copy.deepcopy(target.network)
    ours = network.state_dict()
    theirs = source.network.state_dict()
    ours |= {
        name: tensor
        for name, tensor in theirs.items()
        if name in ours and ours[name].shape == tensor.shape
    }
    network.load_state_dict(ours)
    provenance = {**target.provenance, "features_from": source.digest}
    return replace(target, network=placed(network).eval(), provenance=provenance, digest="")


def save_checkpoint(path: Path | str, checkpoint: Checkpoint, half: bool = False) -> Checkpoint:
    """Write a checkpoint, verified and whole or not at all.

    Parameters
    ----------
    half
        Store float16: half the size, for weights that are shipped.

    Returns
    -------
    Checkpoint
        The same, with its digest.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    blob, info = serialise(checkpoint, half)
    save_serialised(Path(path), blob)
    return replace(checkpoint, digest=info.digest)


def save_serialised(path: Path, blob: bytes) -> None:
    """Write what `serialise` returned, verified and whole or not at all; as `save_checkpoint`."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(blob)

    def verify(written: Path) -> None:
        verified_info(written.read_bytes(), written.name)

    atomic_write(path, write, verify)


def serialise(checkpoint: Checkpoint, half: bool = False) -> tuple[bytes, CheckpointInfo]:
    """Return a checkpoint as the bytes of its file, and its card with the digest."""
    kind = torch.float16 if half else torch.float32
    tensors = {
        name: tensor.detach().to(kind).contiguous().cpu()
        for name, tensor in checkpoint.network.state_dict().items()
    }
    info = replace(checkpoint.info(), digest="")
    info = replace(info, digest=compute_digest(_packed(tensors), info))
    return _packed(tensors, {CARD_KEY: info.to_json()}), info


def _packed(tensors: dict[str, Tensor], card: dict[str, str] | None = None) -> bytes:
    """Return tensors as the bytes of a file; raises `MemoryError` where there is no room."""
    # Short of memory the library ends the process: whether there is room is asked before.
    bytearray(2 * sum(tensor.nbytes for tensor in tensors.values()) + _ROOM)
    try:
        return save_tensors(tensors, card)
    except BaseException as error:
        # Short of memory the library panics, which is no `Exception`.
        if type(error).__name__ != "PanicException":
            raise
        raise MemoryError("the weights cannot be packed") from error


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint, its digest verified.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another kind, or its weights do not fit its card.
    """
    source = Path(path)
    blob = read_checkpoint_bytes(source)
    info = verified_info(blob, source.name)
    try:
        tensors = {name: tensor.float() for name, tensor in load_tensors(blob).items()}
        # On the meta device a card that lies about sizes costs no memory.
        with torch.device("meta"):
            network = CRIINet(NetworkConfig(**_tuples(info.network)))
        network.load_state_dict(tensors, assign=True)
        recipe = Preprocessing(**_tuples(info.preprocessing))
    except (SafetensorError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise CheckpointError(f"{source.name}: its weights do not fit its card") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise CheckpointError(f"{source.name} holds weights that are not finite numbers")
    return Checkpoint(
        network=placed(network).eval(),
        classes=info.classes,
        preprocessing=recipe,
        low_contrast=info.low_contrast,
        provenance=info.provenance,
        digest=info.digest,
    )


def _tuples(card: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows lists only; the configurations are made of tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in card.items()}
