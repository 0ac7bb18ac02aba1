from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from napari_crii.calibration import PrequentialStore, fit_calibrator


def sample(
    rng: np.random.Generator, count: int, weights: np.ndarray, bias: float
) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(count, len(weights)))
    return x, rng.random(count) < expit(x @ weights + bias)


def test_it_finds_the_weights_that_made_the_errors(rng: np.random.Generator) -> None:
    weights = np.array([1.5, -0.7, 0.0])
    x, wrong = sample(rng, 40_000, weights, -2.0)
    found = fit_calibrator(3 * x + 5, wrong)
    assert found is not None
    np.testing.assert_allclose(found.weights / found.scale * 3, weights, atol=0.06)
    truth = expit(x @ weights - 2.0)
    np.testing.assert_allclose(found.probability(3 * x + 5), truth, atol=0.03)


def test_the_gradient_vanishes_at_the_fit(rng: np.random.Generator) -> None:
    x, wrong = sample(rng, 300, np.array([1.0, 2.0]), -1.0)
    found = fit_calibrator(x, wrong, ridge=3.0)
    assert found is not None
    residual = found.probability(x).astype(float) - wrong
    assert residual.sum() == pytest.approx(0, abs=0.01)
    slope = ((x - found.mean) / found.scale).T @ residual + 3.0 * found.weights
    np.testing.assert_allclose(slope, 0, atol=0.02)


def test_ridge_keeps_weights_finite_where_a_feature_tells_all() -> None:
    x = np.linspace(-1, 1, 40)[:, None]
    found = fit_calibrator(x, x[:, 0] > 0)
    assert found is not None
    assert 0 < found.weights[0] < 20


def test_a_constant_feature_does_no_harm(rng: np.random.Generator) -> None:
    x, wrong = sample(rng, 200, np.array([1.0]), 0.0)
    found = fit_calibrator(np.hstack([x, np.ones((200, 1))]), wrong)
    assert found is not None
    assert np.isfinite(found.probability(np.array([[0.3, 1.0]]))).all()


@pytest.mark.parametrize("value", [False, True])
def test_nothing_to_tell_apart_is_no_fit(value: bool) -> None:
    assert fit_calibrator(np.zeros((5, 2)), np.full(5, value)) is None
    assert PrequentialStore().fit() is None


def test_a_fit_on_the_first_slices_never_sees_the_later_ones(rng: np.random.Generator) -> None:
    first, second = PrequentialStore(limit=50), PrequentialStore(limit=50)
    maps, errors = rng.normal(size=(3, 8, 9, 2)), rng.random((3, 8, 9)) < 0.3
    for i in range(3):
        first.add(maps[i], errors[i], np.random.default_rng(i))
        changed = maps[i] if i < 2 else maps[i] + 9
        second.add(changed, errors[i] ^ (i == 2), np.random.default_rng(i))
    a, b, c = first.fit(2), second.fit(2), second.fit()
    assert len(first) == 3
    assert a is not None
    assert b is not None
    assert c is not None
    np.testing.assert_array_equal(a.weights, b.weights)
    assert not np.allclose(a.weights, c.weights)


def test_what_is_stored_does_not_follow_the_arrays(rng: np.random.Generator) -> None:
    store, features = PrequentialStore(), rng.normal(size=(6, 6, 2))
    wrong = rng.random((6, 6)) < 0.4
    store.add(features, wrong, rng)
    before = store.fit()
    features += 5
    wrong[:] = True
    after = store.fit()
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.mean, after.mean)
