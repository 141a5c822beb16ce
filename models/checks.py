"""Contract checks: does a detector, query, estimator or check keep the promises that the rest of the system relies on?

Run them over your own plug-in, in a test of yours; each raises `ContractError` with the promise that was broken and what was seen.

Examples
--------
>>> from models.detectors.knn import NearestNeighbours
>>> from models.queries.random import random
>>> check_detector(NearestNeighbours)
>>> check_query(random)
>>> check_query(lambda features, count, seed, exclude=(): np.zeros(count, int))
Traceback (most recent call last):
    ...
models.checks.ContractError: <lambda> chose a row twice: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]; choose without replacement
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.estimators.confidence import Estimate
from models.reference import Reference
from models.weaknesses.check import NEEDS, Check, Evidence, Records
from models.weaknesses.synthetic import labelled, labelled_reference

Floats = NDArray[np.float64]

Watcher = TypeVar("Watcher", bound="StreamDetector")

_SHORTEST_DOC = 60  # characters: one real sentence


class ContractError(AssertionError):
    """A plug-in broke a promise. The message names the promise and what was seen."""


class Detector(Protocol):
    """Scores single records; larger is further from what it was fitted on."""

    def score(self, features: ArrayLike, /) -> Floats:
        """Return one score for each row of `features` [n, d]: float64 [n]."""
        ...


class StreamDetector(Protocol):
    """Watches a stream and can be stopped and restored at any record."""

    def reset(self) -> None:
        """Forget the stream."""
        ...

    def state(self) -> bytes:
        """Return all that is remembered."""
        ...

    def restore(self, state: bytes, /) -> None:
        """Go on from a state; raises ValueError when the bytes are damaged."""
        ...


class Query(Protocol):
    """Chooses which rows to ask a person about."""

    def __call__(self, features: ArrayLike, count: int, seed: int, exclude: ArrayLike = ()) -> NDArray[np.int64]:
        """Return `count` row numbers of `features` [n, d], none of them in `exclude`."""
        ...


class Estimator(Protocol):
    """Estimates accuracy without labels."""

    def __call__(self, calibration_logits: ArrayLike, calibration_labels: ArrayLike, logits: ArrayLike, /) -> Estimate:
        """Return the estimated accuracy on the records with these logits."""
        ...


def check_detector(fit: Callable[[Floats], Detector]) -> None:
    """Check a detector of single records, given how to fit it to features float64 [m, d].

    Checked: documented; one finite score per record; further is larger; a record scores the same alone, in a batch and in any order;
    input is left as it was; the same fit gives the same scores; an empty batch is no error.
    """
    name = _documented(fit)
    rng = np.random.default_rng(7)
    known = rng.normal(size=(200, 6))
    detector = fit(known.copy())
    batch = rng.normal(size=(50, 6))
    given = batch.copy()
    scores = np.asarray(detector.score(batch))
    _require(scores.shape == (50,), f"{name} returned scores of shape {scores.shape} for 50 records; return one score per record")
    _require(scores.dtype == np.float64, f"{name} returned {scores.dtype} scores; return float64")
    _require(bool(np.isfinite(scores).all()), f"{name} returned scores that are not finite for ordinary records")
    _require(bool((batch == given).all()), f"{name} changed the features given to it; work on a copy")
    middles = [float(np.median(detector.score(batch + shift))) for shift in (0.0, 2.0, 4.0, 8.0)]
    _require(middles == sorted(set(middles)), f"{name} does not score further records higher: medians {middles} at shifts 0, 2, 4, 8")
    order = rng.permutation(50)
    _require(_close(detector.score(batch[order]), scores[order]), f"{name} scores depend on the order of the batch")
    alone = np.concatenate([detector.score(row[None]) for row in batch])
    _require(_close(alone, scores), f"{name} scores a record differently alone and in a batch; normalise by the fit, never by the batch")
    _require(
        _close(fit(known.copy()).score(batch), scores), f"{name} fitted twice to the same features scores differently; seed its randomness"
    )
    _require(np.asarray(detector.score(batch[:0])).shape == (0,), f"{name} must return no scores for no records")


def check_p_values(calibrate: Callable[[Floats], Callable[[ArrayLike], Floats]]) -> None:
    """Check p-values, given how to calibrate them on scores float64 [n].

    Checked: documented; in (0, 1]; larger scores give smaller or equal p-values; equal scores count as higher; at most a share u of later
    clean scores gets a p-value of u or less, up to what 300 calibration scores allow.
    """
    name = _documented(calibrate)
    rng = np.random.default_rng(7)
    calibration = np.round(rng.normal(size=300), 2)
    p_values = calibrate(calibration.copy())
    ladder = np.asarray(p_values(np.linspace(-9, 9, 500)))
    _require(bool((ladder > 0).all() and (ladder <= 1).all()), f"{name} returned p-values outside (0, 1]; count the observation itself")
    _require(bool((np.diff(ladder) <= 0).all()), f"{name} gave a larger score a larger p-value; larger scores are further out")
    tied = np.asarray(p_values(np.full(3, 0.5)))
    floor = ((calibration >= 0.5).sum() + 1) / 301
    _require(
        bool((tied >= floor - 1e-12).all()), f"{name} gave ties {tied[0]:.4f}, below {floor:.4f}; equal calibration scores count as higher"
    )
    later = np.asarray(p_values(rng.normal(size=20_000)))
    for share in (0.01, 0.05, 0.2, 0.5):
        seen = float((later <= share).mean())
        allowed = share + 3 * (share * (1 - share) * (1 / 300 + 1 / 20_000)) ** 0.5
        _require(seen <= allowed, f"{name}: {seen:.4f} of clean records have p <= {share}; at most {allowed:.4f} may")


def check_stream(make: Callable[[], Watcher], feed: Callable[[Watcher, int, int], object], length: int) -> None:
    """Check a detector of streams on a stream of `length` records of your choice; let a change in it raise an alarm.

    `feed(detector, start, stop)` gives records start..stop-1 to the detector and returns what it says, comparable with ==.

    Checked: documented; one by one, in uneven batches or all at once end in the same state and say the same; a state restored into a new
    detector goes on exactly; a reset detector equals a new one; damaged bytes are refused with ValueError; the state does not grow.
    """
    name = _documented(make())
    whole = make()
    said = feed(whole, 0, length)
    _require(feed(whole, length, length) == said, f"{name} says something else after no further record")
    cuts = np.unique(np.concatenate([[0, length], np.random.default_rng(7).integers(1, length, size=6)])).tolist()
    for way, ends in (("one by one", list(range(length + 1))), ("in uneven batches", cuts)):
        parts = make()
        for start, stop in pairwise(ends):
            piece = feed(parts, start, stop)
        _require(piece == said, f"{name} says {piece} when records come {way}, {said} all at once")
        _require(parts.state() == whole.state(), f"{name} ends in another state when records come {way} than all at once")
    for cut in cuts[1:-1]:
        first, second = make(), make()
        feed(first, 0, cut)
        second.restore(first.state())
        _require(feed(second, cut, length) == said, f"{name} restored after {cut} records does not go on as if it had not been stopped")
        _require(len(first.state()) <= 2 * len(whole.state()) + 1000, f"{name}'s state grows with the stream; keep it bounded")
    whole.reset()
    _require(whole.state() == make().state(), f"{name} after reset() differs from a new one")
    try:
        make().restore(b"\xc1 damaged")
    except ValueError:
        return
    raise ContractError(f"{name} took damaged bytes for a state; raise ValueError")


def check_query(query: Query) -> None:
    """Check a query.

    Checked: documented; as many rows as asked for, none twice, none excluded, int64; fewer only when fewer are left, none when none is
    asked for; the same seed chooses the same; input is left as it was.
    """
    name = _documented(query)
    features = np.random.default_rng(7).normal(size=(120, 5))
    given = features.copy()
    for count, taken in ((10, []), (10, list(range(0, 120, 3))), (0, []), (500, [4, 5]), (5, list(range(120)))):
        chosen = np.asarray(query(features, count, 0, exclude=taken))
        expected = min(count, 120 - len(taken))
        _require(len(set(chosen.tolist())) == len(chosen), f"{name} chose a row twice: {chosen.tolist()}; choose without replacement")
        _require(
            chosen.shape == (expected,), f"{name} chose {chosen.shape} rows, asked for {count} of the {120 - len(taken)} that are free"
        )
        _require(chosen.dtype == np.int64, f"{name} returned {chosen.dtype}; return int64 row numbers")
        _require(
            not set(chosen.tolist()) & set(taken), f"{name} chose rows that were excluded: {sorted(set(chosen.tolist()) & set(taken))}"
        )
        _require(not chosen.size or 0 <= chosen.min() <= chosen.max() < 120, f"{name} chose rows that do not exist: {chosen.tolist()}")
        again = np.asarray(query(features, count, 0, exclude=taken))
        _require(bool((again == chosen).all()), f"{name} chose differently with the same seed; draw from the seed only")
    _require(bool((features == given).all()), f"{name} changed the features given to it; work on a copy")


def check_estimator(estimate: Estimator) -> None:
    """Check an estimator of accuracy without labels.

    Checked: documented; value and error in [0, 1], an assumption in words; right within its error on clean data and on data where the model
    is visibly less sure; equal input gives equal output.
    """
    name = _documented(estimate)
    rng = np.random.default_rng(7)

    def draw(n: int, unsure: float) -> tuple[Floats, NDArray[np.int64]]:
        labels, guess = rng.integers(6, size=n), rng.random(n) < unsure
        answers = np.where(rng.random(n) < np.where(guess, 0.2, 0.97), labels, rng.integers(6, size=n))
        return np.where(guess, 0.5, 5.0)[:, None] * np.eye(6)[answers] + 0.2 * rng.normal(size=(n, 6)), labels

    known, labels = draw(2000, 0.05)
    for unsure in (0.05, 0.4):
        logits, hidden = draw(1000, unsure)
        found = estimate(known, labels, logits)
        truth = float((logits.argmax(1) == hidden).mean())
        _require(
            0 <= found.value <= 1 and 0 <= found.error <= 1, f"{name} returned {found.value} with error {found.error}; both lie in [0, 1]"
        )
        _require(bool(found.assumption.strip()), f"{name} names no assumption; say in a sentence what must hold")
        _require(
            abs(found.value - truth) <= found.error, f"{name}: {found.value:.3f} with error {found.error:.3f}, the truth is {truth:.3f}"
        )
        _require(estimate(known, labels, logits) == found, f"{name} estimates differently on equal input; seed its randomness")


def check_weakness(make: Callable[[Reference], Check], *, records: Records | None = None) -> None:
    """Check a check for a weakness, given how to make it of a reference; `records` in which it sounds an alarm, if you have such.

    Checked: documented, with a name, a kind, what it needs, its remedies and advice; what it says is complete; a record says the same alone, in
    uneven batches and all at once; state and reset as in `check_stream`; input is left as it was; no alarm in 3,000 records of clean data; it
    says what is missing when it is shown records without what it needs; the alarm latches and names records that it was shown.
    """
    name = _documented(make)
    clean = labelled(3000, seed=11)
    reference = labelled_reference()
    mine = make(reference)
    for attribute in ("name", "kind", "advice"):
        _require(bool(getattr(mine, attribute, "")), f"{name} has no {attribute}; say it in a class attribute, see models.weaknesses.check.Check")
    _require(mine.needs <= set(NEEDS), f"{name} needs {sorted(mine.needs)}; it may name {', '.join(NEEDS)}: all else every record has")
    _require(mine.remedies is None or all(isinstance(one, str) for one in mine.remedies), f"{name}.remedies are names of remedies, or None")
    given = {column: getattr(clean, column).copy() for column in ("labels", "logits", "early", "latent", "truth", "facts", "spoiled", "images")}
    _said_well(name, mine.evidence)
    _said_well(name, mine.update(clean))
    _require(not mine.evidence.alarm, f"{name} sounds an alarm on 3,000 clean records: {mine.evidence.sentence}; bound its false alarms")
    changed = [column for column, before in given.items() if not np.array_equal(before, getattr(clean, column))]
    _require(not changed, f"{name} changed {', '.join(changed)} of the records given to it; work on a copy")
    for column in mine.needs:
        try:
            make(reference).update(replace(clean.part(0, 5), **{column: None}))  # type: ignore[arg-type]  # by name
        except ValueError:
            continue
        raise ContractError(f"{name} needs {column} and says nothing when it is missing; take it by records.known({column!r}), which raises")
    shown = labelled(300, seed=12) if records is None else records
    check_stream(lambda: make(reference), lambda check, start, stop: check.update(shown.part(start, stop)), len(shown))
    if records is not None:
        evidence = make(reference).update(records)
        _require(evidence.alarm, f"{name} sounds no alarm in the records that you gave for one: {evidence.sentence}")
        _said_well(name, evidence)
        seen = set(records.seqs.tolist())
        _require(
            {evidence.since, evidence.at} <= seen,
            f"{name} says records {evidence.since} and {evidence.at}; name records by numbers that it was shown",
        )


def _said_well(name: str, evidence: Evidence) -> None:
    _require(bool(evidence.sentence.strip()), f"{name} says nothing; put what was seen in a sentence")
    _require(
        bool(np.isfinite([evidence.value, evidence.alarm_line]).all()),
        f"{name} says {evidence.value} of {evidence.alarm_line}; both are finite numbers",
    )
    _require((evidence.at is not None) == evidence.alarm, f"{name}: `at` and `since` are told with an alarm and not without one; got {evidence}")


def _documented(thing: object) -> str:
    """Return the name of a plug-in; raise when neither it nor its module says what it does."""
    name = getattr(thing, "__name__", type(thing).__name__)
    if name == "<lambda>":
        return name
    module = inspect.getmodule(thing if callable(thing) else type(thing))
    text = (inspect.getdoc(thing) or "") + (inspect.getdoc(module) or "" if module else "")
    _require(len(text) >= _SHORTEST_DOC, f"{name} is not documented; say in a paragraph what it does, its parameters, and its source")
    return str(name)


def _close(first: ArrayLike, second: ArrayLike) -> bool:
    return bool(np.allclose(first, second, rtol=1e-6, atol=1e-6))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ContractError(otherwise)
