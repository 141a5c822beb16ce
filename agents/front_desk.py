"""Where consoles knock: the board and the desk, over ZeroMQ with keys that stand in the state folder."""

import os
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np

from agents.board import Board, QuestionView
from agents.doors.evidence import Evidence
from agents.ledger import Ledger
from agents.messages import AnswerOffered, Message, UndoAsked
from agents.state import FrontDoor, State
from agents.story import tell
from workflows.inference import Inference
from workflows.serving.wire import KeyPair, WireClient, WireServer

ANSWER_SECONDS = 10.0


class FrontDeskError(Exception):
    """A console asked for something that cannot be done; the text says what can."""


class FrontDesk:
    """Answers consoles until `close`. Commands are the methods of `Visitor`."""

    def __init__(
        self, board: Board, ledger: Ledger, inference: Inference, evidence: Evidence, post: Callable[[Message], None], state: State, url: str
    ) -> None:
        self._board, self._ledger, self._inference, self._evidence, self._post = board, ledger, inference, evidence, post
        server, client = KeyPair.new(), KeyPair.new()
        self._wire = WireServer(self._handle, "tcp://127.0.0.1:*", server, {client.public}, errors=(FrontDeskError,))
        state.publish(FrontDoor(self._wire.address, server.public, client.public, client.secret, os.getpid(), url))

    def close(self) -> None:
        """Let nobody in any more."""
        self._wire.close()

    def _handle(self, command: str, payload: dict[str, Any]) -> Any:
        match command:
            case "status":
                return self._board.status()
            case "questions":
                return self._board.questions()
            case "events":
                return self._board.events(int(payload["after"]))
            case "images":
                return self._images([int(seq) for seq in payload["seqs"]])
            case "story":
                return self._story(str(payload.get("incident", "")))
            case "answer":
                return self._answer(payload)
            case "undo":
                return self._undo(str(payload["by"]))
        raise FrontDeskError(f"no command {command!r}; there are status, questions, events, images, story, answer, undo")

    def _story(self, incident: str) -> list[str]:
        known = [view.incident for view in self._board.status().incidents]
        name = incident or (known[-1] if known else "")
        if not name:
            return ["no incident yet"]
        messages = self._ledger.story(name)
        if not messages:
            raise FrontDeskError(f"no incident {incident!r}; known: {', '.join(known) or 'none'}")
        return tell(messages)

    def _images(self, seqs: list[int]) -> dict[str, Any]:
        """What an open question asks about is on disk, and only there: a log begun anew may give its number to another image."""
        found: dict[int, Any] = {}
        asked_about: set[int] = set()
        for view in self._board.questions():
            asked = [seq for seq in seqs if seq in view.items and seq not in found]
            found |= self._evidence.images(view.incident, asked) if asked else {}
            asked_about |= set(asked)
        if missing := [seq for seq in seqs if seq not in asked_about]:
            ring = self._inference.images(np.array(missing, np.int64))
            found |= dict(zip(ring.seqs.tolist(), ring.images, strict=True))
        kept = [seq for seq in seqs if seq in found]
        images = np.stack([found[seq] for seq in kept]) if kept else np.zeros((0, 0, 0), np.uint8)
        return {"seqs": np.array(kept, np.int64), "images": images}

    def _undo(self, by: str) -> str:
        asked = UndoAsked(id=uuid4().hex, source="console", by=by)
        self._post(asked)
        refused = self._board.outcome_of(asked.id, ANSWER_SECONDS)
        if refused is None:
            raise FrontDeskError(f"nothing has come of it within {ANSWER_SECONDS:.0f} s; `status` says what is live")
        return refused

    def _answer(self, payload: dict[str, Any]) -> str:
        offered = AnswerOffered(
            id=uuid4().hex, source="console", question=str(payload["question"]), seq=int(payload.get("seq", 0)), answer=str(payload["answer"]),
            by=str(payload["by"]), time=time.time(),
        )
        self._post(offered)
        refused = self._board.outcome_of(offered.id, ANSWER_SECONDS)
        if refused is None:
            raise FrontDeskError(f"the desk has not taken the answer within {ANSWER_SECONDS:.0f} s; it may still do so")
        return refused


class Visitor:
    """A console's end of the front desk. Methods raise `WireError` or `StateError` with a sentence to show."""

    def __init__(self, door: FrontDoor) -> None:
        keys = KeyPair(door.public_key, door.secret_key)
        self._wire = WireClient(door.address, door.server_key, keys, timeout=ANSWER_SECONDS + 5.0)

    def status(self) -> dict[str, Any]:
        """What `agents.board.Status` holds, as plain values."""
        return dict(self._wire.call("status"))

    def questions(self) -> list[QuestionView]:
        """Open questions as `agents.board.QuestionView`."""
        return msgspec.convert(self._wire.call("questions"), list[QuestionView], strict=False)

    def events(self, after: int) -> list[tuple[int, str]]:
        """Numbered lines of what happened after event `after`."""
        return [(int(number), str(text)) for number, text in self._wire.call("events", after=after)]

    def images(self, seqs: "list[int]") -> dict[int, np.ndarray[Any, np.dtype[np.uint8]]]:
        """Images uint8 [h, w] or [h, w, 3] by sequence number, as far as they are still kept."""
        found = self._wire.call("images", seqs=np.array(seqs, np.int64))
        return dict(zip(found["seqs"].tolist(), found["images"], strict=True))

    def story(self, incident: str = "") -> list[str]:
        """The lines of an incident's story; by default of the newest one."""
        return [str(text) for text in self._wire.call("story", incident=incident)]

    def answer(self, question: str, answer: str, by: str, seq: int = 0) -> str:
        """Offer an answer; returns why it was refused, or nothing."""
        return str(self._wire.call("answer", question=question, answer=answer, by=by, seq=seq))

    def undo(self, by: str) -> str:
        """Ask for the pipeline before the live one; returns why that was refused, or nothing."""
        return str(self._wire.call("undo", by=by))

    def close(self) -> None:
        """Leave."""
        self._wire.close()
