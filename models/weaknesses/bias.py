"""Bias: is the model right less often in one slice of the traffic than in the rest?

A slice is given by an attribute of the records (which scanner, which site), or found: the reference's latents are parted by k-means, so
that what looks alike to the model is a slice. For each slice and for the rest of the records, betting intervals hold the accuracy and,
where a positive class is named, the rates of false positives and false negatives; the gap between the two lies between the differences
of their ends. The permitted error is shared by all intervals, so all hold together, at any time: one may look at every slice
after every label. An alarm is a gap that surely exceeds the tolerance.

The bound: while accuracy and mix stay as they are, the probability of any false alarm in a period of `period` labels, each of which is judged
by itself, is at most `error`. So a bias that appears late is not drowned by the fair years before. Where both change within a period, a slice
that grows while the model decays may look like a gap. It takes labels of a fair sample of the records, and says nothing about why.

Waudby-Smith, I., Ramdas, A. (2024). Estimating means of bounded random variables by betting. J. Royal Statistical Society B 86(1).
Chung, Y. et al. (2019). Slice finder: automated data slicing for model validation. ICDE. d'Eon, G. et al. (2022). The spotlight: a
general method for discovering systematic errors in deep learning models. FAccT (slices in latent space).
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from models.estimators.betting import share_interval
from models.reference import Reference
from models.weaknesses.check import Evidence, Harm, Records
from models.weaknesses.watch import decoded

FOUND = "looks"
"""Attribute of the slices that are found in latent space."""

OTHERS = "(others)"
"""Slice of the values of an attribute beyond the `slices` first ones."""

LOOK = 10
"""Labels between looks: what is valid at any time may be looked at rarely, and is cheaper so."""

METRICS = ("accuracy", "false negatives", "false positives")


class Gap(NamedTuple):
    """A metric in one slice less that in the rest, with an interval that holds together with all others."""

    slice: str
    metric: str
    here: float
    rest: float
    low: float
    high: float
    labels: int

    @property
    def worse(self) -> str:
        """The slice, if it is this one that fares worse and not the rest."""
        return self.slice if (self.low > 0) != (self.metric == "accuracy") else ""

    @property
    def sure(self) -> float:
        """How large the gap surely is; 0 where it may be none."""
        return max(self.low, -self.high, 0.0)


class Bias:
    """Alarms when the gap between a slice and the rest surely exceeds the tolerance.

    Parameters
    ----------
    reference : its fit latents are parted into slices where no attribute is given.
    attributes : attributes of the records by which they are sliced; none finds `slices` slices in latent space.
    positive : class for which rates of false positives and false negatives are compared, too; None compares accuracy alone.
    slices : how many are found, or the most values of an attribute; later values count as one slice, "(others)".
    tolerance : gap that is put up with, in [0, 1].
    error : probability of a false alarm in a period, at most.
    period : labels after which counting begins anew.

    Examples
    --------
    >>> from models.detectors.synthetic import mixture_reference
    >>> from models.weaknesses.synthetic import labelled
    >>> check = Bias(mixture_reference(seed=0), attributes=("site",))
    >>> check.update(labelled(2000, seed=1, accuracy=0.95)).alarm
    False
    >>> check.reset()
    >>> evidence = check.update(labelled(1000, seed=2, accuracy=0.95, worse_in="north", worse=0.75))
    >>> evidence.alarm, check.gaps()[0].slice
    (True, 'site=north')
    """

    name: ClassVar[str] = "bias"
    kind: ClassVar[str] = "bias"
    needs: ClassVar[frozenset[str]] = frozenset({"truth"})
    remedies: ClassVar[tuple[str, ...] | None] = ("reweight", "retrain")
    advice: ClassVar[str] = "collect more labels in the slice that fares worse"

    def __init__(
        self, reference: Reference, *, attributes: Sequence[str] = (), positive: int | None = None, slices: int = 8, tolerance: float = 0.05,
        error: float = 0.05, period: int = 5000,
    ) -> None:  # fmt: skip
        if slices < 2 or not 0 <= tolerance < 1 or not 0 < error < 1 or period < LOOK:
            given = f"slices={slices}, tolerance={tolerance}, error={error}, period={period}"
            raise ValueError(f"{given}; expected at least 2 slices, shares in [0, 1), a period of at least {LOOK} labels")
        self.attributes, self.positive, self.tolerance, self.period, self._most = tuple(attributes), positive, tolerance, period, slices
        self._reference = reference
        latents = reference.standard_latent(reference.fit_latent)
        self._found = () if self.attributes else parts(latents, reference.fit_labels, slices)
        metrics = METRICS if positive is not None else METRICS[:1]
        self._metrics = metrics
        # Of each attribute `slices` values and the others, each slice and its rest, each metric.
        self._level = 1 - error / (2 * max(1, len(self.attributes)) * (slices + 1) * len(metrics))
        self._design = f"bias {self.attributes} positive={positive} slices={slices} tolerance={tolerance:g} error={error:g} period={period}"
        self.reset()

    def reset(self) -> None:
        """Forget the labels and any alarm."""
        self._begin_period()
        self._alarm: _Alarm | None = None
        self._last = 0

    def _begin_period(self) -> None:
        self._count, self._began = 0, 0
        self._tables: dict[str, dict[str, list[int]]] = {}  # attribute -> slice -> hits and misses of each metric

    def update(self, records: Records) -> Evidence:
        """Take records whose true labels have come; see `Check`."""
        slices = {FOUND: self._nearest(records)} if self._found else {name: self._given(records, name) for name in self.attributes}
        truth = records.known("truth")
        for row, (seq, label, true) in enumerate(zip(records.seqs.tolist(), records.labels.tolist(), truth.tolist(), strict=True)):
            if self._count >= self.period:
                self._begin_period()
            self._began = self._began or seq
            for attribute, values in slices.items():
                if values[row]:  # of a record without a value nobody has told where it belongs
                    self._note(attribute, str(values[row]), label, true)
            self._count, self._last = self._count + 1, seq
            if self._count % LOOK == 0 and self._alarm is None:
                self._judge(seq)
        return self.evidence

    def _nearest(self, records: Records) -> NDArray[np.str_]:
        return np.array([name for name, _ in self._found])[nearest(self._found, self._reference.standard_latent(records.latent))]

    def _given(self, records: Records, attribute: str) -> NDArray[np.str_]:
        """The value of each record; labels that came without any attributes, such as a person's, tell of no slice."""
        if records.slices and attribute not in records.slices:
            known = ", ".join(sorted(records.slices))
            raise ValueError(f"the records have no attribute {attribute!r}, only {known}; hand it over with the labels, or drop it here")
        return records.slices.get(attribute, np.full(len(records.seqs), ""))

    def _note(self, attribute: str, value: str, label: int, true: int) -> None:
        table = self._tables.setdefault(attribute, {})
        if value not in table and len(table) >= self._most:
            value = OTHERS
        counts = table.setdefault(value, [0] * (2 * len(self._metrics)))
        counts[0 if label == true else 1] += 1
        if self.positive is not None:
            if true == self.positive:  # a hit of a rate is the error that it counts
                counts[2 if label != self.positive else 3] += 1
            else:
                counts[4 if label == self.positive else 5] += 1

    def gaps(self) -> list[Gap]:
        """All gaps of the present period, those that are surely largest first."""
        rows = [(f"{attribute}={value}", counts, total) for attribute, table in self._tables.items() for value, counts, total in _with_total(table)]
        if not rows:
            return []
        here = np.array([counts for _, counts, _ in rows]).reshape(len(rows), -1, 2)
        rest = np.array([total for *_, total in rows]).reshape(len(rows), -1, 2) - here
        low, high = share_interval(here[..., 0], here[..., 1], self._level)
        low_rest, high_rest = share_interval(rest[..., 0], rest[..., 1], self._level)
        found = [
            Gap(
                name, metric, _share(here[row, column]), _share(rest[row, column]), float(low[row, column] - high_rest[row, column]),
                float(high[row, column] - low_rest[row, column]), int(here[row, column].sum()),
            )
            for row, (name, *_) in enumerate(rows) for column, metric in enumerate(self._metrics)
        ]  # fmt: skip
        # A slice that fares better is the rest's misfortune; what fares worse is named first.
        return sorted(found, key=lambda gap: (-gap.sure, (gap.low > 0) == (gap.metric == "accuracy")))

    def _judge(self, seq: int) -> None:
        worst = next(iter(self.gaps()), None)
        if worst is not None and worst.sure > self.tolerance:
            self._alarm = _Alarm(self._began, seq, worst, self._harm(worst.worse))

    @property
    def evidence(self) -> Evidence:
        """How things stand now: the value is the largest sure gap, the alarm line the tolerance."""
        alarm = self._alarm
        worst = alarm.gap if alarm else next(iter(self.gaps()), None)
        if worst is None:
            return Evidence(0.0, self.tolerance, alarm=False, since=None, at=None, sentence="no true labels have come yet")
        sentence = (
            f"{worst.metric} {worst.here:.3f} where {worst.slice} ({worst.labels} labels), {worst.rest:.3f} elsewhere: "
            f"a gap of {worst.low:+.3f} to {worst.high:+.3f}"
        )
        details = {"here": worst.here, "rest": worst.rest, "low": worst.low, "high": worst.high, "labels": float(worst.labels)}
        return Evidence(
            worst.sure, self.tolerance, alarm is not None, alarm.since if alarm else None, alarm.at if alarm else None, sentence, details,
            alarm.harm if alarm else self._harm(), alarm.gap.worse if alarm else "",
        )

    def _harm(self, worse: str = "") -> Harm:
        """Accuracy on the labels of the period so far: of the slice that fares worse, or all."""
        attribute, _, value = worse.partition("=")
        table = self._tables.get(attribute, next(iter(self._tables.values()), {}))
        hits, misses = (sum(counts[side] for name, counts in table.items() if name == value or not worse) for side in (0, 1))
        low, high = share_interval(hits, misses)
        return Harm(hits / max(1, hits + misses), (float(low), float(high)))

    def state(self) -> bytes:
        """Return all that is remembered."""
        return msgspec.msgpack.encode(_Saved(self._design, self._count, self._began, self._last, self._tables, self._alarm))

    def restore(self, state: bytes) -> None:
        """Go on from a state. Raises ValueError."""
        saved = decoded(state, _Saved)
        if saved.design != self._design:
            raise ValueError(f"the state belongs to another check ({saved.design!r}, this one is {self._design!r}); start afresh without restore")
        self._count, self._began, self._last, self._tables, self._alarm = saved.count, saved.began, saved.last, saved.tables, saved.alarm


class _Alarm(msgspec.Struct):
    since: int
    at: int
    gap: Gap
    harm: Harm


class _Saved(msgspec.Struct):
    design: str
    count: int
    began: int
    last: int
    tables: dict[str, dict[str, list[int]]]
    alarm: _Alarm | None


Slices = tuple[tuple[str, NDArray[np.float64]], ...]


def parts(latents: NDArray[np.float64], labels: NDArray[np.int64], count: int) -> Slices:
    """Return names and centres [d] of `count` slices of latent space, from clean latents [n, d] and their labels [n].

    >>> [name for name, _ in parts(np.array([[0.0], [0.1], [9.0], [9.1]]), np.array([0, 0, 1, 1]), 2)]
    ['0, mostly class 1', '1, mostly class 0']
    """
    count = min(count, len(np.unique(latents, axis=0)))
    means = KMeans(count, n_init=3, random_state=0).fit(latents)
    mostly = [np.bincount(labels[means.labels_ == part]).argmax() for part in range(count)]
    return tuple((f"{part}, mostly class {mostly[part]}", centre) for part, centre in enumerate(means.cluster_centers_))


def nearest(slices: Slices, latents: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the position in `slices` of the one that each row of `latents` [n, d] lies in: int64 [n]."""
    centres = np.stack([centre for _, centre in slices])
    # Rounded, so that a record lies in the same slice alone and in a batch.
    distance = np.round((latents**2).sum(1)[:, None] - 2 * latents @ centres.T + (centres**2).sum(1), 9)
    return distance.argmin(1).astype(np.int64)


def _with_total(table: dict[str, list[int]]) -> list[tuple[str, list[int], list[int]]]:
    total = [sum(column) for column in zip(*table.values(), strict=True)]
    return [(value, counts, total) for value, counts in table.items()]


def _share(counts: NDArray[np.int64]) -> float:
    return float(counts[0] / max(1, counts.sum()))
