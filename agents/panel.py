"""The panel: all checks that the policy turns on, shown each record as soon as what they need of it is there. Pure, as its checker is."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from agents.counted import Counted
from agents.messages import Finding, Likeness, RecordsLabelled, WindowObserved
from models.weaknesses.check import Check, Evidence, Records

Makers = Mapping[str, Callable[[], Check]]
T = TypeVar("T")
COUNTED = "labels counted"  # beside the states of the checks
TRUTH = "truth"


class Alarm(NamedTuple):
    """A check that sounds an alarm, and with what evidence."""

    check: Check
    evidence: Evidence

    def finding(self) -> Finding:
        """What was found, as it goes into messages."""
        check, evidence, harm = self.check, self.evidence, self.evidence.harm
        return Finding(
            check=check.name, kind=check.kind, sentence=evidence.sentence, value=evidence.value, alarm_line=evidence.alarm_line,
            advice=check.advice, remedies=check.remedies, accuracy=harm.accuracy if harm else None, interval=harm.interval if harm else None,
            slice=evidence.slice,
        )


class Panel:
    """Holds the checks of one deployment; `make` says how to make those that belong to a reference file.

    One that was stopped goes on from `state`; where a check refuses its own, as after a change of the policy, it begins anew. A check that
    fails is left out until the next reference, and a note says so: the others, and the monitor of drift, go on.
    """

    def __init__(self, make: Callable[[str], Makers]) -> None:
        self._make = make
        self._checks: dict[str, Check] = {}
        self._counted = Counted()
        self._notes: list[str] = []

    def load(self, reference: str) -> None:
        """Begin anew, with what another reference knows."""
        made = {name: self._try(name, make) for name, make in self._make(reference).items()}
        self._checks = {name: check for name, check in made.items() if check is not None}

    def begin_log(self) -> None:
        """Records count from 1 again."""
        self._counted.clear()

    def observe(self, window: WindowObserved, seen: int) -> Alarm | None:
        """Show a window, without the records that have been `seen` before, to the checks that wait for nothing else; the first alarm, if any."""
        waiting = {name: check for name, check in self._checks.items() if TRUTH not in check.needs}
        return self._first_alarm(waiting, _observed(window, seen)) if waiting else None

    def learn(self, labelled: RecordsLabelled, pipeline: str) -> Alarm | None:
        """Show records of `pipeline` whose true labels have come for the first time to the checks that waited for them."""
        waiting = {name: check for name, check in self._checks.items() if TRUTH in check.needs}
        if not waiting:
            return None
        own = np.flatnonzero(np.array(labelled.pipelines) == pipeline)
        fresh = own[self._counted.fresh(np.frombuffer(labelled.seqs, np.int64)[own])]
        if again := len(own) - len(fresh):
            self._notes.append(f"true labels of {again} records have come before; they are not counted again")
        return self._first_alarm(waiting, _labelled(labelled, fresh)) if len(fresh) else None

    def notes(self) -> list[str]:
        """What should be on record since this was last asked: checks that failed, labels that were dropped."""
        notes, self._notes = self._notes, []
        return notes

    def state(self) -> dict[str, bytes]:
        """What all checks remember, and which labels have been counted."""
        states = {name: self._try(name, check.state) for name, check in list(self._checks.items())}
        return {COUNTED: self._counted.state()} | {name: state for name, state in states.items() if state is not None}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from a state."""
        self._counted.restore(state.get(COUNTED, Counted().state()))
        for name, check in list(self._checks.items()):
            if name in state:
                try:
                    check.restore(state[name])
                except ValueError:  # evidence of another design counts for nothing in this one
                    self._try(name, check.reset)

    def _first_alarm(self, checks: Mapping[str, Check], records: Records) -> Alarm | None:
        said = [(check, self._try(name, partial(check.update, records))) for name, check in checks.items()]
        return next((Alarm(check, evidence) for check, evidence in said if evidence is not None and evidence.alarm), None)

    def _try(self, name: str, act: Callable[[], T]) -> T | None:
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - a check may be anybody's and raise anything; a note puts it on record
            self._checks.pop(name, None)
            self._notes.append(f"the check {name!r} failed and is left out until the next reference: {type(error).__name__}: {error}")
            return None


def remedies_for(finding: Finding | None, likeness: Likeness | None) -> tuple[str, ...] | None:
    """Those that make sense for what a check found; None leaves them to the policy.

    What looks like a corruption of the catalogue for certain is drift, whichever check saw it first; what true labels have measured is not
    explained by a look.
    """
    named = likeness is not None and likeness.sure
    return None if finding is None or (named and finding.accuracy is None) else finding.remedies


def _observed(window: WindowObserved, seen: int) -> Records:
    early, latent = window.features()
    n, every = len(early), window.every
    labels = np.frombuffer(window.labels, np.int64)
    facts = np.frombuffer(window.facts, np.float64).reshape(n, -1) if window.facts else None
    records = Records(
        seqs=np.arange(window.first + every - 1, window.last + 1, every), labels=labels,
        logits=np.frombuffer(window.logits, np.float32).reshape(n, -1), early=early, latent=latent, routed=window.routed_flags(), facts=facts,
    )  # fmt: skip
    return replace(records.part(seen, n), refused=window.refused)


def _labelled(labelled: RecordsLabelled, rows: NDArray[np.intp]) -> Records:
    n = len(labelled.pipelines)

    def column(data: bytes, kind: type[np.generic]) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        return np.frombuffer(data, kind).reshape(n, -1)[rows]

    features = {name: column(getattr(labelled, name), np.float32) for name in ("logits", "early", "latent")}
    numbers = {name: column(getattr(labelled, name), np.int64)[:, 0] for name in ("seqs", "labels", "truth")}
    slices = {attribute: np.array(values)[rows] for attribute, values in labelled.slices.items()}
    return Records(**numbers, **features, slices=slices)  # type: ignore[arg-type]  # by name
