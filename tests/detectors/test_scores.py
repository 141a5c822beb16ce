"""Detectors of single records: they keep the contract and see what they are meant to see."""

import numpy as np
import pytest

from models.checks import ContractError, check_detector, check_p_values
from models.detectors.conformal import ConformalPValues
from models.detectors.distance import Distance
from models.detectors.knn import NearestNeighbours
from models.detectors.mahalanobis import Mahalanobis
from models.detectors.reconstruction import Reconstruction, reconstruction_error
from models.detectors.synthetic import mixture, mixture_reference


class ByReconstruction:
    """The reconstruction detector with errors and codes made from plain features, so that the contract check can drive it."""

    def __init__(self, fit):
        self.detector = Reconstruction(np.linalg.norm(fit, axis=1), fit)

    def score(self, features):
        return self.detector.score(np.linalg.norm(features, axis=1), features)


@pytest.mark.parametrize("detector", [NearestNeighbours, Mahalanobis, ByReconstruction])
def test_every_detector_keeps_the_contract(detector):
    check_detector(detector)


class NormalisedByTheBatch:
    """Scales its scores by the batch at hand, as the demonstration of the paper did: a drift of all records would stay unseen."""

    def __init__(self, fit):
        self.inner = Mahalanobis(fit)

    def score(self, features):
        scores = self.inner.score(features)
        return scores / scores.max() if len(scores) else scores


class Backwards(NearestNeighbours):
    """Scores near records higher than far ones, against the convention of this project."""

    def score(self, features):
        return -super().score(features)


def test_the_contract_check_names_the_promise_that_a_detector_breaks():
    with pytest.raises(ContractError, match=r"normalise by the fit, never by the batch|order of the batch|further records higher"):
        check_detector(NormalisedByTheBatch)
    with pytest.raises(ContractError, match="does not score further records higher"):
        check_detector(Backwards)


def test_neighbours_are_exact():
    rng = np.random.default_rng(0)
    fit, queries = rng.normal(size=(300, 7)), rng.normal(size=(1500, 7))
    distances = np.sort(np.linalg.norm(queries[:, None] - fit, axis=2), axis=1)[:, :4].mean(1)
    np.testing.assert_allclose(NearestNeighbours(fit, k=4).score(queries), distances, rtol=1e-9)


@pytest.mark.parametrize(("middle", "apart", "away"), [(0, 0, 1), (1000, 0, 1), (0, 50, 1), (0, 0, 300)])
def test_neighbours_are_exact_though_they_are_looked_for_in_single_precision(middle, apart, away):
    """Far from the origin, in clumps, and for records that are far from all."""
    rng = np.random.default_rng(0)
    fit, queries = (middle + apart * rng.integers(0, 3, (n, 1)) + spread * rng.normal(size=(n, 40)) for n, spread in ((600, 1), (400, away)))
    distances = np.sort(np.linalg.norm(queries[:, None] - fit, axis=2), axis=1)[:, :3].mean(1)
    np.testing.assert_allclose(NearestNeighbours(fit).score(queries), distances, rtol=1e-12)
    without_itself = np.sort(np.linalg.norm(fit[:, None] - fit, axis=2), axis=1)[:, 1:4].mean(1)
    np.testing.assert_allclose(NearestNeighbours(fit).left_out(), without_itself, rtol=1e-12)


def test_a_record_too_far_for_single_precision_is_far_and_breaks_nothing():
    scores = NearestNeighbours(np.random.default_rng(0).normal(size=(50, 3))).score([[0.0, 0.0, 0.0], [1e60, 0.0, 0.0]])
    assert scores[0] < 5 and np.isclose(scores[1], 1e60)


def test_a_constant_feature_does_not_break_mahalanobis():
    fit = np.column_stack([np.random.default_rng(0).normal(size=50), np.zeros(50)])
    assert np.isfinite(Mahalanobis(fit).score(fit)).all()


def test_the_distance_of_the_monitor_is_the_same_alone_and_in_a_batch_to_the_last_bit():
    distance = Distance(mixture_reference(seed=0))
    early, latent = mixture(300, seed=1)
    alone = np.concatenate([distance.score(early[i : i + 1], latent[i : i + 1]) for i in range(300)])
    np.testing.assert_array_equal(distance.score(early, latent), alone)


def test_reconstruction_errors_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="both must be"):
        reconstruction_error(np.zeros((2, 1, 4, 4)), np.zeros((2, 1, 5, 5)))


@pytest.mark.parametrize("confidence", [0.0, 0.95])
def test_p_values_keep_the_contract(confidence):
    """ConformalPValues: in (0, 1], monotone, ties counted as higher, super-uniform on later clean scores."""

    def calibrate(scores):
        """Conformal p-values at the confidence under test, made for the contract check that needs a sentence here."""
        return ConformalPValues(scores, confidence=confidence)

    check_p_values(calibrate)


@pytest.mark.parametrize("n", [20, 50, 297, 1000, pytest.param(5000, marks=pytest.mark.slow)])
def test_all_p_values_of_a_stream_are_valid_together_with_the_stated_confidence(n):
    """Simulated for uniform scores, which is general: p-values only use ranks."""
    table = ConformalPValues(np.arange(n), confidence=0.95)(np.arange(n, -1, -1.0) - 0.5)  # p-value when 0..n scores are higher
    rng, repeats = np.random.default_rng(0), 1500
    spacings = rng.exponential(size=(repeats, n + 1))
    uniforms = spacings.cumsum(1)[:, :-1] / spacings.sum(1, keepdims=True)  # sorted tail probabilities of the calibration scores
    assert (uniforms <= table[:-1]).all(1).mean() >= 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / repeats)


def test_a_nan_counts_as_the_furthest_record_of_all():
    p_values = ConformalPValues(np.arange(100.0))
    assert p_values([np.nan])[0] == p_values([1e9])[0]
