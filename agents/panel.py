"""The panel: all checks that the policy turns on, shown each record as soon as what they need of it is there. Pure, as its checker is."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from agents.messages import Finding, Likeness, RecordsLabelled, WindowObserved
from models.weaknesses.check import Check, Evidence, Records

Checks = Mapping[str, Check]
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
        )


class Panel:
    """Holds the checks of one deployment; `make` makes those that belong to a reference file.

    One that was stopped goes on from `state`; where a check refuses its own, as after a change of the policy, it begins anew.
    """

    def __init__(self, make: Callable[[str], Checks]) -> None:
        self._make = make
        self._checks: Checks = {}

    def load(self, reference: str) -> None:
        """Begin anew, with what another reference knows."""
        self._checks = self._make(reference)

    def observe(self, window: WindowObserved, seen: int) -> Alarm | None:
        """Show a window, without the records that have been `seen` before, to the checks that wait for nothing else; the first alarm, if any."""
        waiting = [check for check in self._checks.values() if TRUTH not in check.needs]
        return _first_alarm(waiting, _observed(window, seen)) if waiting else None

    def learn(self, labelled: RecordsLabelled, pipeline: str) -> Alarm | None:
        """Show records of `pipeline` whose true labels have come to the checks that waited for them."""
        waiting = [check for check in self._checks.values() if TRUTH in check.needs]
        records = _labelled(labelled, pipeline) if waiting else None
        return _first_alarm(waiting, records) if records is not None and len(records) else None

    def state(self) -> dict[str, bytes]:
        """What all checks remember."""
        return {name: check.state() for name, check in self._checks.items()}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from a state."""
        for name, check in self._checks.items():
            if name in state:
                try:
                    check.restore(state[name])
                except ValueError:  # evidence of another design counts for nothing in this one
                    check.reset()


def remedies_for(finding: Finding | None, likeness: Likeness | None) -> tuple[str, ...] | None:
    """Those that make sense for what a check found; None leaves them to the policy.

    What looks like a corruption of the catalogue for certain is drift, whichever check saw it first; what true labels have measured is not
    explained by a look.
    """
    named = likeness is not None and likeness.sure
    return None if finding is None or (named and finding.accuracy is None) else finding.remedies


def _first_alarm(checks: list[Check], records: Records) -> Alarm | None:
    alarms = [Alarm(check, evidence) for check in checks if (evidence := check.update(records)).alarm]
    return alarms[0] if alarms else None


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


def _labelled(labelled: RecordsLabelled, pipeline: str) -> Records:
    n = len(labelled.pipelines)
    own = np.flatnonzero(np.array(labelled.pipelines) == pipeline)

    def column(data: bytes, kind: type[np.generic]) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        return np.frombuffer(data, kind).reshape(n, -1)[own]

    features = {name: column(getattr(labelled, name), np.float32) for name in ("logits", "early", "latent")}
    numbers = {name: column(getattr(labelled, name), np.int64)[:, 0] for name in ("seqs", "labels", "truth")}
    slices = {attribute: np.array(values)[own] for attribute, values in labelled.slices.items()}
    return Records(**numbers, **features, slices=slices)  # type: ignore[arg-type]  # by name
