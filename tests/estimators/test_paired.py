"""Gains from few labels: settled soon where they are clear, and not too sure where they are not."""

import numpy as np
import pytest

from models.estimators.paired import BOLD_BETS, PairedGain
from tests.estimators.runs import ever_outside


def after(outcomes, share=0.4, level=0.95):
    """The interval after wins (+), losses (-) and ties (0), all from one stratum."""
    gain = PairedGain(share, share, level)
    for outcome in outcomes:
        gain.update(share, a_right=outcome == "-", b_right=outcome == "+")
    return gain.interval


def test_before_any_label_the_share_of_differing_answers_is_all_that_is_known():
    assert PairedGain(0.3, 0.3).interval == (-0.3, 0.3)


def test_five_wins_settle_a_gain_and_four_do_not():
    assert after("+++++", level=0.9)[0] > 0 >= after("++++", level=0.9)[0]


def test_one_loss_among_nine_wins_leaves_the_gain_settled():
    assert after("++++-+++++", level=0.9)[0] > 0


def test_losses_settle_a_harm():
    assert after("-" * 9)[1] < 0


def test_ties_say_nothing_about_who_is_better():
    low, high = after("0" * 20)
    assert low < 0 < high


@pytest.mark.parametrize("win", [0.5, 0.7, 0.95])
def test_the_interval_holds_the_true_gain_at_all_times_as_often_as_it_says(win):
    """Two strata of 10 % and 40 %, drawn from alike; B wins in the small one as often as A, in the large one with probability `win`.

    Runs through the class agree one by one with those that bet against the true gain alone, of which there can be many more.
    """
    rng = np.random.default_rng(int(100 * win))
    truth, shape = 0.4 * (2 * win - 1), (10_000, 25)
    large = rng.random(shape) < 0.5
    b_right = rng.random(shape) < np.where(large, win, 0.5)
    weights = np.where(large, 0.8, 0.2)
    missed = ever_outside((1 + np.where(b_right, weights, -weights) / 0.8) / 2, (1 + truth / 0.8) / 2, BOLD_BETS, 0.09, 0.01)
    assert 0.01 < missed.mean() <= 0.1 + 0.01  # 10,000 runs know a rate of 0.1 to 0.01, three standard errors
    chosen = np.concatenate([np.flatnonzero(missed)[:10], np.flatnonzero(~missed)[:15]])
    for run in chosen:
        gain, outside = PairedGain(0.5, 0.8, 0.9), False
        for weight, right in zip(weights[run], b_right[run], strict=True):
            low, high = gain.update(float(weight), a_right=not right, b_right=bool(right))
            outside |= low >= truth - 1e-9 or high <= truth + 1e-9  # the true gain is on the grid of candidates: beaten, it is an end
        assert outside == missed[run]


@pytest.mark.parametrize(("share", "weight"), [(1.2, 1.0), (0.4, 0.0)])
def test_impossible_shares_and_weights_are_refused(share, weight):
    with pytest.raises(ValueError, match=r"expected a share in \[0, 1\] and a weight above 0"):
        PairedGain(share, weight)


def test_a_draw_with_more_weight_than_was_announced_is_refused():
    with pytest.raises(ValueError, match=r"at most the largest weight, 0\.4"):
        PairedGain(0.4, 0.4).update(0.5, a_right=True, b_right=False)
