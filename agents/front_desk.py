"""Where consoles knock: the board and the desk, over ZeroMQ with keys that stand in the state folder."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from agents.reception import Reception, ReceptionError
from agents.receptions import Receptions
from agents.state import FrontDoor, State
from workflows.serving.wire import KeyPair, WireServer


V = TypeVar("V")

COMMANDS = (
    "status", "statuses", "questions", "events", "images", "story", "answer", "undo", "labels", "neighbours", "rules", "seats", "pause", "resume",
)  # fmt: skip


class FrontDesk:
    """Answers consoles until `close`. Commands are the methods of `agents.visitor.Visitor`."""

    def __init__(self, receptions: Reception | Sequence[Reception], state: State, url: str) -> None:
        self._receptions = Receptions([receptions] if isinstance(receptions, Reception) else receptions)
        server, client = KeyPair.new(), KeyPair.new()
        self._wire = WireServer(self._handle, "tcp://127.0.0.1:*", server, {client.public}, errors=(ReceptionError,))
        state.publish(FrontDoor(self._wire.address, server.public, client.public, client.secret, os.getpid(), url))

    def close(self) -> None:
        """Let nobody in any more."""
        self._wire.close()

    def _handle(self, command: str, payload: dict[str, Any]) -> Any:
        """Carry out a command, at the deployment that it names or whose question or incident it is about."""
        all_of_them, name = self._receptions, str(payload.get("deployment", ""))
        match command:
            case "statuses":
                return all_of_them.statuses(name)
            case "questions":
                return all_of_them.questions(name)
            case "events":
                return all_of_them.events(int(payload["after"]), name)
            case "story":
                incident = str(payload.get("incident", ""))
                return all_of_them.telling(incident, name).story(incident)
            case "answer":
                question = str(payload["question"])
                return all_of_them.asking(question, name).answer(
                    question, str(payload["answer"]), str(payload["by"]), int(payload.get("seq", 0)),
                    source=str(payload.get("channel", "console")), amend=bool(payload.get("amend", False)), seconds=payload.get("seconds"),
                )
            case "images":
                return _images(all_of_them.asking(str(payload.get("question", "")), name), [int(seq) for seq in payload["seqs"]])
            case "neighbours":
                return _neighbours(all_of_them.asking(str(payload.get("question", "")), name), int(payload["seq"]))
        if command not in COMMANDS:
            raise ReceptionError(f"no command {command!r}; there are {', '.join(COMMANDS)}")
        return _of_one(all_of_them.one(name), command, payload)


def _of_one(reception: Reception, command: str, payload: dict[str, Any]) -> Any:
    """Carry out a command that is about one deployment."""
    match command:
        case "status":
            return reception.board.status()
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
    raise AssertionError(command)


def _images(reception: Reception, seqs: list[int]) -> dict[str, Any]:
    found = reception.images(seqs)
    images = np.stack(list(found.values())) if found else np.zeros((0, 0, 0), np.uint8)
    return {"seqs": np.array(list(found), np.int64), "images": images, "features": list(reception.features)}


def _neighbours(reception: Reception, seq: int) -> dict[str, Any]:
    found = reception.neighbours(seq)
    images = np.stack([one.image for one in found]) if found else np.zeros((0, 0, 0), np.uint8)
    return {"names": [one.name for one in found], "images": images}


def _by_record(pairs: Iterable[tuple[Any, Any]], kind: Callable[[Any], V]) -> dict[int, V]:
    return {int(seq): kind(value) for seq, value in pairs}
