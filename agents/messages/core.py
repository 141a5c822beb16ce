"""What all messages have, and the few that belong to no subject."""

from typing import ClassVar

import msgspec


HEARTBEAT = 0.2


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True):
    """What all messages have. `to` names the one addressee of an answer; without it all who handle the type get it."""

    id: str
    source: str = ""
    deployment: str = ""
    incident: str = ""
    cause: str = ""
    to: str = ""
    time: float = 0.0  # UTC seconds, stamped when the message enters the ledger

    transient: ClassVar[bool] = False


class Request(Message, frozen=True, kw_only=True):
    """Asks a door or the desk for work that takes time. When `deadline` seconds have passed, `RequestExpired` answers."""

    deadline: float = 60.0


class RequestFailed(Message, frozen=True, kw_only=True):
    """The work was tried and failed; `request` is the type of what was asked."""

    request: str
    reason: str


class RequestExpired(Message, frozen=True, kw_only=True):
    """No answer came before the deadline of the request that is the `cause`."""

    request: str


class Tick(Message, frozen=True, kw_only=True):
    """Heartbeat of the switchboard, `HEARTBEAT` seconds after the last one."""

    transient: ClassVar[bool] = True
