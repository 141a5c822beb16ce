"""Every message of the ledger as a CloudEvent, in batches, for other systems.

Format: CloudEvents 1.0.2 with its HTTP binding, batched content mode. `sequence` is the position in the ledger; the attributes `deployment`
and `cause` are ours. Bytes (the state of sequential tests, bulk of labels) stay at home.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from agents.messages import Message
from agents.outward.courier import Numbered, Parcel

TYPE = "application/cloudevents-batch+json; charset=utf-8"
BATCH = 256_000  # bytes; a message that is larger goes alone
ENVELOPE = frozenset(("type", "id", "source", "deployment", "incident", "cause", "time"))


def event(position: int, message: Message) -> dict[str, Any]:
    """One message of the ledger as a CloudEvent in JSON's terms.

    >>> from agents.messages import IncidentClosed
    >>> closed = IncidentClosed(id="a", source="planner", deployment="digits", incident="digits-1", time=1.5, outcome="verified", reason="it helped")
    >>> found = event(7, closed)
    >>> found["type"], found["source"], found["subject"], found["time"], found["sequence"]
    ('scanflow.IncidentClosed', '/scanflow/digits/planner', 'digits-1', '1970-01-01T00:00:01.500000Z', '0000000000000000007')
    >>> found["data"]
    {'to': '', 'outcome': 'verified', 'reason': 'it helped'}
    """
    fields = msgspec.to_builtins(message, builtin_types=(bytes,), str_keys=True)
    made = {
        "specversion": "1.0", "id": message.id, "source": f"/scanflow/{message.deployment or '-'}/{message.source or '-'}".replace(" ", "%20"),
        "type": f"scanflow.{type(message).__name__}", "time": f"{datetime.fromtimestamp(message.time, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        "datacontenttype": "application/json", "sequence": f"{position:019d}",
        "data": _without_bytes({name: value for name, value in fields.items() if name not in ENVELOPE}),
    }  # fmt: skip
    optional = {"subject": message.incident, "deployment": message.deployment, "cause": message.cause}  # an attribute must not be empty
    return made | {name: value for name, value in optional.items() if value}


def _without_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_bytes(one) for key, one in value.items() if not isinstance(one, bytes)}
    if isinstance(value, list | tuple):
        return [_without_bytes(one) for one in value if not isinstance(one, bytes)]
    return value


class Events:
    """The receiver of all events. `token`, if there is one, is sent as a bearer token."""

    def __init__(self, url: str, token: str = "") -> None:
        self.name, self.url = "events", url
        self._token = token

    def pack(self, messages: Numbered) -> list[Parcel]:
        """As many messages to a batch as fit."""
        parcels: list[Parcel] = []
        bodies: list[bytes] = []
        held: list[tuple[int, Message]] = []
        for position, message in messages:
            body = _encoded(position, message)
            if bodies and sum(map(len, bodies)) + len(body) > BATCH:
                parcels.append(_batch(held, bodies))
                bodies, held = [], []
            bodies.append(body)
            held.append((position, message))
        return [*parcels, _batch(held, bodies)] if held else parcels

    def headers(self, _parcel: Parcel, _now: float) -> dict[str, str]:
        """Type of the content, and the token."""
        return {"content-type": TYPE} | ({"authorization": f"Bearer {self._token}"} if self._token else {})

    def halves(self, parcel: Parcel) -> list[Parcel]:
        """Two batches, so that one message that a receiver cannot take holds up no other."""
        middle = len(parcel.held) // 2
        return [_batch(part, [_encoded(*one) for one in part]) for part in (parcel.held[:middle], parcel.held[middle:]) if part]

    def delivered(self, parcel: Parcel, attempts: int) -> None:
        """Nothing more: a note of it would be the next event."""

    def given_up(self, parcel: Parcel, reason: str) -> None:
        """Nothing more: the courier has logged it."""


def _batch(held: Sequence[tuple[int, Message]], bodies: Sequence[bytes]) -> Parcel:
    kinds = ", ".join(dict.fromkeys(type(message).__name__ for _, message in held))
    return Parcel(held[-1][0], b"[" + b",".join(bodies) + b"]", kinds, tuple(held))


def _encoded(position: int, message: Message) -> bytes:
    return msgspec.json.encode(event(position, message))
