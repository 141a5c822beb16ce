"""Plays a scenario against a supervised deployment and says what came of it, scored by the client from outside.

The traffic goes on while the agents work. A segment that lasts "until closed" ends when the incident that it caused has come to
rest; then fresh images, which the stream never showed, tell what the loop was worth.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.board import Board, IncidentView
from agents.ledger import Ledger
from agents.messages import (
    HarmAssessed, IncidentClosed, IncidentOpened, LabelGiven, Message, PipelineLive, QuestionClosed, RemediesMeasured, RemedyChosen,
    RemedyPrepared, WindowAnalysed,
)
from scenarios.replay import Replay, SegmentRun, Sent

FRESH = 500
READY_SECONDS = 60.0
UNNOTICED = 5000  # records of a changed segment after which it is no longer waited for an alarm
SETTLING = 200  # clean records after which the way back counts as taken, if there was none to take
KNOWN = ("verified", "harmless", "expected", "unknown class")  # outcomes after which a drift raises no alarm as long as it is handled
COPES = 0.02  # accuracy below that on clean images which is no reason to expect an incident
Say = Callable[[str], None]


class Rehearsal:
    """One scenario, once.

    Parameters
    ----------
    replay : the scenario on its way to the service.
    pump : called after each batch with what was sent: waits for the next one to be due, or lets the agents work in this thread.
    should_stop : asked before each batch.
    say : told in a sentence what is sent now.
    """

    def __init__(
        self, replay: Replay, board: Board, ledger: Ledger, *, pump: Callable[[Sent], None], should_stop: Callable[[], bool] = lambda: False,
        say: Say = lambda _text: None, runtime: str = "process", fresh: int = FRESH,
    ) -> None:
        self._replay, self._board, self._ledger, self._pump = replay, board, ledger, pump
        self._should_stop, self._say, self._runtime, self._fresh = should_stop, say, runtime, fresh
        self._known = board.status().incidents  # of earlier runs
        self._begun = ledger.messages()[-1].time if ledger.messages() else 0.0
        self.current: SegmentRun | None = None
        self.phases: dict[str, float] = {}
        self._changed_since = 0
        self._scores: dict[str, float | None] = dict.fromkeys(("as_is", "after", "clean_before", "clean_after"))

    def next_batch(self) -> bool:
        """Send a batch of the current segment; False when there is none left. For who waits for traffic in the same thread."""
        return self.current is not None and self.current.next_batch() is not None

    def run(self) -> dict[str, Any]:
        """Send all segments; returns the outcome (see `outcome`)."""
        self._board.wait_for(lambda: bool(self._board.status().pipeline), READY_SECONDS)
        for segment in self._replay.segments():
            if self._should_stop():
                break
            self._play(segment)
        return self.outcome()

    def _play(self, segment: SegmentRun) -> None:
        self.current = segment
        begun, version = time.monotonic(), self._board.status().pipeline
        before = self._board.status().incidents
        last = "the pipeline of before answers again" if segment.kind == "clean" else "the incident has come to rest"
        self._say(f"now sending {segment.kind} images" + (f", until {last}" if segment.segment.until else ""))
        while not segment.done and not self._should_stop():
            sent = segment.next_batch()
            if sent is None:
                break
            if segment.kind != "clean" and not self._changed_since and len(sent.seqs):
                self._changed_since = int(sent.seqs[0])
            self._pump(sent)
            if self._over(segment, before):
                segment.stop()
        self.phases[f"{segment.number + 1} {segment.kind}"] = time.monotonic() - begun
        if segment.kind == "clean":
            if self._scores["clean_before"] is None and segment.score.all.total:
                self._scores["clean_before"] = segment.score.accuracy
        elif not self._should_stop():
            self._score(segment, version)

    def _over(self, segment: SegmentRun, before: list[IncidentView]) -> bool:
        """Whether what the segment waits for has come: an alarm, the incident's rest, or on clean images the way back to no filter."""
        status = self._board.status()
        incidents = status.incidents
        if segment.kind == "clean" and segment.segment.until == "closed":
            return segment.sent >= SETTLING and status.pipeline == status.base and not self._board.open_incidents()
        if len(incidents) == len(before) and not self._board.open_incidents() and segment.sent >= UNNOTICED:
            self._say(f"no alarm in {segment.sent} records: {self._why_not(incidents)}")
            return True
        if segment.segment.until == "alarm":
            return len(incidents) > len(before)
        rested = sum(bool(view.outcome) for view in incidents) > sum(bool(view.outcome) for view in before)
        return segment.segment.until == "closed" and rested and not self._board.open_incidents()

    def _why_not(self, incidents: list[IncidentView]) -> str:
        """Why a change raises no alarm, as far as can be told from outside."""
        status = self._board.status()
        last = incidents[-1] if incidents else None
        if last is not None and last.outcome not in KNOWN:
            return f"{last.incident} ended {last.outcome}; for a while no question is asked about such a drift again (detection.cool_down)"
        if last is not None:
            return f"{status.pipeline}, which is live, knows such images since {last.incident}"
        return "the change is too small to be told from clean images"

    def _score(self, segment: SegmentRun, before: str) -> None:
        """What the drift did to the pipeline that met it, and what fresh images are worth now."""
        if segment.segment.unknown_class is not None:
            return
        tally = segment.score.changed_by_version.get(before)
        if self._scores["as_is"] is None and tally is not None and tally.total:
            self._scores["as_is"] = tally.accuracy
        if self._scores["after"] is not None or self._board.open_incidents():
            return
        live = self._board.status().pipeline
        self._say("scoring fresh images that the stream never showed")
        for name, corruption in (("after", segment.segment.corruption), ("clean_after", "none")):
            score = self._replay.score_fresh(corruption, segment.segment.severity if corruption != "none" else None, self._fresh)
            answered = score.by_version.get(live)
            self._scores[name] = answered.accuracy if answered is not None and answered.total else score.accuracy

    def outcome(self) -> dict[str, Any]:
        """What came of it, with the keys that the README names; accuracies are the client's own."""
        messages = [message for message in self._ledger.messages() if message.time > self._begun]
        scenario = self._replay.scenario
        opened = next((one for one in messages if isinstance(one, IncidentOpened)), None)
        story = [one for one in messages if opened is not None and one.incident == opened.incident]
        measured, chosen, closed = (_first(story, kind) for kind in (RemediesMeasured, RemedyChosen, IncidentClosed))
        corrupted = [segment.corruption for segment in scenario.segment if segment.kind not in ("clean", "unknown class")]
        labels = [one for one in story if isinstance(one, LabelGiven) and one.label.label is not None]
        return {
            "scenario": scenario.name, "dataset": self._replay.source.dataset, "corruption": corrupted[0] if corrupted else "none",
            "runtime": self._runtime,
            "detected_after": opened.alarm_at - self._changed_since + 1 if opened is not None and self._changed_since else None,
            "incidents": sum(isinstance(one, IncidentOpened) for one in messages),
            "questions": len({one.question for one in story if isinstance(one, QuestionClosed)}), "labels_used": len(labels),
            "remedies": [_remedy(one) for one in measured.remedies] if isinstance(measured, RemediesMeasured) else [],
            "chosen": chosen.remedy if isinstance(chosen, RemedyChosen) else None,
            "reason": closed.reason if isinstance(closed, IncidentClosed) else None,
            "state": closed.outcome if isinstance(closed, IncidentClosed) else ("open" if opened else "none"),
            **self._scores, "failed_requests": self._replay.failed, "phases": {**self.phases, **_steps(story)},
        }

    def broken(self, outcome: dict[str, Any]) -> list[str]:
        """Which of the scenario's expectations did not hold, as sentences."""
        must = self._replay.scenario.must
        faults: list[str] = []
        if self.is_known(outcome):
            return faults
        if must.outcome is not None and outcome["state"] != must.outcome.replace("_", " "):
            faults.append(f"the incident should have ended {must.outcome!r}, it ended {outcome['state']!r}")
        if must.detected_within is not None and not 0 < (outcome["detected_after"] or 10**9) <= must.detected_within:
            faults.append(f"the change should have been detected within {must.detected_within} records, it took {outcome['detected_after']}")
        if must.min_gain is not None and not (outcome["after"] or 0.0) - (outcome["as_is"] or 0.0) >= must.min_gain:
            faults.append(f"accuracy should have risen by {must.min_gain}, it went from {outcome['as_is']} to {outcome['after']}")
        return faults


    def incidents(self) -> list[str]:
        """Names of the incidents that were open in this rehearsal, those of an earlier run that went on among them."""
        over = {view.incident for view in self._known if view.outcome}
        return [view.incident for view in self._board.status().incidents if view.incident not in over]

    def is_known(self, outcome: dict[str, Any]) -> bool:
        """Whether there was nothing to mend, since what an earlier run made live copes with this drift."""
        before, drifted = outcome["clean_before"], outcome["as_is"]
        mended = any(view.outcome == "verified" for view in self._known)
        return mended and outcome["state"] == "none" and before is not None and drifted is not None and before - drifted <= COPES


def write(outcome: dict[str, Any], path: Path) -> None:
    """Write an outcome as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(outcome, indent=2) + "\n")


def _first(story: list[Message], kind: type[Message]) -> Message | None:
    return next((one for one in story if isinstance(one, kind)), None)


def _remedy(remedy: Any) -> dict[str, Any]:
    return {
        "name": remedy.name, "accuracy_drift": remedy.accuracy_drift, "interval": list(remedy.interval), "accuracy_clean": remedy.accuracy_clean,
        "latency_added_ms": 1000 * remedy.latency_added, "seconds": remedy.seconds, "gain": remedy.gain,
        "gain_interval": list(remedy.gain_interval),
    }


def _steps(story: list[Message]) -> dict[str, float]:
    """Seconds from the alarm to each step of the first incident."""
    steps: dict[str, float] = {}
    for message in story:
        name = {
            WindowAnalysed: "alarm to analysed", HarmAssessed: "alarm to harm assessed", RemedyPrepared: "alarm to remedies prepared",
            RemediesMeasured: "alarm to measured", PipelineLive: "alarm to live", IncidentClosed: "alarm to closed",
        }.get(type(message))
        if name is not None:
            steps[name] = message.time - story[0].time
    return steps
