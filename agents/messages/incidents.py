"""An incident: is it different, does it hurt."""

import msgspec

from agents.messages.core import Message, Request


DRIFT = "drift"


class Finding(msgspec.Struct, frozen=True):
    """What a check has found; see `models.weaknesses.check`. `accuracy` with its interval, where it has measured it with true labels.

    `slice`: the part of the traffic that fares worse, such as "site=south"; empty where it is all of it.
    """

    check: str
    kind: str
    sentence: str
    value: float
    alarm_line: float
    advice: str
    remedies: tuple[str, ...] | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    slice: str = ""

    @property
    def for_a_person(self) -> bool:
        """Whether no remedy can mend it."""
        return self.remedies == ()


class IncidentOpened(Message, frozen=True, kw_only=True):
    """Records since `onset` do not look like the reference of `pipeline`; noticed after record `alarm_at`.

    `every`: of so many records one was looked at; nothing where all were. `finding`: what a check found, where it was not the monitor of drift.
    """

    pipeline: str
    onset: int
    alarm_at: int
    log_evidence: float
    every: int | None = None
    finding: Finding | None = None

    @property
    def kind(self) -> str:
        """Of which weakness it speaks."""
        return self.finding.kind if self.finding else DRIFT


class AnalyseWindow(Request, frozen=True, kw_only=True):
    """Keep `count` records from `first` on with their images, measure the shift, and pick samples worth a person's time.

    `slice`: those to learn from are picked in it alone.
    """

    first: int
    count: int
    audit: int
    teaching: int
    seed: int
    slice: str = ""


SURE = 0.9  # confidence in a name from which on what rests on it is believed


class Likeness(msgspec.Struct, frozen=True):
    """What drifted records resemble: a corruption of the catalogue, "none" or "unlike any"; see `models.naming.resemblance.Naming`."""

    name: str
    severity: float | None
    share: float
    confidence: float
    nearest: str

    @property
    def known(self) -> bool:
        """Whether it is a corruption of the catalogue."""
        return self.name not in ("none", "unlike any")

    @property
    def sure(self) -> bool:
        """Whether it is one, with a confidence on which something may rest."""
        return self.known and self.confidence >= SURE

    def __str__(self) -> str:
        if not self.known:
            return f"no known corruption (nearest is {self.nearest})"
        degree = "" if self.severity is None else f" at severity {self.severity:.1f}"
        return f"{self.name}{degree} on {self.share:.0%} of the records (confidence {self.confidence:.2f})"


class WindowAnalysed(Message, frozen=True, kw_only=True):
    """Effect sizes, accuracy estimated without labels, what it resembles, and the samples drawn at random (audit) or as typical (teaching)."""

    window: str
    last: int
    records: int
    mmd: float
    mmd_p: float
    ks: float
    ks_p: float
    clean_accuracy: float
    estimated_accuracy: float
    estimate_error: float
    audit: tuple[int, ...]
    teaching: tuple[int, ...]
    predicted: dict[int, int]
    classes: tuple[str, ...]
    likeness: Likeness | None = None

    @property
    def estimate_range(self) -> tuple[float, float]:
        """The estimate less and plus its error, as far as an accuracy can be that."""
        return max(0.0, self.estimated_accuracy - self.estimate_error), min(1.0, self.estimated_accuracy + self.estimate_error)


class Label(msgspec.Struct, frozen=True):
    """A person's answer about one record: the class index, or None for unsure / skip; -1 for none of these classes."""

    seq: int
    label: int | None
    by: str = ""


class HarmAssessed(Message, frozen=True, kw_only=True):
    """How much the drift costs, as far as `audit` labels and the label-free estimate tell. Accuracies in [0, 1].

    `remedies`: those that make sense for a weakness of this kind; None leaves them to the policy. `slice`: the part of the traffic that it is
    about, in which `accuracy` was measured and the teaching labels were given; empty: all.
    """

    harmful: bool
    reason: str
    accuracy: float
    interval: tuple[float, float]
    clean_accuracy: float
    estimated_accuracy: float
    pipeline: str
    window: str
    last: int
    classes: tuple[str, ...]
    audit: tuple[Label, ...]
    teaching: tuple[Label, ...]
    likeness: Likeness | None = None
    remedies: tuple[str, ...] | None = None
    slice: str = ""


class DriftEnded(Message, frozen=True, kw_only=True):
    """Traffic behind the gate has run dry: the drift that `pipeline` was made for is over."""

    pipeline: str
    at: int


class AdoptChange(Request, frozen=True, kw_only=True):
    """Make the records of `window` a known part of the reference of `pipeline`, so that they raise no new alarm."""

    pipeline: str
    window: str


class ChangeAdopted(Message, frozen=True, kw_only=True):
    """The live pipeline has a new reference file."""

    pipeline: str
    reference: str


class IncidentClosed(Message, frozen=True, kw_only=True):
    """The incident has come to rest. `outcome` is one of OUTCOMES."""

    outcome: str
    reason: str


OUTCOMES = ("verified", "undone", "harmless", "expected", "unknown class", "no remedy", "declined", "failed", "reported")
