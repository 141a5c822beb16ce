"""Where consoles knock: the board and the desk, over ZeroMQ with keys that stand in the state folder."""

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from agents.reception import Reception, ReceptionError
from agents.state import FrontDoor, State
from workflows.serving.wire import KeyPair, WireServer


V = TypeVar("V")

COMMANDS = (
    "status", "questions", "events", "images", "story", "answer", "undo", "labels", "neighbours", "rules", "seats", "pause", "resume",
)  # fmt: skip


class FrontDesk:
    """Answers consoles until `close`. Commands are the methods of `agents.visitor.Visitor`."""

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
                return reception.answer(
                    str(payload["question"]), str(payload["answer"]), str(payload["by"]), int(payload.get("seq", 0)),
                    source=str(payload.get("channel", "console")), amend=bool(payload.get("amend", False)), seconds=payload.get("seconds"),
                )
            case "neighbours":
                return self._neighbours(int(payload["seq"]))
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

    def _neighbours(self, seq: int) -> dict[str, Any]:
        found = self._reception.neighbours(seq)
        images = np.stack([one.image for one in found]) if found else np.zeros((0, 0, 0), np.uint8)
        return {"names": [one.name for one in found], "images": images}


def _by_record(pairs: Iterable[tuple[Any, Any]], kind: Callable[[Any], V]) -> dict[int, V]:
    return {int(seq): kind(value) for seq, value in pairs}
