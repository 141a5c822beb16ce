"""Replay: sends a scenario's traffic to an inference service, and scores its answers from outside.

    with HttpClient("http://127.0.0.1:8000") as client:
        replay = Replay(load_scenario("sudden_fog"), client)
        for segment in replay.segments():
            segment.run()
            print(segment.kind, segment.score.accuracy)

`python -m scenarios.replay sudden_fog --url http://127.0.0.1:8000` does that from a terminal.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from scenarios.client import Answers, Client, ClientError, HttpClient
from scenarios.errors import ScenarioError
from scenarios.house import House
from scenarios.people import ScriptedPerson
from scenarios.scenario import Scenario, Segment, load_scenario, suite
from scenarios.score import Score
from scenarios.source import FOREIGN_LABEL, Pool, Source

__all__ = [
    "FOREIGN_LABEL", "Answers", "Client", "ClientError", "HttpClient", "Replay", "Scenario", "ScenarioError", "Score", "SegmentRun", "Sent",
    "load_scenario", "suite",
]  # fmt: skip

_FRESH = 1  # keeps the draws of fresh images apart from those of the stream


@dataclass(frozen=True, eq=False)
class Sent:
    """One batch that was sent.

    Attributes
    ----------
    seqs, labels : int64 [n], sequence numbers and labels as answered; empty if the request failed.
    changed : bool [n], which of the images were corrupted or foreign; as long as the batch, also if the request failed.
    version : that answered; empty if the request failed.
    seconds : that the request took.
    failed : images without an answer.
    """

    seqs: NDArray[np.int64]
    labels: NDArray[np.int64]
    changed: NDArray[np.bool_]
    version: str
    seconds: float
    failed: int


class Replay:
    """A scenario on its way to a service.

    Parameters
    ----------
    scenario : what to send.
    client : how to send it.
    dataset_name, seed : in place of the scenario's own.
    root : folder of the data set; see `scenarios.datasets.load`.
    pool : for some corruptions, ready images in place of made ones; see `scenarios.source.Source`.

    Raises
    ------
    DataError : the data set cannot be read.
    ScenarioError : a corruption of the scenario is not for images of this data set, such as one for colour on grey ones.
    """

    def __init__(
        self,
        scenario: Scenario,
        client: Client,
        dataset_name: str | None = None,
        root: Path | None = None,
        seed: int | None = None,
        pool: Pool | None = None,
    ) -> None:
        self.scenario, self.client = scenario, client
        self.seed = scenario.seed if seed is None else seed
        self.source = Source(dataset_name or scenario.dataset, root, pool)
        for segment in scenario.segment:
            self.source.check(segment)
        self.failed = 0
        self._true_labels: dict[int, int] = {}
        self.house = House(scenario)
        self._fresh_draws = 0

    def segments(self) -> Iterator["SegmentRun"]:
        """Yield the scenario's segments in order; advance each with `next_batch` or `run` before taking the next."""
        for number, segment in enumerate(self.scenario.segment):
            yield SegmentRun(self, segment, number)

    def true_label(self, seq: int) -> int:
        """True label of an answered record, -1 for a foreign image. For the scripted person and for nobody else. Raises KeyError."""
        return self._true_labels[seq]

    def _draw_slices(self, count: int, generator: np.random.Generator) -> dict[str, NDArray[np.str_]]:
        shares = self.scenario.attributes.items()
        return {attribute: np.array([*values])[generator.choice(len(values), count, p=[*values.values()])] for attribute, values in shares}

    def person(self) -> ScriptedPerson:
        """The scenario's scripted person, who knows the true labels of what this replay has sent."""
        is_ = self.scenario.person
        return ScriptedPerson(self.true_label, self.source.classes, is_.delay, is_.error_rate, self.seed, is_.expected)

    def fresh(self, corruption: str = "none", severity: int | None = None, n: int = 1000) -> float:
        """Accuracy in [0, 1] on `n` fresh test images sent now; see `score_fresh`."""
        return self.score_fresh(corruption, severity, n).accuracy

    def score_fresh(self, corruption: str = "none", severity: int | None = None, n: int = 1000) -> Score:
        """Send `n` test images that the stream never shows, corrupted anew, and score the answers.

        They are answered as any others are, so whoever watches the service sees them, too.
        """
        self._fresh_draws += 1
        generator = np.random.default_rng([self.seed, _FRESH, self._fresh_draws])
        images, labels = self.source.draw_fresh(corruption, severity, n, generator)
        score = Score()
        for start in range(0, n, self.scenario.batch):
            part = slice(start, start + self.scenario.batch)
            self._send(images[part], labels[part], np.full(len(images[part]), corruption != "none"), score)
        return score

    def _send(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], changed: NDArray[np.bool_], score: Score,
        slices: Mapping[str, NDArray[np.str_]] = MappingProxyType({}),
    ) -> Sent:
        before = time.perf_counter()
        try:
            answers = self.client.infer(images)
        except ClientError as error:
            score.add_failed(len(images), str(error))
            self.failed += len(images)
            nothing = np.zeros(0, np.int64)
            return Sent(nothing, nothing, changed, "", time.perf_counter() - before, len(images))
        self._true_labels.update(zip(answers.seqs.tolist(), labels.tolist(), strict=True))
        self.house.note(answers.seqs, labels, slices)
        score.add(answers.version, answers.labels, labels, changed)
        return Sent(answers.seqs, answers.labels, changed, answers.version, answers.seconds, 0)


class SegmentRun:
    """One segment being sent; `score` and `sent` (images so far, failed ones included) grow with each batch."""

    def __init__(self, replay: Replay, segment: Segment, number: int) -> None:
        self.segment, self.number, self.kind = segment, number, segment.kind
        self.score, self.sent = Score(), 0
        self._replay, self._stopped = replay, False
        self._generator = np.random.default_rng([replay.seed, 0, number])

    @property
    def done(self) -> bool:
        """Whether all records are sent, or `stop` was called."""
        return self._stopped or self.sent >= self.segment.records

    def stop(self) -> None:
        """End the segment, as its `until` may ask for; whoever replays knows when."""
        self._stopped = True

    def next_batch(self) -> Sent | None:
        """Send one batch and return what came of it, or None when the segment is done. A failed request is counted, not raised."""
        if self.done:
            return None
        count = min(self._replay.scenario.batch, self.segment.records - self.sent)
        slices = self._replay._draw_slices(count, self._generator)  # noqa: SLF001 - a segment is a part of its replay
        images, labels, changed = self._replay.source.draw(self.segment, self.sent, count, self._generator, slices)
        self.sent += count
        return self._replay._send(images, labels, changed, self.score, slices)  # noqa: SLF001 - the same

    def run(
        self,
        should_stop: Callable[[], bool] = lambda: False,
        *,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> Score:
        """Send batch by batch at the scenario's rate until the segment is done or `should_stop()` says so before a batch.

        A service that is slower than the rate gets the next batch at once; what it fell behind is not made up for.
        `rate` (images per second) is in place of the scenario's; `clock` and `wait` (seconds) are handed in by tests.
        """
        rate = self._replay.scenario.rate if rate is None else rate
        due = clock()
        while not self.done and not should_stop():
            if rate > 0 and due > clock():
                wait(due - clock())
            sent = self.next_batch()
            if sent is not None and rate > 0:
                due = max(due, clock() - sent.seconds) + len(sent.changed) / rate
        return self.score


if __name__ == "__main__":
    from scenarios.command import main

    main()
