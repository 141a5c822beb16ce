"""Few labels, one settled comparison: the paired gain of pipelines over a baseline, from labels drawn where they differ.

Where all pipelines say the same, a label says nothing about which is better. So labels are drawn only among records on which
they differ, in strata, and weighted (see `models.estimators.paired`). One label informs every pipeline, and asking may stop as
soon as the answer is settled. That holds for draws in the order in which they were made. A record that is drawn again later is
asked about once, but counts again only when its turn comes: to count it twice at once would be to know the future, and costs the
interval its coverage where strata are small.
"""

from collections import defaultdict, deque
from collections.abc import Sequence

from agents.messages import Draw, Label, RemediesCompared
from models.estimators.paired import PairedGain

REST_LABELS = 4  # labels outside of a slice before which no remedy for the slice counts as settled
PRIOR_DRAWS = 2.0  # how many labels the model's own confidence is worth in the point estimates, never in the intervals


class PairedAudit:
    """Gain in accuracy of each pipeline over `baseline`.

    Parameters
    ----------
    draws : records drawn at random with their weights, in the order in which they are asked about.
    share : share of each stratum among all records, in [0, 1]; the records of no stratum are unanimous.
    level : probability with which an interval covers the true gain at all times.

    Examples
    --------
    >>> draws = [Draw(seq, (seq,), 0.5, "differ", {"old": 1, "new": 2}) for seq in range(6)]
    >>> audit = PairedAudit("old", ["new"], draws, {"differ": 0.5}, level=0.95)
    >>> for draw in draws:
    ...     audit.update(Label(draw.seq, 2))
    >>> low, high = audit.gain_interval("new")
    >>> low > 0, audit.labels
    (True, 6)
    """

    def __init__(
        self, baseline: str, candidates: Sequence[str], draws: Sequence[Draw], share: dict[str, float], level: float,
        confidence: dict[str, float] | None = None,
    ) -> None:
        self.baseline, self.candidates, self.share, self.level = baseline, tuple(candidates), share, level
        self.draws = {draw.seq: draw for draw in draws}
        self.confidence = confidence or {}
        self.begin()

    def begin(self) -> None:
        """Forget all labels."""
        draws = self.draws.values()
        self.turns = deque(seq for _, seq in sorted((number, draw.seq) for draw in draws for number in draw.at))
        self.answers: dict[int, int | None] = {}
        largest = max((draw.weight for draw in draws), default=1.0)
        differing = min(1.0, sum(self.share.values()))
        self.gains = {name: PairedGain(differing, largest, self.level) for name in self.candidates}
        self.right: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        self.labels = 0

    def update(self, label: Label) -> None:
        """Take one label; skipped and unsure ones say nothing. "None of these" finds every pipeline wrong."""
        draw = self.draws.get(label.seq)
        if draw is None or label.seq in self.answers:
            return
        self.answers[label.seq] = label.label
        if label.label is not None:
            self.labels += 1
            for name, said in draw.said.items():
                self.right[draw.stratum][name] += [said == label.label] * len(draw.at)
        while self.turns and self.turns[0] in self.answers:
            seq = self.turns.popleft()
            self._count(self.draws[seq], self.answers[seq])

    def amend(self, label: Label) -> None:
        """Put one answer right and count all of them anew, so that nothing is left of what was said before.

        The stakes are fixed beforehand and the draws stay the same, so this is what would be known had the person said so at once.
        """
        if label.seq not in self.answers:
            return
        answers = self.answers | {label.seq: label.label}
        self.begin()
        for seq, answer in answers.items():
            self.update(Label(seq, answer))

    def _count(self, draw: Draw, answer: int | None) -> None:
        if answer is None:
            return
        for name, gain in self.gains.items():
            gain.update(draw.weight, a_right=draw.said[self.baseline] == answer, b_right=draw.said[name] == answer)

    def gain_interval(self, name: str) -> tuple[float, float]:
        """Anytime-valid interval for accuracy of `name` less accuracy of the baseline."""
        return self.gains[name].interval

    def log_evidence(self, name: str) -> float:
        """Natural logarithm of the e-value against "`name` gains nothing"."""
        return self.gains[name].log_evidence

    def gain(self, name: str) -> float:
        """Point estimate of the gain: means within strata, weighted by their shares, shrunk towards the models' confidence."""
        return self._inside(name) - self._inside(self.baseline)

    def accuracy(self, name: str, unanimous: float) -> float:
        """Point estimate of accuracy on all records, given the accuracy on the `unanimous` ones."""
        return self._inside(name) + (1 - sum(self.share.values())) * unanimous

    def _inside(self, name: str) -> float:
        total = 0.0
        for stratum, share in self.share.items():
            right = self.right[stratum][name]
            prior = self.confidence.get(f"{stratum}/{name}", 0.5)
            total += share * (sum(right) + PRIOR_DRAWS * prior) / (len(right) + PRIOR_DRAWS)
        return total

    def is_rest_seen(self) -> bool:
        """Whether there is nothing beside what is measured here that a remedy could harm unseen."""
        return True

    def elsewhere(self, _name: str, /) -> float | None:
        """Gain outside of what is measured here: None, there is nothing."""
        return None

    def gap_closed(self, _name: str, /) -> tuple[float, float] | None:
        """By how much a gap becomes smaller: None, there are no two parts."""
        return None

    def settled_winner(self) -> str | None:
        """The candidate that is better than the baseline and than every other for certain, if there is one already."""
        for name in self.candidates:
            others = [self.gains[other].interval[1] for other in self.candidates if other != name]
            if self.gains[name].interval[0] > max([0.0, *others]):
                return name
        return None


class SlicedAudit(PairedAudit):
    """The same for a slice of the traffic that fares worse than the rest: gains are those in the slice, and the rest is measured beside it.

    A remedy may not make the slice better at the cost of the others, so a winner is settled only when the others have been looked at.
    """

    def __init__(self, baseline: str, candidates: Sequence[str], compared: RemediesCompared, level: float) -> None:
        rest = compared.elsewhere
        self.rest = PairedAudit(baseline, candidates, rest.draws, rest.share, level, rest.confidence) if rest else None
        super().__init__(baseline, candidates, compared.draws, compared.share, level, compared.confidence)

    def begin(self) -> None:
        """Forget all labels, of the slice and of the rest."""
        super().begin()
        if self.rest is not None:
            self.rest.begin()

    def update(self, label: Label) -> None:
        """Take one label, of the slice or of the rest."""
        super().update(label)
        if self.rest is not None and label.seq in self.rest.draws and label.seq not in self.rest.answers:
            self.rest.update(label)
            self.answers[label.seq] = label.label
            self.labels += label.label is not None

    def settled_winner(self) -> str | None:
        """As of every audit, but not before some of the rest is labelled."""
        return super().settled_winner() if self.is_rest_seen() else None

    def is_rest_seen(self) -> bool:
        """Whether enough labels came from outside of the slice to notice a harm there, or there are none to come."""
        return self.rest is None or len(self.rest.answers) >= min(REST_LABELS, len(self.rest.draws))

    def elsewhere(self, name: str, /) -> float | None:
        """Point estimate of the gain outside of the slice; None where no record was known to lie there."""
        return self.rest.gain(name) if self.rest is not None else None

    def gap_closed(self, name: str, /) -> tuple[float, float] | None:
        """Interval of that by which the gap between the slice and the rest becomes smaller: the gain in the one less that in the other.

        Its ends are differences of the two intervals' ends, so it holds when both do.
        """
        if self.rest is None:
            return None
        (low, high), (low_rest, high_rest) = self.gain_interval(name), self.rest.gain_interval(name)
        return low - high_rest, high - low_rest


def audit_of(baseline: str, candidates: Sequence[str], compared: RemediesCompared, level: float, *, sliced: bool) -> PairedAudit:
    """The audit of a comparison, of all traffic or of a slice of it."""
    if sliced:
        return SlicedAudit(baseline, candidates, compared, level)
    return PairedAudit(baseline, candidates, compared.draws, compared.share, level, compared.confidence)
