"""The ledger: the append-only log of all messages, and who has handled which. What is not in it did not happen.

A message is appended together with the note that its cause was handled, in one transaction, so that a crash leaves either
both or neither. An agent's state is a fold over `history`; what still has to be done after a crash is what `undelivered` and
`unanswered` say. SQLite by default, any SQLAlchemy URL otherwise; `Ledger()` without one lives in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import RLock

import msgspec
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from agents.messages import AnyMessage, Message, Request
from agents.state import LEDGER

_metadata = sa.MetaData()
_log = sa.Table(
    "log",
    _metadata,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(32), nullable=False, comment="who handled the message; empty for the message itself"),
    sa.Column("source", sa.String(64), nullable=False, default=""),
    sa.Column("type", sa.String(64), nullable=False, default=""),
    sa.Column("incident", sa.String(128), nullable=False, default="", index=True),
    sa.Column("cause", sa.String(64), nullable=False, default="", index=True),
    sa.Column("time", sa.Float, nullable=False, default=0.0),
    sa.Column("body", sa.Text),
    sa.UniqueConstraint("id", "agent"),
)


class Ledger:
    """Append, fold, tell stories.

    Examples
    --------
    >>> from agents.messages import IncidentClosed
    >>> ledger = Ledger(clock=lambda: 12.0)
    >>> ledger.append([IncidentClosed(id="a", incident="i1", outcome="harmless", reason="all labels agree")])
    [IncidentClosed(id='a', source='', deployment='', incident='i1', cause='', to='', time=12.0, outcome='harmless', reason='all labels agree')]
    >>> ledger.append([IncidentClosed(id="a", incident="i1", outcome="harmless", reason="said twice")])
    []
    >>> [type(message).__name__ for message in ledger.story("i1")]
    ['IncidentClosed']
    """

    def __init__(self, url: str | None = None, *, clock: Callable[[], float]) -> None:
        if url is None:
            self._engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        else:
            self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _tune_sqlite)
        _metadata.create_all(self._engine)
        self._clock = clock
        self._lock = RLock()

    @classmethod
    def in_folder(cls, folder: Path, *, clock: Callable[[], float]) -> "Ledger":
        """The ledger of a state folder."""
        return cls(f"sqlite:///{folder / LEDGER}", clock=clock)

    def append(self, messages: Iterable[Message]) -> list[Message]:
        """Stamp and store messages; returns those that are new. Transient ones are stamped and returned, not stored."""
        with self._lock, self._engine.begin() as connection:
            return self._append(connection, messages)

    def handled(self, agent: str, message: Message, said: Sequence[Message]) -> list[Message]:
        """Note that `agent` handled `message` and said `said`, all or nothing; returns the new messages."""
        with self._lock, self._engine.begin() as connection:
            if not message.transient:
                connection.execute(_log.insert().values(id=message.id, agent=agent))
            return self._append(connection, said)

    def _append(self, connection: sa.Connection, messages: Iterable[Message]) -> list[Message]:
        new: list[Message] = []
        for message in messages:
            stamped = msgspec.structs.replace(message, time=message.time or self._clock())
            if not message.transient:
                if connection.execute(sa.select(_log.c.position).where(_log.c.id == message.id, _log.c.agent == "")).first():
                    continue
                connection.execute(_log.insert().values(agent="", body=msgspec.json.encode(stamped).decode(), **_columns(stamped)))
            new.append(stamped)
        return new

    def history(self, agent: str) -> list[Message]:
        """What `agent` handled and said, in order: the messages to fold into its state."""
        note, body = _log.alias("note"), _log.alias("body")
        handled = (
            sa.select(note.c.position, body.c.body)
            .join(body, sa.and_(body.c.id == note.c.id, body.c.agent == ""))
            .where(note.c.agent == agent)
        )
        said = sa.select(_log.c.position, _log.c.body).where(_log.c.agent == "", _log.c.source == agent)
        return list(self._read(sa.union_all(handled, said).order_by("position")))

    def story(self, incident: str) -> list[Message]:
        """All messages of an incident, in order."""
        return list(self._read(_messages().where(_log.c.incident == incident)))

    def messages(self, *kinds: type[Message]) -> list[Message]:
        """All messages, or those of some types, in order."""
        query = _messages()
        return list(self._read(query.where(_log.c.type.in_([kind.__name__ for kind in kinds])) if kinds else query))

    def after(self, position: int, limit: int) -> list[tuple[int, Message]]:
        """At most `limit` messages that come after a position, each with its own; positions grow, with gaps."""
        with self._lock, self._engine.connect() as connection:
            rows = connection.execute(_messages().where(_log.c.position > position).limit(limit)).all()
        return [(row.position, _decoder.decode(row.body)) for row in rows]

    def end(self) -> int:
        """Position of the newest entry; 0 where there is none."""
        with self._lock, self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.max(_log.c.position))).scalar() or 0)

    def undelivered(self, recipients: Callable[[Message], Iterable[str]]) -> list[tuple[Message, list[str]]]:
        """Messages that some of their recipients have not handled, oldest first."""
        with self._lock, self._engine.connect() as connection:
            noted = {(row.id, row.agent) for row in connection.execute(sa.select(_log.c.id, _log.c.agent).where(_log.c.agent != ""))}
        found = ((message, [name for name in recipients(message) if (message.id, name) not in noted]) for message in self.messages())
        return [(message, missing) for message, missing in found if missing]

    def unanswered(self, kinds: Iterable[type[Message]]) -> list[Request]:
        """Requests of these types to which no message answers."""
        wanted = list(kinds)
        requests = self.messages(*wanted) if wanted else []
        with self._lock, self._engine.connect() as connection:
            causes = {row.cause for row in connection.execute(sa.select(_log.c.cause).where(_log.c.agent == "").distinct())}
        return [request for request in requests if isinstance(request, Request) and request.id not in causes]

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _read(self, query: sa.Executable) -> Iterator[Message]:
        with self._lock, self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return (_decoder.decode(row.body) for row in rows)


def _messages() -> sa.Select[tuple[int, str]]:
    return sa.select(_log.c.position, _log.c.body).where(_log.c.agent == "").order_by(_log.c.position)


def _columns(message: Message) -> Mapping[str, object]:
    return {name: getattr(message, name) for name in ("id", "source", "incident", "cause", "time")} | {"type": type(message).__name__}


def _tune_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # a DB-API connection; SQLAlchemy gives it no type
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(AnyMessage)
