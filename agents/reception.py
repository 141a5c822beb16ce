"""What people may see and say, whichever door they come in by: the console's (ZeroMQ) and the web page's (HTTP) both ask here."""

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.board import Board
from agents.doors.evidence import Evidence
from agents.ledger import Ledger
from agents.messages import AnswerOffered, JoinLabels, Message, Paused, Resumed, UndoAsked
from agents.policy import Policy
from agents.roll import Seat
from agents.rules import Rule, in_force
from agents.story import tell
from workflows.inference import Inference

ANSWER_SECONDS = 10.0

Images = dict[int, NDArray[Any]]


class ReceptionError(Exception):
    """Somebody asked for something that cannot be done; the text says what can."""


class Reception:
    """One deployment's board, ledger, images and letter box. Safe to use from several threads.

    `post` hands a message to the switchboard; `features` names the columns, where rows of a table are answered in place of images;
    `seats` tells what each agent is at.
    """

    def __init__(
        self, board: Board, ledger: Ledger, inference: Inference, evidence: Evidence, post: Callable[[Message], None],
        features: tuple[str, ...] = (), seats: Callable[[], list[Seat]] = list,
    ) -> None:
        self.board, self.features, self.seats = board, features, seats
        self._ledger, self._inference, self._evidence, self._post = ledger, inference, evidence, post

    def messages(self, incident: str = "") -> list[Message]:
        """All messages of an incident, by default of the newest one, in order. Raises `ReceptionError` when it is not known."""
        known = [view.incident for view in self.board.status().incidents]
        name = incident or (known[-1] if known else "")
        messages = self._ledger.story(name) if name else []
        if not messages and name:
            raise ReceptionError(f"no incident {incident!r}; known: {', '.join(known) or 'none'}")
        return messages

    def story(self, incident: str = "") -> list[str]:
        """The lines of an incident's story."""
        return tell(self.messages(incident)) or ["no incident yet"]

    def images(self, seqs: Sequence[int]) -> Images:
        """Images uint8 [h, w] or [h, w, 3] by record, as far as they are still kept.

        What an open question asks about is on disk, and only there: a log begun anew may give its number to another image.
        """
        found: Images = {}
        asked_about: set[int] = set()
        for view in self.board.questions():
            asked = [seq for seq in seqs if seq in view.items and seq not in found]
            found |= self.kept(view.incident, asked) if asked else {}
            asked_about |= set(asked)
        if missing := [seq for seq in seqs if seq not in asked_about]:
            ring = self._inference.images(np.array(missing, np.int64))
            found |= dict(zip(ring.seqs.tolist(), ring.images, strict=True))
        return {seq: found[seq] for seq in seqs if seq in found}

    def kept(self, incident: str, seqs: Sequence[int]) -> Images:
        """Those of the images that the evidence of an incident holds."""
        return self._evidence.images(incident, list(seqs))

    def offer(self, question: str, answer: str, by: str, seq: int = 0, *, source: str = "console", reason: str = "") -> str:
        """Hand an answer to the desk without waiting; returns the id under which `outcome` tells what came of it."""
        offered = AnswerOffered(
            id=uuid4().hex, source=source, question=question, seq=seq, answer=answer, by=by, reason=reason, time=time.time(),
        )
        self._post(offered)
        return offered.id

    def outcome(self, offered: str, timeout: float = 0.0) -> str | None:
        """Why an answer was refused, "" if it was taken, None while nobody has dealt with it."""
        return self.board.outcome_of(offered, timeout)

    def answer(self, question: str, answer: str, by: str, seq: int = 0, *, source: str = "console", reason: str = "") -> str:
        """Offer an answer and wait; returns why it was refused, or nothing. Raises `ReceptionError` when nothing comes of it."""
        refused = self.outcome(self.offer(question, answer, by, seq, source=source, reason=reason), ANSWER_SECONDS)
        if refused is None:
            raise ReceptionError(f"the desk has not taken the answer within {ANSWER_SECONDS:.0f} s; it may still do so")
        return refused

    def labels(self, labels: dict[int, int], slices: dict[str, dict[int, str]], *, source: str = "console") -> None:
        """Hand in true labels that have come late; the story tells of those whose records had left the log."""
        self._post(JoinLabels(id=uuid4().hex, source=source, labels=labels, slices=slices))

    def undo(self, by: str, *, source: str = "console") -> str:
        """Ask for the pipeline before the live one; returns why that was refused, or nothing."""
        asked = UndoAsked(id=uuid4().hex, source=source, by=by)
        self._post(asked)
        refused = self.outcome(asked.id, ANSWER_SECONDS)
        if refused is None:
            raise ReceptionError(f"nothing has come of it within {ANSWER_SECONDS:.0f} s; `status` says what is live")
        return refused

    def rules(self) -> list[Rule]:
        """The policy in force. Raises `ReceptionError` before one is on record."""
        if not self.board.policy:
            raise ReceptionError("no policy is on record yet; the cluster is starting")
        return in_force(self.board.policy, msgspec.to_builtins(Policy()))

    def pause(self, by: str, reason: str = "", *, source: str = "console") -> str:
        """Hold remedies: nothing new is prepared, deployed or asked. Returns why not, or nothing."""
        if already := self.board.status().paused_by:
            return f"they are paused already, by {already}"
        return self._posted(Paused(id=uuid4().hex, source=source, by=by, reason=reason))

    def resume(self, by: str, *, source: str = "console") -> str:
        """Let remedies go on. Returns why not, or nothing."""
        return self._posted(Resumed(id=uuid4().hex, source=source, by=by)) if self.board.status().paused_by else "they are not paused"

    def _posted(self, message: Message) -> str:
        """Hand a message in and wait until it is on record; returns why it was refused, or nothing."""
        self._post(message)
        refused = self.outcome(message.id, ANSWER_SECONDS)
        if refused is None:
            raise ReceptionError(f"it has not been heard within {ANSWER_SECONDS:.0f} s; `status` says how things stand")
        return refused
