r"""Webhooks: which there are (a TOML file), what each is told, and what a POST holds.

>>> [hook] = from_toml('[[webhook]]\nname = "pager"\nurl = "https://example.org/hook"\nsecret_env = "PAGER"\nevents = ["alarm"]\n',
...                    environment={"PAGER": "whsec_" + "A" * 40})
>>> hook.name, hook.events, hook
('pager', ('alarm',), Hook(pager))
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from agents.messages import (
    AgentFailed, AskChoice, AskLabels, DriftEnded, HarmAssessed, IncidentClosed, IncidentOpened, Message, NoteMade, PipelineLive, QuestionClosed,
    QuestionEscalated, QuestionReminded, RecordsLost, RemedyVerified, RequestExpired, RequestFailed, UndoAsked, derived_id,
)
from agents.outward.courier import Numbered, Parcel
from agents.outward.door import AddressError, checked
from agents.outward.signing import SecretError, key_of, sign
from agents.story import line
from workflows.words import nearest

EVENTS: Mapping[str, tuple[type[Message], ...]] = {
    "alarm": (IncidentOpened,), "harm assessed": (HarmAssessed,), "question opened": (AskLabels, AskChoice), "question closed": (QuestionClosed,),
    "question reminded": (QuestionReminded, QuestionEscalated),
    "live changed": (PipelineLive,), "verified": (RemedyVerified,), "undo asked": (UndoAsked,), "drift ended": (DriftEnded,),
    "incident closed": (IncidentClosed,), "undone": (IncidentClosed,),
    "failed": (AgentFailed, RequestFailed, RequestExpired, RecordsLost),
}  # fmt: skip
KEYS = ("name", "url", "secret", "secret_env", "secret_file", "events", "deployments")
GIVE_UP = 86_400.0  # seconds after which nobody wants to hear of it any more


class HookError(ValueError):
    """The file of webhooks cannot be used; the text names the file, the webhook and what is allowed."""


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook. Its secret and address are not in its `repr`, so not in logs and errors either."""

    name: str
    url: str
    key: bytes
    events: tuple[str, ...] = tuple(EVENTS)
    deployments: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Hook({self.name})"


def load_hooks(path: Path, environment: Mapping[str, str]) -> list[Hook]:
    """The webhooks of a file. Raises `HookError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise HookError(f"{path}: cannot be read ({reason}); give an existing TOML file with --webhooks") from error
    return from_toml(text, str(path), environment=environment, folder=path.parent)


def from_toml(text: str, name: str = "webhooks", *, environment: Mapping[str, str], folder: Path = Path()) -> list[Hook]:
    """Parse webhooks; secrets come from the file itself, from an environment variable, or from a file beside it. Raises `HookError`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HookError(f"{name}: not valid TOML: {error}") from error
    tables = raw.get("webhook")
    if set(raw) != {"webhook"} or not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise HookError(f"{name}: write each webhook as a [[webhook]] with name, url, secret_env and events, and nothing else")
    hooks = [_hook(table, f"{name}: webhook {number}", environment, folder) for number, table in enumerate(tables, 1)]
    for hook in hooks:
        if sum(one.name == hook.name for one in hooks) > 1:
            raise HookError(f"{name}: two webhooks are called {hook.name!r}; give each a name of its own")
    return hooks


def _hook(table: Mapping[str, Any], place: str, environment: Mapping[str, str], folder: Path) -> Hook:
    for key in table:
        if key not in KEYS:
            raise HookError(f"{place} has no key {key!r}{nearest(key, KEYS)}")
    name = table.get("name", "")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
        raise HookError(f"{place}: name = {name!r}; expected 1 to 40 small letters, digits, - and _, such as pager")
    place = f"{place} ({name})"
    lists = {}
    for key in ("events", "deployments"):
        value = table.get(key, list(EVENTS) if key == "events" else [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise HookError(f'{place}: {key} is a list of names, such as ["alarm", "question opened"]')
        lists[key] = tuple(value)
    for one in lists["events"]:
        if one not in EVENTS:
            raise HookError(f"{place}: events names {one!r}{nearest(one, EVENTS)}")
    try:
        secret = key_of(_secret(table, place, environment, folder))
        return Hook(name=name, url=checked(str(table.get("url", "")), f"{place}: url"), key=secret, **lists)
    except AddressError as error:
        raise HookError(str(error)) from None
    except SecretError as error:
        raise HookError(f"{place}: {error}") from None


def _secret(table: Mapping[str, Any], place: str, environment: Mapping[str, str], folder: Path) -> str:
    given = [key for key in ("secret", "secret_env", "secret_file") if key in table]
    if len(given) != 1:
        ways = "secret_env (a variable's name), secret_file (a file's name) and secret"
        raise HookError(f"{place}: give its secret by one of {ways}, not by {len(given)} of them")
    value = str(table[given[0]])
    if given[0] == "secret_env":
        if value not in environment:
            raise HookError(f"{place}: the environment variable {value} is not set; make a secret with: python -m agents.webhook secret")
        return environment[value]
    if given[0] == "secret_file":
        try:
            return (folder / value).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise HookError(f"{place}: secret_file {value} cannot be read; make one with: python -m agents.webhook secret > {value}") from None
    return value


def kinds(message: Message) -> list[str]:
    """Under which names a message may be told."""
    return [
        name for name, types in EVENTS.items() if isinstance(message, types) and (name != "undone" or getattr(message, "outcome", "") == "undone")
    ]  # fmt: skip


def payload(message: Message, event: str, page: str = "") -> bytes:
    """What is posted: the event's name, the time, a sentence (`text`, which chat programs show as it is), and the particulars.

    `link` leads to the page, for who has been let in there; it carries no key.
    """
    question = getattr(message, "question", "")
    where = f"/question/{question}" if question else f"/incident/{message.incident}" if message.incident else "/"
    data: dict[str, Any] = {"deployment": message.deployment, "incident": message.incident, "message": message.id}
    match message:
        case AskLabels():
            data |= {"question": question, "purpose": message.purpose, "items": len(message.items), "deadline": message.time + message.deadline}
        case AskChoice():
            data |= {"question": question, "options": message.options, "default": message.default, "deadline": message.time + message.deadline}
        case QuestionClosed():
            data |= {"question": question, "outcome": message.outcome, "by": message.by}
        case IncidentOpened():
            data |= {"kind": message.kind, "pipeline": message.pipeline, "onset": message.onset, "alarm_at": message.alarm_at}
        case HarmAssessed():
            data |= {"harmful": message.harmful, "accuracy": message.accuracy, "interval": message.interval, "clean_accuracy": message.clean_accuracy}
        case PipelineLive():
            data |= {"pipeline": message.pipeline, "previous": message.previous, "since": message.since, "reason": message.reason, "by": message.by}
        case IncidentClosed():
            data |= {"outcome": message.outcome, "reason": message.reason}
        case _:
            pass
    if page:
        data["link"] = page + where
    stamp = f"{datetime.fromtimestamp(message.time, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    return msgspec.json.encode({"type": event.replace(" ", "_"), "timestamp": stamp, "text": line(message), "data": data})


class Hooked:
    """A webhook as a receiver. What it got, and what it will never get, is put on record by `note`, in the story of the incident."""

    def __init__(self, hook: Hook, note: Callable[[Message], None], page: Callable[[], str] = lambda: "") -> None:
        self._hook, self._note, self._page = hook, note, page
        self.name, self.url = f"webhook {hook.name}", hook.url

    def pack(self, messages: Numbered) -> list[Parcel]:
        """One parcel a message that is to be told; the rest are passed over, as far as the last one."""
        parcels: list[Parcel] = []
        for position, message in messages:
            told = [kind for kind in kinds(message) if kind in self._hook.events]
            ours = not self._hook.deployments or message.deployment in self._hook.deployments
            if told and ours:
                event = told[-1]  # "undone" says more than "incident closed"
                parcels.append(Parcel(position, payload(message, event, self._page()), event, ((position, message),)))
        if messages and (not parcels or parcels[-1].position < messages[-1][0]):
            parcels.append(Parcel(messages[-1][0]))
        return parcels

    def headers(self, parcel: Parcel, now: float) -> dict[str, str]:
        """Signed anew at each attempt; the id stays, so that a receiver knows what it has already."""
        return {"content-type": "application/json"} | sign(self._hook.key, identity(parcel), now, parcel.body)

    def halves(self, parcel: Parcel) -> list[Parcel]:
        """One message is not divided."""
        return [parcel]

    def delivered(self, parcel: Parcel, attempts: int) -> None:
        """Note it."""
        self._record(parcel, f"told of {parcel.about}" + (f", at the {attempts}. attempt" if attempts > 1 else ""))

    def given_up(self, parcel: Parcel, reason: str) -> None:
        """Note it."""
        self._record(parcel, f"NOT told of {parcel.about}: {reason}")

    def _record(self, parcel: Parcel, text: str) -> None:
        [(_, message)] = parcel.held
        self._note(
            NoteMade(
                id=derived_id(self.name, message.id, "NoteMade", text.split(" ", 1)[0]), source=self.name, deployment=message.deployment,
                incident=message.incident, cause=message.id, text=text,
            )
        )  # fmt: skip


def identity(parcel: Parcel) -> str:
    """The `webhook-id` of a parcel: the message's own id and the event's name."""
    [(_, message)] = parcel.held
    return f"{message.id}.{parcel.about.replace(' ', '_')}"
