"""What an incident cost: answers that were wrong for the drift, labels, people's time, computing, latency. Estimates say so."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from agents.messages import (
    AskLabels, DriftEnded, EvidenceSaved, HarmAssessed, IncidentClosed, IncidentOpened, LabelGiven, LogBegun, Message, PipelineLive, PrepareRemedy,
    RemediesMeasured, RemedyPrepared, RequestExpired, RequestFailed, WindowAnalysed,
)

PAUSE = 60.0  # seconds between two answers, beyond which a person is taken to have done something else


class Lost(msgspec.Struct, frozen=True):
    """Answers that were wrong and would have been right on clean data: `count`, with its interval `low` to `high`.

    `records` were answered from the onset on while nothing mended the drift; `at_least` where that is only as far as is known.
    `per_record` is the loss of accuracy, with its interval; `basis` is what it rests on: "audit labels", or "an estimate without labels".
    """

    records: int
    at_least: bool
    per_record: tuple[float, float, float]
    basis: str

    @property
    def count(self) -> float:
        """The estimate."""
        return self.records * self.per_record[0]

    @property
    def interval(self) -> tuple[float, float]:
        """Lowest and highest count that go with the interval of the accuracy."""
        return self.records * self.per_record[1], self.records * self.per_record[2]


class Cost(msgspec.Struct, frozen=True):
    """Of one incident. Times in seconds. `latency_added` a request, by the remedy that went live last; 0 where none did."""

    lost: Lost | None
    labels_asked: int
    labels_given: int
    people: float
    computing: float
    latency_added: float


def cost(story: Sequence[Message], since: Iterable[Message]) -> Cost:
    """Of the incident whose messages are `story`; `since` are all messages from its opening on, whatever they are about."""
    given = [one for one in story if isinstance(one, LabelGiven)]
    return Cost(
        lost=lost(story, since), labels_asked=sum(len(one.items) for one in story if isinstance(one, AskLabels)), labels_given=len(given),
        people=seconds_of_people(given), computing=seconds_of_computing(story), latency_added=_latency(story),
    )


def lost(story: Sequence[Message], since: Iterable[Message]) -> Lost | None:
    """Right answers lost until the drift was mended or had ended; None where nothing tells how accurate the answers were."""
    loss = _loss(story)
    opened = next((one for one in story if isinstance(one, IncidentOpened)), None)
    if loss is None or opened is None:
        return None
    records, at_least = _unmended(opened, since)
    return Lost(records, at_least, *loss)


def _loss(story: Sequence[Message]) -> tuple[tuple[float, float, float], str] | None:
    """Loss of accuracy a record with its interval, and what it rests on."""
    harm = next((one for one in reversed(story) if isinstance(one, HarmAssessed) and one.audit), None)
    seen = next((one for one in reversed(story) if isinstance(one, WindowAnalysed)), None)
    measured = [one for story_of in story if isinstance(story_of, RemediesMeasured) for one in story_of.remedies if one.name == "nothing"]
    if harm is not None and measured:  # more labels tell of it by now: those by which the remedies were compared
        clean, accuracy, (low, high), basis = harm.clean_accuracy, measured[-1].accuracy_drift, measured[-1].interval, "audit labels"
    elif harm is not None:
        clean, accuracy, (low, high), basis = harm.clean_accuracy, harm.accuracy, harm.interval, "audit labels"
    elif seen is not None:
        clean, accuracy, (low, high), basis = seen.clean_accuracy, seen.estimated_accuracy, seen.estimate_range, "an estimate without labels"
    else:
        return None
    return (max(0.0, clean - accuracy), max(0.0, clean - high), max(0.0, clean - low)), basis


def _unmended(opened: IncidentOpened, since: Iterable[Message]) -> tuple[int, bool]:
    """Records from the onset on that nothing mended, and whether there may have been more.

    Record numbers begin anew with each log, so what came between the last number that is known and the end of a log is not counted.
    """
    total, begun, newest, at_least = 0, opened.onset, opened.alarm_at, False
    mended = False
    for message in since:
        match message:
            case LogBegun() if not mended:
                total, begun, newest, at_least = total + newest - begun + 1, 1, 0, True
            case EvidenceSaved():
                newest = max(newest, message.cursor)
            case WindowAnalysed() | HarmAssessed() if message.incident == opened.incident:
                newest = max(newest, message.last)
            case RemediesMeasured() if message.incident == opened.incident:
                newest = max(newest, message.after)
            case PipelineLive(pipeline=pipeline) if not mended and message.incident == opened.incident and pipeline != opened.pipeline:
                total, mended = total + max(0, message.since - begun), True
            case PipelineLive(pipeline=pipeline) if mended and pipeline == opened.pipeline:  # undone: the drift is unmended again
                begun, newest, mended = message.since, max(newest, message.since - 1), False
            case DriftEnded() if message.incident == opened.incident:
                return (total if mended else total + max(0, message.at - begun + 1)), at_least
            case IncidentClosed() if message.incident == opened.incident:
                break
            case _:
                pass
    return (total, at_least) if mended else (total + max(0, newest - begun + 1), True)


def seconds_of_people(given: Iterable[LabelGiven]) -> float:
    """Time spent on labels: as it was measured from showing to answer, where that is on record.

    Elsewhere it is estimated by the time since the person's answer before to the same question; of the first answer as the median of the others.
    What is longer than `PAUSE` counts as `PAUSE`.

    >>> from agents.messages import Label
    >>> def answer(at, seconds=0.0):
    ...     return LabelGiven(id=str(at), question="q", label=Label(1, 2, "ana"), time=at, seconds=seconds)
    >>> seconds_of_people([answer(100.0), answer(102.0), answer(104.0), answer(5000.0)])
    66.0
    >>> seconds_of_people([answer(100.0, 3.0), answer(300.0, 4.0)])
    7.0
    """
    by_person: dict[tuple[str, str], list[LabelGiven]] = {}
    for one in given:
        by_person.setdefault((one.question, one.label.by), []).append(one)
    total = 0.0
    for answers in by_person.values():
        first, *_ = answers
        took = [min(PAUSE, later.seconds or later.time - earlier.time) for earlier, later in pairwise(answers)]
        total += sum(took) + (min(PAUSE, first.seconds) or (median(took) if took else 0.0))
    return total


def seconds_of_computing(story: Iterable[Message]) -> float:
    """Preparation of remedies; one that failed counts from its request to its failure."""
    total, asked = 0.0, {}
    for message in story:
        match message:
            case PrepareRemedy():
                asked[message.id] = message.time
            case RemedyPrepared():
                total += message.seconds
            case RequestFailed() | RequestExpired() if message.cause in asked:
                total += message.time - asked.pop(message.cause)
            case _:
                pass
    return total


def _latency(story: Sequence[Message]) -> float:
    live = next((one.pipeline for one in reversed(story) if isinstance(one, PipelineLive)), "")
    measured = [remedy for one in story if isinstance(one, RemediesMeasured) for remedy in one.remedies if remedy.pipeline == live]
    return measured[-1].latency_added if measured else 0.0
