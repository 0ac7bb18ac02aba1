"""The weights that proposals were made with, oldest first, and the way back among them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_crii.session.weights import PublishedWeights


@dataclass(frozen=True)
class WeightsHistory:
    """Weights of a sitting or a project.

    Attributes
    ----------
    entries
        Oldest first, each once.
    used
        Digests in the order in which they came into use; the last one is in use.
    """

    entries: tuple[PublishedWeights, ...] = ()
    used: tuple[str, ...] = ()

    @property
    def in_use(self) -> PublishedWeights | None:
        """What proposals are made with; None: a network that first learns."""
        return self.of(self.used[-1]) if self.used else None

    @property
    def before(self) -> PublishedWeights | None:
        """What was in use before that, if anything was."""
        return self.of(self.used[-2]) if len(self.used) > 1 else None

    @property
    def is_behind(self) -> bool:
        """Whether weights that learnt since are not in use: they were rolled back."""
        in_use = self.in_use
        if in_use is None:
            return False
        return any(one.slices for one in self.entries[self.entries.index(in_use) + 1 :])

    def of(self, digest: str) -> PublishedWeights | None:
        """Return the entry of these weights."""
        return next((one for one in self.entries if one.digest == digest), None)

    def with_entry(self, entry: PublishedWeights) -> WeightsHistory:
        """Add weights, unless they are there."""
        if self.of(entry.digest) is not None:
            return self
        return replace(self, entries=(*self.entries, entry))

    def using(self, digest: str) -> WeightsHistory:
        """Use these weights from here on; those in use until now are the way back."""
        if self.used[-1:] == (digest,):
            return self
        return replace(self, used=(*self.used, digest))

    def back(self) -> WeightsHistory:
        """Use what was in use before; as it is where nothing was."""
        return replace(self, used=self.used[:-1]) if len(self.used) > 1 else self
