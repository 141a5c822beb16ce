"""A remedy on trial: do fresh labels, and those by which it was chosen, say that it helps? Pure, as the planner that hosts it.

It is kept if all labels together are evidence enough and the fresh ones by themselves speak for it; in doubt, as the policy says.
"""

import math
from typing import NamedTuple

import numpy as np

from agents.audit import PairedAudit
from agents.messages import Label, Remedy
from agents.policy import Policy
from agents.rating import is_promising, odds
from models.estimators.paired import enough_evidence

WEIGHT = math.log(2)  # evidence from fresh labels alone before which asking does not stop, however much spoke for the choice


class Verdict(NamedTuple):
    """What came of a trial: the figures as in `RemedyVerified`, and why it is kept or undone."""

    helped: bool
    gain: float
    gain_interval: tuple[float, float]
    elsewhere: float | None
    gap_closed: tuple[float, float] | None
    reason: str

    @property
    def surely_harms(self) -> bool:
        """Whether its whole interval is below 0."""
        return self.gain_interval[1] < 0


class Trial:
    """Weighs the labels of fresh records.

    Parameters
    ----------
    pipeline : that is on trial.
    choice : the remedy that made it, with what spoke for it when it was chosen `among` so many.
    audit : of it and the pipeline before, side by side on fresh records.
    slice : the part of the traffic that the incident is about; empty: all.
    """

    def __init__(self, pipeline: str, choice: Remedy, among: int, audit: PairedAudit, policy: Policy, slice: str = "") -> None:  # noqa: A002
        self.pipeline, self.choice, self.among, self.audit, self.policy, self.slice = pipeline, choice, among, audit, policy, slice

    def update(self, label: Label) -> None:
        """Take one label."""
        self.audit.update(label)

    def amend(self, label: Label) -> None:
        """Put one label right."""
        self.audit.amend(label)

    def is_settled(self) -> bool:
        """Whether no further label is needed: it helps, where it should and without harm beside that, or it surely harms."""
        closed = self.audit.gap_closed(self.pipeline)
        helps = self._has_helped() and self.audit.log_evidence(self.pipeline) >= WEIGHT
        return (helps and self.audit.is_rest_seen() and (closed is None or closed[0] > 0)) or self.audit.gain_interval(self.pipeline)[1] < 0

    def log_evidence(self) -> float:
        """Log evidence that the remedy helps: half is staked on the fresh labels alone, half on them and those of the choice.

        The largest of K e-values is at most their sum, so what spoke for the one that was picked counts one K-th. Fresh labels are drawn
        apart, so e-values multiply, and a mean of e-values is one (decision 0006).
        """
        chosen = self.choice.log_evidence - math.log(self.among)
        return float(np.logaddexp(0.0, chosen)) - math.log(2) + self.audit.log_evidence(self.pipeline)

    def verdict(self) -> Verdict:
        """Keep it or undo it, and why."""
        audit, name, where = self.audit, self.pipeline, self.slice or "drifted"
        low, high = audit.gain_interval(name) if audit.labels else (0.0, 0.0)
        gain = audit.gain(name) if audit.labels else 0.0
        in_doubt = high >= 0 and audit.labels > 0 and self._is_kept_in_doubt()
        elsewhere, closed = audit.elsewhere(name), audit.gap_closed(name)
        harms = elsewhere is not None and (elsewhere < -self.policy.harm.tolerance or gain <= elsewhere)
        helped = (self._has_helped() or in_doubt) and not harms
        shown = f"interval {low:+.3f} to {high:+.3f}, {audit.labels} labels; with those of the choice {odds(self.log_evidence())} that it helps"
        if helped:
            doubt = "" if self._has_helped() else "; the labels leave it in doubt, the policy keeps it"
            gap = f"; {elsewhere:+.3f} elsewhere, the gap closes by {closed[0]:+.3f} to {closed[1]:+.3f}" if elsewhere is not None and closed else ""
            reason = f"gains {gain:+.3f} on fresh {where} records ({shown}){gap}{doubt}"
        elif not audit.labels:
            reason = "nobody labelled fresh drifted records, so it has not shown that it helps"
        elif harms:
            reason = f"it gains {gain:+.3f} where {self.slice} and {elsewhere:+.3f} elsewhere: no slice may pay for another"
        else:
            reason = f"fresh {where} records did not show that it helps ({shown})"
        return Verdict(helped, gain, (low, high), elsewhere, closed, reason)

    def _has_helped(self) -> bool:
        """Whether all labels together are evidence enough and the fresh ones by themselves speak for it: the drift may have changed since."""
        return self.audit.log_evidence(self.pipeline) > 0 and self.log_evidence() >= enough_evidence(self.policy.verification.level)

    def _is_kept_in_doubt(self) -> bool:
        """What the policy says of a remedy that the labels neither confirm nor refute (decision 0008)."""
        rule = self.policy.verification.in_doubt
        favoured = self.log_evidence() > 0 and self.audit.gain(self.pipeline) > 0  # by all labels, and by the fresh ones
        return rule == "keep" or (rule == "imitation" and is_promising(self.choice) and favoured)
