"""Where people sit who label in a browser: one seat for each person and question, so that a reload finds everything as it was.

The rules are those of the console (`agents.labelling`): the newest answer is held back until the next one, so that it can be taken back.
A browser may be closed without a word, so an answer that is held for `HOLD_SECONDS` is handed in as well.
"""

import threading
import time
from collections.abc import Callable, Sequence

from agents.board import QuestionView
from agents.labelling import LabellingSession, Offer
from agents.pace import Stopwatch
from agents.reception import ANSWER_SECONDS, Reception

HOLD_SECONDS = 20.0
SEATS = 2000  # the one taken first makes room


class Seat:
    """One person's way through one question. Keys go in; `session` says what to show. Safe to use from several threads."""

    def __init__(self, reception: Reception, view: QuestionView, by: str, clock: Callable[[], float]) -> None:
        self.session = LabellingSession(view, by)
        self.by = by
        self._reception, self._clock = reception, clock
        self._lock = threading.RLock()
        self._held_since = 0.0
        self._waiting: dict[str, tuple[Offer, float]] = {}  # offers that the desk has not spoken about
        self._watch = Stopwatch(clock)
        self._watch.show(self.session.item)

    def press(self, key: str, item: int | None) -> None:
        """Take a key that was pressed while image `item` was shown. One that was meant for another image answers nothing."""
        with self._lock:
            self.look()
            if item is not None and item != self.session.item:
                self.session.note = self.session.note or "another image is shown by now; that key was not taken"
                return
            before, shown = self.session.held, self.session.item
            offers = self.session.press(key)
            if shown is not None and shown != self.session.item:
                self._watch.answer(shown)
            self._send(offers)
            if self.session.held is not before:
                self._held_since = self._clock()
            self.look()
            self._watch.show(self.session.item)

    @property
    def unheld(self) -> tuple[int, ...]:
        """The question's images in this person's order, but for the one whose answer is held."""
        with self._lock:
            held = self.session.held
            return tuple(seq for seq in self.session.question.items if held is None or seq != held.seq)

    def prefer(self, items: Sequence[int]) -> None:
        """Show these images first, as far as their question lets anybody choose."""
        with self._lock:
            self.session.prefer(items)

    def look(self) -> None:
        """Take in what others did, and what the desk said."""
        with self._lock:
            name = self.session.question.question
            for offered, (offer, sent) in list(self._waiting.items()):
                refused = self._reception.outcome(offered)
                if refused is None and self._clock() - sent < ANSWER_SECONDS:
                    continue
                del self._waiting[offered]
                if refused is None:
                    self.session.note = f"the desk has not taken {offer.answer!r} within {ANSWER_SECONDS:.0f} s; it may still do so"
                elif refused:
                    self.session.refused(offer, refused)
            if (outcome := self._reception.board.closed(name)) is not None:
                self.session.close(outcome)
            elif (view := self._reception.board.question(name)) is not None:
                self.session.update(view)

    def release(self, *, older_than: float = 0.0) -> bool:
        """Hand in what has been held for that many seconds; whether there was anything."""
        with self._lock:
            if self.session.held is None or self._clock() - self._held_since < older_than:
                return False
            self._send(self.session.hand_in())
            return True

    def _send(self, offers: list[Offer]) -> None:
        for offer in offers:
            offered = self._reception.offer(
                self.session.question.question, offer.answer, self.by, offer.seq, source="web", amend=offer.amend,
                seconds=self._watch.taken(offer.seq),
            )
            self._waiting[offered] = (offer, self._clock())


class Seats:
    """All seats of a page. `clock` counts seconds."""

    def __init__(self, reception: Reception, clock: Callable[[], float] = time.monotonic) -> None:
        self._reception, self._clock = reception, clock
        self._lock = threading.Lock()
        self._taken: dict[tuple[str, str], Seat] = {}

    def seat(self, session: str, by: str, view: QuestionView) -> Seat:
        """The seat of a browser's session at a question: the one it had, if it has not left it."""
        key = (session, view.question)
        with self._lock:
            found = self._taken.get(key)
            if found is None or found.session.state == "left":
                found = self._taken[key] = Seat(self._reception, view, by, self._clock)
                if len(self._taken) > SEATS:
                    self._taken.pop(next(iter(self._taken))).release()
            return found

    def sweep(self, older_than: float = HOLD_SECONDS) -> int:
        """Hand in what people have left lying; how many answers that were."""
        with self._lock:
            seats = list(self._taken.values())
        return sum(seat.release(older_than=older_than) for seat in seats)
