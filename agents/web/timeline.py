"""The story of an incident as a page shows it: one entry an event, each with the facts it rests on, and the planner's table as numbers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from agents.board import QuestionView
from agents.messages import (
    AgentFailed, AnswerRefused, AskChoice, AskLabels, ChangeAdopted, ChoiceMade, DeployPipeline, DriftEnded, HarmAssessed, IncidentClosed,
    IncidentOpened, LabelAmended, LabelGiven, Message, MessageRefused, PipelineLive, QuestionClosed, QuestionEscalated, QuestionReminded,
    RemediesMeasured, RemedyChosen, RemedyVerified, RequestExpired, RequestFailed, SecondOpinion, UndoAsked, WindowAnalysed,
)
from agents.story import QUIET, line

COMMON = set(Message.__struct_fields__) | {"type"}  # what every message has says nothing about this one
LONGEST = 240  # characters of one fact; what is longer is in the JSON

KINDS: dict[str, tuple[type[Message], ...]] = {
    "seen": (IncidentOpened, WindowAnalysed, HarmAssessed, DriftEnded),
    "asked": (
        AskLabels, AskChoice, QuestionReminded, QuestionEscalated, QuestionClosed, LabelAmended, SecondOpinion, ChoiceMade, UndoAsked,
    ),
    "live": (DeployPipeline, PipelineLive, RemedyVerified, ChangeAdopted),
    "failed": (RequestFailed, RequestExpired, AgentFailed, AnswerRefused, MessageRefused),
    "closed": (IncidentClosed,),
}


@dataclass(frozen=True)
class Labelled:
    """One image that was asked about: what was said of it (nothing, if nobody answered) and by whom."""

    seq: int
    answer: str
    by: str


@dataclass(frozen=True)
class Row:
    """One remedy. `bar` is its gain and interval from -1 to 1; `option` is the answer that chooses it, if it is on offer."""

    name: str
    cells: tuple[str, ...]
    bar: tuple[float, float, float] | None
    verdict: str
    chosen: bool
    option: str = ""


@dataclass(frozen=True)
class Entry:
    """One event. `seconds` since the first one; `facts` are names and values; `kind` is a key of `KINDS` or "worked"."""

    id: str
    time: float
    seconds: float
    source: str
    kind: str
    text: str
    facts: tuple[tuple[str, str], ...]
    labels: tuple[Labelled, ...] = ()
    table: tuple[Row, ...] = ()


HEADINGS = ("on drift", "interval", "clean", "ms added", "seconds", "labels")


def timeline(messages: Sequence[Message]) -> list[Entry]:
    """All events of a story in order. Answers to single images stand with the question that asked for them."""
    entries: list[Entry] = []
    begun: float | None = None
    measured: RemediesMeasured | None = None
    for message in messages:
        text = line(message)
        measured = message if isinstance(message, RemediesMeasured) else measured
        if not text or isinstance(message, QUIET):
            continue
        begun = message.time if begun is None else begun
        kind = next((name for name, types in KINDS.items() if isinstance(message, types)), "worked")
        labels = labelled(message, messages) if isinstance(message, AskLabels) else ()
        table = remedy_rows(measured, message) if isinstance(message, RemedyChosen) and measured else ()
        entries.append(Entry(message.id, message.time, message.time - begun, message.source, kind, text, facts(message), labels, table))
    return entries


def facts(message: Message) -> tuple[tuple[str, str], ...]:
    """What a message says besides what all messages have: names and values, without bulk.

    >>> facts(IncidentOpened(id="a", pipeline="first", onset=12, alarm_at=15, log_evidence=14.25))
    (('pipeline', 'first'), ('onset', '12'), ('alarm at', '15'), ('log evidence', '14.25'))
    """
    found = []
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if name in COMMON or isinstance(value, bytes) or value in ("", (), {}, None):
            continue
        found.append((name.replace("_", " "), _short(value)))
    return tuple(found)


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.4g}"
    text = json.dumps(_rounded(msgspec.to_builtins(value, str_keys=True)), ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text)} characters; all of it is in the JSON)"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def labelled(asked: AskLabels, messages: Iterable[Message]) -> tuple[Labelled, ...]:
    """What became of each image of a question."""
    given = {one.label.seq: one.label for one in messages if isinstance(one, LabelGiven | LabelAmended) and one.question == asked.question}
    found = []
    for seq in asked.items:
        label = given.get(seq)
        if label is None:
            found.append(Labelled(seq, "", ""))
        else:
            known = label.label is not None and 0 <= label.label < len(asked.classes)
            word = asked.classes[label.label or 0] if known else ("no answer" if label.label is None else "none of these")
            found.append(Labelled(seq, word, label.by))
    return tuple(found)


def newest_table(messages: Sequence[Message], question: QuestionView | None = None) -> tuple[Row, ...]:
    """The planner's newest table; with a question, rows know by which answer they are chosen."""
    measured = next((one for one in reversed(messages) if isinstance(one, RemediesMeasured)), None)
    chosen = next((one for one in reversed(messages) if isinstance(one, RemedyChosen)), None)
    return remedy_rows(measured, chosen, question.options if question else ()) if measured else ()


def remedy_rows(measured: RemediesMeasured, chosen: RemedyChosen | None, options: Sequence[str] = ()) -> tuple[Row, ...]:
    """One row a remedy, those that failed last."""
    rows = []
    for one in measured.remedies:
        best = chosen is not None and chosen.remedy == one.name
        cells = (
            f"{one.accuracy_drift:.3f}", f"{one.interval[0]:.2f} to {one.interval[1]:.2f}", f"{one.accuracy_clean:.4f}",
            f"{1000 * one.latency_added:.2f}", f"{one.seconds:.0f}", str(one.labels),
        )
        option = next((name for name in options if name == one.name), "approve" if best and "approve" in options else "")
        verdict = chosen.verdicts.get(one.name, "") if chosen else ""
        rows.append(Row(one.name, cells, (*one.gain_interval, one.gain), verdict, best, option))
    empty = ("–",) * len(HEADINGS)
    rows += [Row(name, empty, None, f"failed: {reason}", chosen=False) for name, reason in measured.failed.items()]
    return tuple(rows)


def as_json(messages: Sequence[Message]) -> bytes:
    """The story for programs: all messages as they stand in the ledger, in order."""
    return msgspec.json.format(msgspec.json.encode(list(messages)), indent=1)
