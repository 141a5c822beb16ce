"""What a measured remedy is worth by the policy: whether anything stands against it, and how it compares with others. Pure."""

import math

from agents.messages import Remedy
from agents.policy import Policy

IMITATED = 20  # labels that a gain on imitated images is worth, where remedies are compared with each other
NEW_WEIGHTS = ("recalibrate", "transfer", "simulate", "fine_tune", "reweight", "harden", "retrain", "refit")  # after these another classifier answers


def odds(log_evidence: float) -> str:
    """An e-value in words: what a gambler has made of 1 by betting that a remedy helps.

    >>> odds(2.5), odds(-1), odds(9)
    ('12 to 1', '0.37 to 1', 'over 1000 to 1')
    """
    if log_evidence >= math.log(1000):
        return "over 1000 to 1"
    made = math.exp(log_evidence)
    return f"{made:.0f} to 1" if made >= 10 else f"{made:.2g} to 1"


def is_promising(remedy: Remedy) -> bool:
    """Whether it surely gains on clean images that are spoiled as the drifted ones are, by a sure name."""
    return remedy.imitated is not None and remedy.imitated[0] > 0


class Rating:
    """Rates remedies that were compared with `labels` labels."""

    def __init__(self, policy: Policy, labels: int) -> None:
        self._policy, self._labels = policy, labels

    def objection(self, remedy: Remedy) -> str:
        """Why the policy forbids a remedy, or nothing."""
        choice = self._policy.choice
        if remedy.log_evidence <= 0 and not (is_promising(remedy) and remedy.gain > 0):
            return f"the labels do not speak for it: {odds(remedy.log_evidence)}"
        if (gain := self._gain(remedy)) < self._policy.harm.tolerance:
            return f"gains {gain:+.3f}, less than the {self._policy.harm.tolerance} that is put up with"
        if remedy.clean_loss > choice.max_clean_loss:
            return f"loses {remedy.clean_loss:.4f} on clean data, more than {choice.max_clean_loss}"
        if (elsewhere := remedy.elsewhere) is not None and elsewhere < -self._policy.harm.tolerance:
            return f"loses {-elsewhere:.3f} outside of the slice that it is for, more than {self._policy.harm.tolerance}"
        if remedy.latency_added > choice.max_latency_added:
            return f"adds {1000 * remedy.latency_added:.1f} ms, more than {1000 * choice.max_latency_added:.0f}"
        return ""

    def utility(self, remedy: Remedy) -> float:
        """Gain less its costs, all in accuracy."""
        choice = self._policy.choice
        weights = choice.new_weights_price if remedy.name in NEW_WEIGHTS else 0.0
        return self._gain(remedy) - remedy.clean_loss - choice.latency_price * remedy.latency_added - weights

    def _gain(self, remedy: Remedy) -> float:
        """The gain by labels and, where the drift has a sure name, on clean images spoiled alike: these tell good remedies apart."""
        if remedy.imitated is None:
            return remedy.gain
        return (self._labels * remedy.gain + IMITATED * sum(remedy.imitated) / 2) / (self._labels + IMITATED)
