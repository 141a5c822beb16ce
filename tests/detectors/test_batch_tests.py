"""Batch tests: right error rate on equal distributions, right against other implementations, and refusing what they cannot test."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from models.detectors.batch import BatchTest
from models.detectors.ks import KolmogorovSmirnov, holm
from models.detectors.mmd import mmd


def test_gaps_are_those_of_scipy_and_p_values_close():
    rng = np.random.default_rng(0)
    reference, batch = rng.normal(size=(400, 4)), rng.normal(0.2, 1, size=(150, 4))
    result = KolmogorovSmirnov(reference).compare(batch)
    others = [ks_2samp(reference[:, j], batch[:, j]) for j in range(4)]
    np.testing.assert_allclose(result.gaps, [other.statistic for other in others])
    np.testing.assert_allclose(result.p_values, holm([other.pvalue for other in others]), rtol=0.2)


def test_ks_rejects_equal_distributions_at_most_as_often_as_its_level():
    rng = np.random.default_rng(0)
    test = KolmogorovSmirnov(rng.normal(size=(1000, 20)))
    assert np.mean([test.compare(rng.normal(size=(60, 20))).p_value <= 0.05 for _ in range(200)]) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


def test_ks_p_values_are_never_0_nor_above_1():
    test = KolmogorovSmirnov(np.zeros((500, 2)))
    apart, same = test.compare(np.ones((500, 2))), test.compare(np.zeros((500, 2)))
    assert 0 < apart.p_value < 1e-50 and apart.effect == 1
    assert same.p_value == 1 and same.effect == 0


def test_mmd_rejects_equal_distributions_at_most_as_often_as_its_level():
    rng = np.random.default_rng(0)
    rejected = [mmd(rng.normal(size=(40, 3)), rng.normal(size=(30, 3)), permutations=99, seed=seed).p_value <= 0.05 for seed in range(300)]
    assert np.mean(rejected) <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_mmd_sees_a_change_of_correlation_that_no_single_feature_shows():
    rng = np.random.default_rng(0)
    independent = rng.normal(size=(300, 2))
    same = rng.normal(size=(300, 1))
    correlated = 0.9 * same + np.sqrt(1 - 0.81) * rng.normal(size=(300, 2))
    assert mmd(independent, correlated).p_value < 0.01
    assert KolmogorovSmirnov(independent).compare(correlated).p_value > 0.01


def test_mmd_equals_its_definition():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(12, 2)), rng.normal(1, 1, size=(9, 2))
    points = np.concatenate([first, second])
    squared = ((points[:, None] - points) ** 2).sum(2)
    kernel = np.exp(-squared / np.median(squared[np.triu_indices(21, 1)]))
    off = ~np.eye(21, dtype=bool)
    expected = kernel[:12, :12][off[:12, :12]].mean() + kernel[12:, 12:][off[12:, 12:]].mean() - 2 * kernel[:12, 12:].mean()
    assert mmd(first, second).effect == pytest.approx(expected)


def test_mmd_of_identical_records_is_finite_and_no_evidence():
    result = mmd(np.zeros((10, 2)), np.zeros((10, 2)))
    assert result.p_value == 1 and result.effect == pytest.approx(0)


@pytest.mark.parametrize("shapes", [((5, 2), (5, 3)), ((1, 2), (5, 2)), ((5,), (5,))])
def test_shapes_that_cannot_be_compared_are_refused(shapes):
    with pytest.raises(ValueError, match="expected"):
        mmd(*(np.zeros(shape) for shape in shapes))
    with pytest.raises(ValueError, match="expected"):
        KolmogorovSmirnov(np.zeros((5, 2))).compare(np.zeros((0, 2)))


@pytest.mark.parametrize("n", [10, 60])
def test_the_batch_check_rejects_clean_batches_as_often_as_its_level_over_references(n):
    rng = np.random.default_rng(0)
    rejected = [
        BatchTest(np.abs(rng.normal(size=(60, 16))), permutations=39, seed=seed).compare(np.abs(rng.normal(size=(n, 16)))).p_value <= 0.05
        for seed in range(400)
    ]
    assert 0.01 <= np.mean(rejected) <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_the_batch_check_sees_distant_records_and_also_what_lies_near_in_another_mix():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(2, 8)) * 4
    clean, mixed = (places[rng.integers(0, 2, 400)] + rng.normal(size=(400, 8)), places[np.zeros(40, int)] + rng.normal(size=(40, 8)))
    test = BatchTest(clean)
    far = test.compare(clean[:10] + rng.normal(size=(10, 8)) * 2)
    other_mix = test.compare(mixed)
    assert far.p_value == 0.005 and far.distance > 1
    assert other_mix.p_value == 0.005 and other_mix.distance < 0.5


def test_the_effect_of_the_batch_check_is_that_of_the_two_sample_test():
    rng = np.random.default_rng(0)
    clean, batch = np.exp(rng.normal(size=(400, 3))), np.exp(rng.normal(size=(50, 3)))
    scale = clean.std(0)
    ours, plain = BatchTest(clean).compare(batch), mmd(clean / scale, batch / scale)
    assert ours.effect == pytest.approx(plain.effect, abs=0.005)
    assert BatchTest(clean).compare(batch) == ours


def test_a_constant_feature_says_nothing_to_the_batch_check():
    test = BatchTest(np.zeros((40, 3)))
    assert test.compare(np.zeros((5, 3))).p_value == 1
    for bad in (np.zeros((5, 2)), np.zeros((1, 3)), np.zeros(3)):
        with pytest.raises(ValueError, match="expected"):
            test.compare(bad)
    for arguments in ({"reference": np.zeros((19, 3))}, {"reference": np.zeros((40, 3)), "permutations": 0}):
        with pytest.raises(ValueError, match="expected"):
            BatchTest(**arguments)
