"""The account of an incident or of a period: everything that a report tells, as plain data, folded from the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agents.messages import (
    AgentFailed, ChangeAdopted, IncidentClosed, IncidentOpened, Message, MessageRefused, PipelineLive, PolicySet, RecordsLost, RemedyChosen,
    RemedyVerified, RequestExpired, RequestFailed,
)
from agents.reports.costs import Cost, cost
from agents.reports.people import Asked, Person, asked, people
from agents.reports.words import day
from agents.story import line
from workflows.words import nearest


class ReportError(Exception):
    """There is nothing to report on; the text says what there is."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. `kind` is the weakness; `remedy` what was chosen; times in UTC seconds, `closed` None while it is open."""

    incident: str
    deployment: str
    kind: str
    opened: float
    closed: float | None
    outcome: str
    reason: str
    onset: int
    pipeline: str
    remedy: str
    verified: str
    cost: Cost


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is different from then on: `before` and `after`, why, and who approved it ("default": nobody answered in time)."""

    time: float
    deployment: str
    what: str
    before: str
    after: str
    reason: str
    by: str
    incident: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report tells. `since` and `until` are UTC seconds; incidents that were going on in between are told whole."""

    title: str
    deployments: tuple[str, ...]
    since: float
    until: float
    incidents: tuple[Told, ...]
    people: tuple[Person, ...]
    questions: tuple[Asked, ...]
    changes: tuple[Change, ...]
    faults: tuple[tuple[float, str], ...]
    still_open: tuple[str, ...]

    @property
    def labels(self) -> int:
        """Labels that were given."""
        return sum(one.audit + one.teaching for one in self.people)


def of_incident(messages: Sequence[Message], incident: str) -> Account:
    """The account of one incident, out of all messages of a ledger. Raises `ReportError` when it is not known."""
    known = [one.incident for one in messages if isinstance(one, IncidentOpened)]
    if incident not in known:
        raise ReportError(f"no incident {incident!r} is on record{nearest(incident, known[::-1])}")
    story = [one for one in messages if one.incident == incident]
    return _account(messages, story, (incident,), incident, story[0].time, story[-1].time)


def of_period(messages: Sequence[Message], since: float, until: float, title: str, deployment: str = "") -> Account:
    """The account of what happened from `since` until `until` (UTC seconds), of one deployment or of all.

    Raises `ReportError` when nothing is on record for it.
    """
    known = list(dict.fromkeys(one.deployment for one in messages if one.deployment))
    if deployment and deployment not in known:
        raise ReportError(f"no deployment {deployment!r} is on record{nearest(deployment, known)}")
    mine = [one for one in messages if not deployment or one.deployment in (deployment, "")]
    within = [one for one in mine if since <= one.time <= until]
    if not within:
        there = f"what is on record is from {day(messages[0].time)} to {day(messages[-1].time)}" if messages else "the ledger is empty"
        raise ReportError(f"nothing is on record from {day(since)} to {day(until)}; {there}")
    spans = _spans(mine)
    touched = tuple(name for name, (opened, closed) in spans.items() if opened <= until and (closed is None or closed >= since))
    inside = set(touched)
    story = [one for one in mine if one.time <= until and (one.time >= since or one.incident in inside)]
    return _account(mine, story, touched, title, max(since, mine[0].time), min(until, mine[-1].time))


def _spans(messages: Sequence[Message]) -> dict[str, tuple[float, float | None]]:
    opened = {one.incident: one.time for one in messages if isinstance(one, IncidentOpened)}
    closed = {one.incident: one.time for one in messages if isinstance(one, IncidentClosed)}
    return {name: (at, closed.get(name)) for name, at in opened.items()}


def _account(messages: Sequence[Message], shown: Sequence[Message], incidents: Sequence[str], title: str, since: float, until: float) -> Account:
    told = tuple(_told(messages, name, until) for name in incidents)
    questions = tuple(asked(shown))
    still = [f"incident {one.incident} ({one.kind}), since {day(one.opened)}" for one in told if one.closed is None]
    still += [
        f"question {one.question}: {one.answers} of {one.items} answered, until {day(one.deadline)}" for one in questions if one.closed is None
    ]
    wrong = (AgentFailed, MessageRefused, RecordsLost, RequestExpired, RequestFailed)
    return Account(
        title=title, deployments=tuple(dict.fromkeys(one.deployment for one in shown if one.deployment)), since=since, until=until, incidents=told,
        people=tuple(people(shown)), questions=questions, changes=tuple(_changes(shown, messages)),
        faults=tuple((one.time, line(one)) for one in shown if isinstance(one, wrong)), still_open=tuple(still),
    )


def _told(messages: Sequence[Message], incident: str, until: float) -> Told:
    first = next(place for place, one in enumerate(messages) if isinstance(one, IncidentOpened) and one.incident == incident)
    opened = messages[first]
    assert isinstance(opened, IncidentOpened)
    since = [one for one in messages[first:] if one.time <= until and one.deployment in (opened.deployment, "")]
    story = [one for one in since if one.incident == incident]
    closed = next((one for one in reversed(story) if isinstance(one, IncidentClosed)), None)
    chosen = next((one for one in reversed(story) if isinstance(one, RemedyChosen)), None)
    verified = next((one for one in reversed(story) if isinstance(one, RemedyVerified)), None)
    return Told(
        incident=incident, deployment=opened.deployment, kind=opened.kind, opened=opened.time, closed=closed.time if closed else None,
        outcome=closed.outcome if closed else "", reason=closed.reason if closed else "", onset=opened.onset, pipeline=opened.pipeline,
        remedy=chosen.remedy if chosen else "", verified=line(verified) if verified else "", cost=cost(story, since),
    )


def _changes(shown: Sequence[Message], messages: Sequence[Message]) -> list[Change]:
    found = []
    rules: dict[str, Mapping[str, Any]] = {}
    inside = {one.id for one in shown}
    for message in messages:
        change: tuple[str, str, str, str, str] | None = None
        match message:
            case PipelineLive():
                change = ("live pipeline", message.previous, message.pipeline, message.reason, message.by)
            case ChangeAdopted():
                change = ("reference", "", message.reference, f"the change is part of the reference of {message.pipeline} now", "")
            case PolicySet():
                before, rules[message.deployment] = rules.get(message.deployment), message.policy
                if before is not None:
                    old, new = difference(before, message.policy)
                    change = ("policy", old, new, "the policy was changed between two starts", "")
            case _:
                pass
        if change is not None and message.id in inside:
            what, old, new, reason, by = change
            found.append(
                Change(
                    time=message.time, deployment=message.deployment, what=what, before=old, after=new, reason=reason, by=by,
                    incident=message.incident,
                )
            )
    return found


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, str]:
    """The rules that differ, as they were and as they are.

    >>> difference({"labels": {"harm": 6, "choose": 14}}, {"labels": {"harm": 8, "choose": 14}})
    ('labels.harm = 6', 'labels.harm = 8')
    """
    flat = [{f"{section}.{key}": value for section, keys in rules.items() for key, value in keys.items()} for rules in (before, after)]
    old, new = flat
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    texts = [", ".join(f"{name} = {rules.get(name, 'not set')}" for name in names) for rules in flat]
    return texts[0], texts[1]
