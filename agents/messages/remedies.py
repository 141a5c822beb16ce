"""Remedies: prepared, compared, chosen."""

import msgspec

from agents.messages.core import Message, Request
from agents.messages.incidents import Label, Likeness


class PrepareRemedy(Request, frozen=True, kw_only=True):
    """Asks the workshop to make pipeline `pipeline` out of `base` by remedy `remedy`."""

    remedy: str
    base: str
    pipeline: str
    window: str
    teaching: tuple[Label, ...]
    seed: int
    likeness: Likeness | None = None


class RemedyPrepared(Message, frozen=True, kw_only=True):
    """A pipeline is ready to be compared. `latency_added` in seconds per request, `seconds` of preparation.

    `imitated`: 95 % interval of its gain on held-out clean images that are spoiled as the drifted ones are; None without a sure name.
    """

    remedy: str
    pipeline: str
    accuracy_clean: float
    clean_loss: float
    latency_added: float
    seconds: float
    version: str
    imitated: tuple[float, float] | None = None


class CompareRemedies(Request, frozen=True, kw_only=True):
    """Run `candidates` beside `baseline` on `count` records that came after `after`; draw `audit` of those that they differ on.

    `slice`: measure in it and in the rest, apart.
    """

    baseline: str
    candidates: tuple[str, ...]
    after: int
    count: int
    audit: int
    seed: int
    slice: str = ""


class Draw(msgspec.Struct, frozen=True):
    """One record drawn for audit: its weight (share of its stratum / probability of drawing from that) and what each pipeline said.

    Draws are with replacement; `at` tells which ones, counted from 0, fell on this record.
    """

    seq: int
    at: tuple[int, ...]
    weight: float
    stratum: str
    said: dict[str, int]


class Elsewhere(msgspec.Struct, frozen=True):
    """As `RemediesCompared`, of the records outside of a slice."""

    records: int
    share: dict[str, float]
    draws: tuple[Draw, ...]
    confidence: dict[str, float]


class RemediesCompared(Message, frozen=True, kw_only=True):
    """Shadow run over fresh records. `share` of records in each stratum; the rest are unanimous and settle nothing.

    Where a slice was asked for, all this is of the records in it, and `elsewhere` tells of the others.
    """

    records: int
    share: dict[str, float]
    draws: tuple[Draw, ...]
    confidence: dict[str, float]
    seconds_per_image: dict[str, float]
    classes: tuple[str, ...]
    elsewhere: Elsewhere | None = None

    @property
    def to_label(self) -> tuple[int, ...]:
        """The records that a person is asked about, in the order of asking: two of the slice, one of the others, and so on."""
        here, others = [draw.seq for draw in self.draws], [draw.seq for draw in self.elsewhere.draws] if self.elsewhere else []
        order = sorted([((place + 1) / 2, seq) for place, seq in enumerate(here)] + [(place + 1.25, seq) for place, seq in enumerate(others)])
        return tuple(seq for _, seq in order) if others else tuple(here)


class Remedy(msgspec.Struct, frozen=True):
    """What the improver knows of one remedy. Accuracies in [0, 1].

    `gain` is the paired gain over doing nothing, with its interval; `log_evidence` is the natural logarithm of the e-value against "it gains
    nothing": the choice rests on them. `accuracy_drift` takes the accuracy where
    all pipelines agree, which no label tells, to be that on clean data; `interval` assumes nothing: it is the interval of the present
    accuracy, from labels drawn at random, widened by that of the gain. `imitated` is as in `RemedyPrepared`. Where an incident is about a slice
    of the traffic, all this is measured in it; `elsewhere` is the gain in the rest, and `gap_closed` by how much the gap between the two
    becomes smaller, with its interval.
    """

    name: str
    pipeline: str
    accuracy_drift: float
    interval: tuple[float, float]
    gain: float
    gain_interval: tuple[float, float]
    log_evidence: float
    accuracy_clean: float
    clean_loss: float
    latency_added: float
    seconds: float
    labels: int
    imitated: tuple[float, float] | None = None
    elsewhere: float | None = None
    gap_closed: tuple[float, float] | None = None


class RemediesMeasured(Message, frozen=True, kw_only=True):
    """All remedies side by side, doing nothing among them. `labels_left`: what the incident's audits so far have left over.

    `slice`: the part of the traffic that the incident is about; empty: all.
    """

    remedies: tuple[Remedy, ...]
    base: str
    after: int
    labels_used: int
    labels_left: int = 0
    failed: dict[str, str] = {}
    slice: str = ""


class RemedyChosen(Message, frozen=True, kw_only=True):
    """The planner's choice, or "nothing", and for each remedy why or why not."""

    remedy: str
    pipeline: str
    reason: str
    verdicts: dict[str, str]
