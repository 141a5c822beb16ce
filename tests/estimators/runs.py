"""Many runs of bets against one mean, thousands in a second."""

import numpy as np


def ever_outside(draws, mean, bets, lower_error, upper_error):
    """Whether each run of draws [runs, time] ever beats its true mean: the event whose probability the interval bounds.

    The same bets as in `BettingInterval`, at the one candidate that is true, so thousands of runs take a second.
    """
    fractions = np.array(list(bets))[:, None, None]
    shares = np.array(list(bets.values())) / sum(bets.values())
    larger, smaller = (np.cumprod(1 + fractions * (ratio - 1), axis=2) for ratio in (draws / mean, (1 - draws) / (1 - mean)))
    return (np.tensordot(shares, larger, 1) >= 1 / lower_error).any(1) | (np.tensordot(shares, smaller, 1) >= 1 / upper_error).any(1)
