"""Betting intervals: the mean is inside at every time, and the interval closes in."""

import numpy as np
import pytest

from models.estimators.betting import EVEN_BETS, BettingInterval
from models.estimators.paired import BOLD_BETS
from tests.estimators.runs import ever_outside


@pytest.mark.parametrize("mean", [0.05, 0.3, 0.5, 0.9, 0.98])
def test_the_mean_is_inside_at_every_time_in_95_of_100_runs(mean):
    draws = (np.random.default_rng(0).random((2000, 300)) < mean).astype(float)
    assert ever_outside(draws, mean, EVEN_BETS, 0.025, 0.025).mean() <= 0.05


@pytest.mark.parametrize(("wins", "losses"), [(0.5, 0.5), (0.2, 0.2), (0.9, 0.1), (0.5, 0.1), (0.02, 0.02), (0.1, 0.6)])
def test_bold_bets_on_wins_and_losses_are_as_safe(wins, losses):
    chance = np.random.default_rng(0).random((2000, 300))
    draws = np.where(chance < wins, 1.0, np.where(chance < wins + losses, 0.0, 0.5))
    assert ever_outside(draws, (1 + wins - losses) / 2, BOLD_BETS, 0.045, 0.005).mean() <= 0.05


def test_the_class_beats_exactly_the_means_that_the_simulation_says():
    draws = (np.random.default_rng(3).random((60, 40)) < 0.3).astype(float)
    mean = 0.3  # on the grid, so both must agree
    outside = ever_outside(draws, mean, EVEN_BETS, 0.025, 0.025)
    draws = np.concatenate([draws[:20], np.ones((2, 40)), np.zeros((2, 40))])
    outside = ever_outside(draws, mean, EVEN_BETS, 0.025, 0.025)
    for run, beaten in zip(draws, outside, strict=True):
        interval = BettingInterval()
        for value in run:
            low, high = interval.update(value)
        assert (low >= mean - 1e-9 or high <= mean + 1e-9) == beaten
    assert outside.any() and not outside.all()


def test_intervals_only_shrink_and_close_in_on_the_mean():
    interval, before = BettingInterval(), (0.0, 1.0)
    for value in np.random.default_rng(0).beta(8, 2, size=1500):
        low, high = interval.update(value)
        assert low >= before[0] and high <= before[1]
        before = low, high
    assert 0 < before[1] - before[0] < 0.06 and before[0] < 0.8 < before[1]


def test_nothing_is_known_before_the_first_draw():
    assert BettingInterval().interval == (0.0, 1.0) and BettingInterval().mean == 0.5


def test_draws_and_parameters_out_of_range_are_refused():
    for value in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"expected a number in \[0, 1\]"):
            BettingInterval().update(value)
    with pytest.raises(ValueError, match="strictly between"):
        BettingInterval(level=1.0)
    with pytest.raises(ValueError, match="fractions strictly between"):
        BettingInterval(bets={1.0: 1})
