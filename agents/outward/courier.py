"""Brings what is in the ledger to one receiver: in order, at least once, in a thread of its own.

The ledger is the queue. A courier reads it from the receiver's cursor on and moves the cursor when the receiver has answered that it has the
message. A receiver that is dead, slow or wrong costs nothing but waiting, longer after each failure, and nobody else waits with it.
"""

import random
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from agents.messages import Message
from agents.outward.cursor import Cursor
from agents.outward.door import Post, Reply, Unreachable

FIRST, LONGEST = 1.0, 300.0  # seconds between attempts
LOOK = 5.0  # seconds between looks at the ledger when nobody has said that there is something new
AT_ONCE = 100  # messages read at a time
GONE, REFUSED = 410, (400, 413, 415, 422)
log = structlog.get_logger(__name__)

Numbered = Sequence[tuple[int, Message]]


class Parcel(msgspec.Struct, frozen=True):
    """One POST: of the messages up to and with `position`. Without a body there is nothing in them for the receiver.

    `about` says in words what it tells; `held` are the messages in it, with their positions.
    """

    position: int
    body: bytes = b""
    about: str = ""
    held: tuple[tuple[int, Message], ...] = ()


class Receiver(Protocol):
    """Where to, and what."""

    @property
    def name(self) -> str:
        """In logs and on record; holds no secret."""

    @property
    def url(self) -> str:
        """Where to post."""

    def pack(self, messages: Numbered) -> list[Parcel]:
        """Parcels of messages, in order, that cover all of them."""

    def headers(self, parcel: Parcel, now: float) -> dict[str, str]:
        """What goes with it; made anew at each attempt."""

    def halves(self, parcel: Parcel) -> list[Parcel]:
        """A parcel as two, for a receiver that refuses it whole; itself where it cannot be divided."""

    def delivered(self, parcel: Parcel, attempts: int) -> None:
        """Called when the receiver has it."""

    def given_up(self, parcel: Parcel, reason: str) -> None:
        """Called when it never will: the receiver refused it for good, or too much time has passed."""


class Courier:
    """Works for one receiver, step by step (`step`) or in a thread (`start`, `close`).

    Parameters
    ----------
    read : messages after a position, at most so many.
    give_up : seconds after which a message is given up; None never gives up.
    clock : UTC seconds.
    draw : uniform in [0, 1); waiting times are drawn, so that many who fail together do not come back together.
    """

    def __init__(
        self, receiver: Receiver, post: Post, cursor: Cursor, read: Callable[[int, int], Numbered], *, clock: Callable[[], float],
        give_up: float | None = None, draw: Callable[[], float] = random.random,
    ) -> None:
        self._receiver, self._post, self._cursor, self._read = receiver, post, cursor, read
        self._clock, self._give_up, self._draw = clock, give_up, draw
        self._waiting: list[Parcel] = []
        self._position = cursor.read() or 0
        self._attempts, self._begun = 0, 0.0
        self._stop, self._news = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"courier {receiver.name}", daemon=True)

    def start(self) -> None:
        """Begin in a thread."""
        self._thread.start()

    def wake(self, _message: Message | None = None) -> None:
        """Say that there is something new; costs nothing, so that a switchboard may call it for each message."""
        self._news.set()

    def close(self, timeout: float = 15.0) -> None:
        """End the thread after the attempt under way; what is left over is sent after the next start."""
        self._stop.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._post.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._news.clear()
            try:
                wait = self.step()
            except Exception:  # whatever it is (a full disk, a locked file), the next round may do better
                log.exception("courier stumbled", receiver=self._receiver.name)
                wait = LONGEST
            if wait is None:
                self._news.wait(LOOK)
            elif wait > 0:
                self._stop.wait(wait)

    def step(self) -> float | None:
        """Make one attempt, or read on; returns the seconds until the next one, or None where there is nothing to do."""
        if not self._waiting:
            self._waiting = self._receiver.pack(self._read(self._position, AT_ONCE))
            if not self._waiting:
                return None
        parcel = self._waiting[0]
        if not parcel.body:
            self._next(parcel)
            return 0.0
        return self._attempt(parcel)

    def _attempt(self, parcel: Parcel) -> float:
        now = self._clock()
        self._attempts, self._begun = self._attempts + 1, self._begun or now
        answer = self._ask(parcel, now)
        if isinstance(answer, Reply) and answer.taken:
            self._receiver.delivered(parcel, self._attempts)
            self._next(parcel)
            return 0.0
        reason = f"HTTP {answer.status}" if isinstance(answer, Reply) else str(answer)
        if isinstance(answer, Reply) and answer.status in REFUSED:
            halves = self._receiver.halves(parcel)
            if len(halves) > 1:
                self._waiting[:1] = halves
                self._attempts, self._begun = 0, 0.0
                return 0.0
            return self._drop(parcel, f"refused with {reason}")
        if self._give_up is not None and now - self._begun >= self._give_up:
            return self._drop(parcel, f"{reason}, after {self._attempts} attempts in {now - self._begun:.0f} s")
        wait = back_off(self._attempts, self._draw())
        if isinstance(answer, Reply):
            if answer.status == GONE:
                wait = LONGEST
            wait = max(wait, min(answer.retry_after or 0.0, LONGEST))
        log.warning("not delivered, trying again", receiver=self._receiver.name, reason=reason, attempt=self._attempts, wait=round(wait, 1))
        return wait

    def _ask(self, parcel: Parcel, now: float) -> Reply | Unreachable:
        try:
            return self._post.post(self._receiver.url, parcel.body, self._receiver.headers(parcel, now))
        except Unreachable as error:
            return error

    def _drop(self, parcel: Parcel, reason: str) -> float:
        log.error("given up", receiver=self._receiver.name, about=parcel.about, reason=reason)
        self._receiver.given_up(parcel, reason)
        self._next(parcel)
        return 0.0

    def _next(self, parcel: Parcel) -> None:
        """The parcel is done with. Its position is kept only now: a crash before sends it again."""
        self._attempts, self._begun = 0, 0.0
        self._waiting.pop(0)
        self._position = parcel.position
        self._cursor.write(parcel.position)


def back_off(attempts: int, drawn: float) -> float:
    """Seconds until the next attempt: doubled after each failure up to five minutes, and drawn from the upper half of that.

    >>> [back_off(attempts, 1.0) for attempts in (1, 2, 3, 20)], back_off(3, 0.0)
    ([1.0, 2.0, 4.0, 300.0], 2.0)
    """
    longest = min(LONGEST, FIRST * 2.0 ** min(attempts - 1, 20))
    return longest * (0.5 + 0.5 * drawn)
