"""Where consoles knock: the board and the desk, over ZeroMQ with keys that stand in the state folder."""

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
import numpy as np

from agents.board import QuestionView
from agents.reception import ANSWER_SECONDS, Reception, ReceptionError
from agents.roll import Seat
from agents.rules import Rule
from agents.state import FrontDoor, State
from workflows.serving.wire import KeyPair, WireClient, WireServer


V = TypeVar("V")

COMMANDS = (
    "status", "questions", "events", "images", "story", "answer", "undo", "labels", "rules", "seats", "pause", "resume",
)  # fmt: skip


class FrontDesk:
    """Answers consoles until `close`. Commands are the methods of `Visitor`."""

    def __init__(self, reception: Reception, state: State, url: str) -> None:
        self._reception = reception
        server, client = KeyPair.new(), KeyPair.new()
        self._wire = WireServer(self._handle, "tcp://127.0.0.1:*", server, {client.public}, errors=(ReceptionError,))
        state.publish(FrontDoor(self._wire.address, server.public, client.public, client.secret, os.getpid(), url))

    def close(self) -> None:
        """Let nobody in any more."""
        self._wire.close()

    def _handle(self, command: str, payload: dict[str, Any]) -> Any:
        reception, board = self._reception, self._reception.board
        match command:
            case "status":
                return board.status()
            case "questions":
                return board.questions()
            case "events":
                return board.events(int(payload["after"]))
            case "images":
                return self._images([int(seq) for seq in payload["seqs"]])
            case "story":
                return reception.story(str(payload.get("incident", "")))
            case "answer":
                return reception.answer(str(payload["question"]), str(payload["answer"]), str(payload["by"]), int(payload.get("seq", 0)))
            case "rules":
                return reception.rules()
            case "seats":
                return reception.seats()
            case "pause":
                return reception.pause(str(payload["by"]), str(payload.get("reason", "")))
            case "resume":
                return reception.resume(str(payload["by"]))
            case "undo":
                return reception.undo(str(payload["by"]))
            case "labels":
                slices = {str(name): _by_record(values, str) for name, values in payload["slices"].items()}
                return reception.labels(_by_record(payload["labels"], int), slices)
        raise ReceptionError(f"no command {command!r}; there are {', '.join(COMMANDS)}")

    def _images(self, seqs: list[int]) -> dict[str, Any]:
        found = self._reception.images(seqs)
        images = np.stack(list(found.values())) if found else np.zeros((0, 0, 0), np.uint8)
        return {"seqs": np.array(list(found), np.int64), "images": images, "features": list(self._reception.features)}


def _by_record(pairs: Iterable[tuple[Any, Any]], kind: Callable[[Any], V]) -> dict[int, V]:
    return {int(seq): kind(value) for seq, value in pairs}


class Visitor:
    """A console's end of the front desk. Methods raise `WireError` or `StateError` with a sentence to show."""

    def __init__(self, door: FrontDoor) -> None:
        keys = KeyPair(door.public_key, door.secret_key)
        self.features: tuple[str, ...] = ()  # names of the columns, once rows of a table have been seen in place of images
        self._wire = WireClient(door.address, door.server_key, keys, timeout=ANSWER_SECONDS + 5.0)

    def status(self) -> dict[str, Any]:
        """What `agents.board.Status` holds, as plain values."""
        return dict(self._wire.call("status"))

    def questions(self) -> list[QuestionView]:
        """Open questions as `agents.board.QuestionView`."""
        return msgspec.convert(self._wire.call("questions"), list[QuestionView], strict=False)

    def events(self, after: int) -> list[tuple[int, float, str]]:
        """What happened after event `after`: number, time (UTC seconds) and line of each."""
        return [(int(number), float(at), str(text)) for number, at, text in self._wire.call("events", after=after)]

    def images(self, seqs: "list[int]") -> dict[int, np.ndarray[Any, np.dtype[Any]]]:
        """Images uint8 [h, w] or [h, w, 3], or rows float32 [features], by sequence number, as far as they are still kept."""
        found = self._wire.call("images", seqs=np.array(seqs, np.int64))
        self.features = tuple(found["features"])
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

    def rules(self) -> list[Rule]:
        """The policy in force."""
        return msgspec.convert(self._wire.call("rules"), list[Rule])

    def seats(self) -> list[Seat]:
        """Every agent, with what it is at."""
        return msgspec.convert(self._wire.call("seats"), list[Seat], strict=False)

    def pause(self, by: str, reason: str = "") -> str:
        """Hold remedies; returns why not, or nothing."""
        return str(self._wire.call("pause", by=by, reason=reason))

    def resume(self, by: str) -> str:
        """Let remedies go on; returns why not, or nothing."""
        return str(self._wire.call("resume", by=by))

    def labels(self, labels: dict[int, int], slices: dict[str, dict[int, str]]) -> None:
        """Hand in true labels that have come late, by record, and by attribute the slices that the records belong to."""
        pairs = {name: list(values.items()) for name, values in slices.items()}
        self._wire.call("labels", labels=list(labels.items()), slices=pairs)

    def close(self) -> None:
        """Leave."""
        self._wire.close()
