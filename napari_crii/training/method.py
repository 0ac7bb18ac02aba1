"""How a run learns: the frozen settings of the semi-supervised method, and its presets.

Everything that a reader of the full paper may want to correct stands here, in
`NetworkConfig` and in `RankedConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_crii.errors import TrainingError
from napari_crii.losses import RankedConfig


@dataclass(frozen=True)
class MethodConfig:
    """Which losses act, and when; shares are of the run, from 0 to 1.

    Attributes
    ----------
    unlabelled
        Whether unlabelled pixels are learnt from; each batch then has as many crops of
        unlabelled slices as of labelled ones.
    consistency
        Weight of the squared distance between coarse and refined output where nobody has said.
    consistency_ramp
        Share after which that weight is reached.
    mixing
        Paste a box of one slice into another: labelled into labelled at first, then labelled
        into unlabelled and the reverse.
    labelled_only
        Share before unlabelled slices take part in mixing.
    beside
        Learn labelled crops as they are beside the mixed ones.
    box
        Side of the pasted box over the side of the crop.
    pseudo_weight
        Weight of a pseudo-labelled pixel whose image has full agreement.
    views
        Mirrored views of the averaged network whose mean gives pseudo-labels, 1 to 4.
    agreement
        Mean pairwise Dice of those views at which a pseudo-label counts nothing, and fully.
    largest_component
        Keep the largest component of each class in pseudo-labels, where anatomy says so.
    low_contrast
        Share of labelled crops whose objects are faded towards their surround.
    fading
        Least and largest share of the contrast that is left.
    intra, inter
        Weights of the ranked losses on labelled crops.
    ranked_from, ranked_full
        Shares between which those weights rise from 0.
    ranked
        Settings of the ranked losses.
    """

    unlabelled: bool = False
    consistency: float = 0.0
    consistency_ramp: float = 0.4
    mixing: bool = False
    labelled_only: float = 1 / 3
    beside: bool = False
    box: float = 2 / 3
    pseudo_weight: float = 0.5
    views: int = 4
    agreement: tuple[float, float] = (0.6, 0.9)
    largest_component: bool = False
    low_contrast: float = 0.0
    fading: tuple[float, float] = (0.15, 0.6)
    intra: float = 0.0
    inter: float = 0.0
    ranked_from: float = 0.1
    ranked_full: float = 0.2
    ranked: RankedConfig = field(default_factory=RankedConfig)

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        shares = (self.labelled_only, self.box, self.pseudo_weight, self.low_contrast)
        if not all(0 <= share <= 1 for share in shares):
            raise TrainingError(f"shares of the method lie between 0 and 1, not {shares}")
        rising = (self.agreement, self.fading, (self.ranked_from, self.ranked_full))
        if not all(0 <= low < high <= 1 for low, high in rising):
            raise TrainingError(f"ranges of the method rise within 0 and 1, not {rising}")
        weights = (self.consistency, self.intra, self.inter)
        if not all(0 <= weight < float("inf") for weight in weights):
            raise TrainingError(f"weights of losses are at least 0, not {weights}")
        if not 1 <= self.views <= 4 or not 0 < self.consistency_ramp <= 1:
            raise TrainingError(
                f"{self.views} views or a ramp of {self.consistency_ramp} cannot be: "
                "there are 1 to 4, and a share above 0"
            )


SUP = MethodConfig()
FAITHFUL = MethodConfig(unlabelled=True, consistency=0.1, intra=0.1, inter=0.1)
PLUS = MethodConfig(
    unlabelled=True,
    mixing=True,
    beside=True,
    views=1,
    low_contrast=0.5,
    intra=0.1,
    inter=0.1,
)
PRESETS = {"sup": SUP, "faithful": FAITHFUL, "plus": PLUS}


def preset(name: str) -> MethodConfig:
    """Return the settings of a preset.

    Raises
    ------
    TrainingError
        If there is none of this name.
    """
    if name not in PRESETS:
        raise TrainingError(f"there is no preset '{name}': the presets are {', '.join(PRESETS)}")
    return PRESETS[name]
