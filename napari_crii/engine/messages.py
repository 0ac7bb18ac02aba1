"""Typed records between the window and its children; how they become lines says `codec`."""

from __future__ import annotations

from dataclasses import dataclass

from napari_crii.engine.protocol import PROTOCOL
from napari_crii.patches import Patch


@dataclass(frozen=True)
class UseCheckpoint:
    """Propose with these weights from the next slice on; `number` comes back with the answer."""

    path: str
    number: int = 0


@dataclass(frozen=True)
class OpenScan:
    """A scan to propose for.

    Attributes
    ----------
    scan
        The key under which later messages name it.
    array
        A ``.npy`` file, slices first: (S, H, W) or (S, H, W, 3).
    spacing
        Between slices, rows, columns.
    unit
        ``"mm"`` or ``"px"``.
    """

    scan: str
    array: str
    spacing: tuple[float, ...]
    unit: str


@dataclass(frozen=True)
class Propose:
    """Propose these slices of a scan, in this order, before what was asked earlier.

    The latest request wins for each slice that it names; one for another scan replaces all.
    """

    request: int
    scan: str
    slices: tuple[int, ...]


@dataclass(frozen=True)
class Cancel:
    """Stop proposing, whatever was asked."""


@dataclass(frozen=True)
class Learn:
    """Fine-tune on a snapshot and publish the result.

    Attributes
    ----------
    snapshot
        A file written by `save_snapshot`.
    checkpoint
        The weights to start from; an empty string starts a new network.
    folder
        Where the new checkpoint is published, named by its digest.
    iterations, learning_rate
        Of the run; 0 takes the tick's own.
    classes, channels
        Foreground classes by name, and 1 (grey) or 3 (RGB) channels, of a new network.
    preset
        How it learns, by the name of a preset of the method; an empty string takes the tick's own.
    """

    snapshot: str
    checkpoint: str
    folder: str
    iterations: int = 0
    learning_rate: float = 0.0
    classes: tuple[str, ...] = ()
    channels: int = 1
    preset: str = ""


@dataclass(frozen=True)
class ForgetScans:
    """Let go of every scan, and of what is wanted of them.

    Whoever wrote their files removes them.
    """


@dataclass(frozen=True)
class PauseLearning:
    """Wait before the next step, or go on."""

    paused: bool


@dataclass(frozen=True)
class StopLearning:
    """Discard what is being learnt."""


@dataclass(frozen=True)
class Ready:
    """The child has loaded and listens.

    Attributes
    ----------
    device
        Where it computes.
    protocol
        As `napari_crii.engine.protocol.PROTOCOL`; 0 for a child that does not tell.
    """

    device: str
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class CheckpointInUse:
    """Proposals are made with these weights from now on.

    Attributes
    ----------
    digest
        Of the weights.
    number
        Of the `UseCheckpoint` that is answered.
    backend
        How they are computed with, in words.
    """

    digest: str
    number: int = 0
    backend: str = ""


@dataclass(frozen=True)
class Alive:
    """The child is there, whether it waits or computes; its client alone hears this."""


@dataclass(frozen=True)
class SliceProposed:
    """One slice is proposed.

    Attributes
    ----------
    labels, maps
        ``.npy`` files of (H, W) class indices, and of `SliceMaps`, (3, H, W) uint8; the receiver
        deletes them.
    patches
        Places worth a look.
    checkpoint
        Digest of the weights.
    """

    request: int
    scan: str
    slice: int
    labels: str
    maps: str
    patches: tuple[Patch, ...]
    checkpoint: str


@dataclass(frozen=True)
class ProposalFinished:
    """Of a request nothing is left: proposed, or asked for again by a later one."""

    request: int
    scan: str
    seconds: float


@dataclass(frozen=True)
class LearningStepped:
    """One training step is done.

    Attributes
    ----------
    step, total
        How many are done, of how many.
    loss
        Of this step.
    memory_mb
        What the trainer holds: of the graphics card where it computes there, else of the machine.
    """

    step: int
    total: int
    loss: float
    memory_mb: float = 0.0


@dataclass(frozen=True)
class LearningChecked:
    """The weights were judged on the check slices.

    Attributes
    ----------
    step
        After how many steps; 0: the weights that the run started from.
    dice
        Mean over the slices and the foreground classes.
    slices
        How many there are.
    """

    step: int
    dice: float
    slices: int


@dataclass(frozen=True)
class Notice:
    """Something happened on the way that the user should know, in one sentence."""

    text: str


@dataclass(frozen=True)
class LearningFinished:
    """Training is over.

    Attributes
    ----------
    reason
        A `FinishReason`, or ``"refused"`` when the new weights did worse on the check slices.
    checkpoint
        The published file, or an empty string.
    message
        One sentence for the user.
    before, after
        Dice on the check slices with the old and the new weights; -1 where it was not checked.
    check_slices
        How many check slices there are.
    """

    reason: str
    checkpoint: str
    message: str
    before: float = -1.0
    after: float = -1.0
    check_slices: int = 0


@dataclass(frozen=True)
class Failed:
    """Something could not be done; one sentence says why. The child goes on.

    Attributes
    ----------
    message
        The sentence.
    request
        The proposal that failed; 0 where it was something else.
    checkpoint
        The `UseCheckpoint.number` that failed; 0 where it was something else.
    """

    message: str
    request: int = 0
    checkpoint: int = 0


@dataclass(frozen=True)
class Restarting:
    """The engine died with work to do and starts again; made by the client, as `Closed`.

    Attributes
    ----------
    attempt
        How often in a row it has died, without a slice in between.
    seconds
        Until it starts.
    """

    attempt: int
    seconds: float


@dataclass(frozen=True)
class FellBack:
    """Weights ended the engine again and again, and are given up; made by the client.

    Attributes
    ----------
    name
        Of the file that is given up.
    checkpoint
        Path of the earlier weights with which proposals go on.
    """

    name: str
    checkpoint: str


@dataclass(frozen=True)
class Closed:
    """The child has ended; made by the client, never sent through the pipe."""

    exit_code: int


Message = (
    UseCheckpoint
    | OpenScan
    | ForgetScans
    | Propose
    | Cancel
    | Learn
    | PauseLearning
    | StopLearning
    | Ready
    | CheckpointInUse
    | SliceProposed
    | ProposalFinished
    | LearningStepped
    | LearningChecked
    | Notice
    | LearningFinished
    | Failed
    | Alive
    | Restarting
    | FellBack
    | Closed
)
