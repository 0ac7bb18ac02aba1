"""From doubt to a probability of error: ridge logistic regression on a few features per pixel.

Fitted on corrected slices, whose labels are free: a pixel is wrong where the correction differs
from the proposal. Prequential: features and errors of a slice are stored before anything trains
on it, so a fit never sees what it is judged on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Features = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Calibrator:
    """A fitted map from features to the probability of error.

    Attributes
    ----------
    mean, scale
        (F,) by which features are standardised.
    weights
        (F,) of the standardised features.
    bias
        Log-odds of an average pixel.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float

    def probability(self, features: Features) -> NDArray[np.float32]:
        """Return the probability of error of pixels (..., F), (...)."""
        standard = (features - self.mean) / self.scale
        return np.asarray(special.expit(standard @ self.weights + self.bias), dtype=np.float32)


def fit_calibrator(
    features: Features, wrong: NDArray[np.bool_], ridge: float = 1.0
) -> Calibrator | None:
    """Fit a ridge logistic regression.

    Minimises the summed log-loss plus ``ridge / 2 * |weights|^2``; the bias is free.

    Parameters
    ----------
    features
        (N, F), finite.
    wrong
        (N,).

    Returns
    -------
    Calibrator or None
        None where all pixels are right, or all wrong: then there is nothing to tell apart.
    """
    if wrong.all() or not wrong.any():
        return None
    x = np.asarray(features, dtype=np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    standard = (x - mean) / scale
    sign = np.where(wrong, 1.0, -1.0)

    def objective(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, margin = parameters[:-1], sign * (standard @ parameters[:-1] + parameters[-1])
        pull = -sign * special.expit(-margin)
        loss = np.logaddexp(0.0, -margin).sum() + 0.5 * ridge * weights @ weights
        return float(loss), np.append(standard.T @ pull + ridge * weights, pull.sum())

    start = np.zeros(x.shape[1] + 1)
    start[-1] = special.logit(wrong.mean())
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B").x
    return Calibrator(mean, scale, found[:-1], float(found[-1]))


@dataclass
class PrequentialStore:
    """Features and errors of corrected slices, in the order in which they were corrected.

    Attributes
    ----------
    limit
        Pixels kept per slice, drawn evenly: neighbours say nearly the same.
    """

    limit: int = 4096
    _features: list[Features] = field(default_factory=list)
    _wrong: list[NDArray[np.bool_]] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self._wrong)

    def add(self, features: Features, wrong: NDArray[np.bool_], rng: np.random.Generator) -> None:
        """Store a slice: features (..., F) and errors (...), before anything trains on it."""
        flat, errors = features.reshape(-1, features.shape[-1]), wrong.ravel()
        kept = np.arange(len(errors))
        if len(kept) > self.limit:
            kept = np.sort(rng.choice(kept, self.limit, replace=False))
        self._features.append(flat[kept].copy())
        self._wrong.append(errors[kept].copy())

    def fit(self, slices: int | None = None, ridge: float = 1.0) -> Calibrator | None:
        """Fit on the first `slices` stored slices, or on all; None where it cannot."""
        if not self._wrong[:slices]:
            return None
        features = np.concatenate(self._features[:slices])
        return fit_calibrator(features, np.concatenate(self._wrong[:slices]), ridge)
