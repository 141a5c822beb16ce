"""A console's end of the front desk. Apart from it, so that a console starts without what a cluster needs."""

from typing import Any

import msgspec
import numpy as np

from agents.board import QuestionView
from agents.pictures import Named
from agents.roll import Seat
from agents.rules import Rule
from agents.state import FrontDoor
from workflows.serving.wire import KeyPair, WireClient, WireError

PATIENCE = 15.0  # seconds; the front desk itself gives up waiting for an agent after 10


class Visitor:
    """A console's end of the front desk. Methods raise `WireError` or `StateError` with a sentence to show.

    `deployment` is the one that is spoken of; empty where it is all of them. What is about one then needs a name, where there are several.
    """

    def __init__(self, door: FrontDoor, deployment: str = "") -> None:
        self.deployment = deployment
        keys = KeyPair(door.public_key, door.secret_key)
        self.features: tuple[str, ...] = ()  # names of the columns, once rows of a table have been seen in place of images
        self._wire = WireClient(door.address, door.server_key, keys, timeout=PATIENCE)

    def _call(self, command: str, **payload: Any) -> Any:
        return self._wire.call(command, **payload, **({"deployment": self.deployment} if self.deployment else {}))

    def statuses(self) -> list[dict[str, Any]]:
        """The `status` of every deployment that is spoken of."""
        return [dict(one) for one in self._call("statuses")]

    def use(self, deployment: str) -> None:
        """Speak of one deployment from here on, or of all again ("")."""
        before, self.deployment = self.deployment, deployment
        try:
            self.statuses()
        except WireError:
            self.deployment = before
            raise

    def status(self) -> dict[str, Any]:
        """What `agents.board.Status` holds, as plain values."""
        return dict(self._call("status"))

    def questions(self) -> list[QuestionView]:
        """Open questions as `agents.board.QuestionView`."""
        return msgspec.convert(self._call("questions"), list[QuestionView], strict=False)

    def events(self, after: int) -> list[tuple[int, float, str]]:
        """What happened after event `after`: number, time (UTC seconds) and line of each."""
        return [(int(number), float(at), str(text)) for number, at, text in self._call("events", after=after)]

    def images(self, seqs: "list[int]", question: str = "") -> dict[int, np.ndarray[Any, np.dtype[Any]]]:
        """Images uint8 [h, w] or [h, w, 3], or rows float32 [features], by sequence number, as far as they are still kept; `question` tells whose."""
        found = self._call("images", seqs=np.array(seqs, np.int64), question=question)
        self.features = tuple(found["features"])
        return dict(zip(found["seqs"].tolist(), found["images"], strict=True))

    def neighbours(self, seq: int, question: str = "") -> list[Named]:
        """The clean images that the live pipeline finds nearest to a record, with their classes, nearest first; none where there are none."""
        found = self._call("neighbours", seq=seq, question=question)
        return [Named(str(name), image) for name, image in zip(found["names"], found["images"], strict=True)]

    def story(self, incident: str = "") -> list[str]:
        """The lines of an incident's story; by default of the newest one."""
        return [str(text) for text in self._call("story", incident=incident)]

    def answer(
        self, question: str, answer: str, by: str, seq: int = 0, *, amend: bool = False, channel: str = "", seconds: float | None = None,
    ) -> str:
        """Offer an answer, or amend the one before; returns why it was refused, or nothing.

        `channel` is how it came, by default from a console; `seconds` and `amend` are as `agents.reception.Reception.offer` has them.
        """
        more: dict[str, Any] = {"amend": True} if amend else {}
        more |= {name: value for name, value in (("channel", channel or None), ("seconds", seconds)) if value is not None}
        return str(self._call("answer", question=question, answer=answer, by=by, seq=seq, **more))

    def undo(self, by: str) -> str:
        """Ask for the pipeline before the live one; returns why that was refused, or nothing."""
        return str(self._call("undo", by=by))

    def rules(self) -> list[Rule]:
        """The policy in force."""
        return msgspec.convert(self._call("rules"), list[Rule])

    def seats(self) -> list[Seat]:
        """Every agent, with what it is at."""
        return msgspec.convert(self._call("seats"), list[Seat], strict=False)

    def pause(self, by: str, reason: str = "") -> str:
        """Hold remedies; returns why not, or nothing."""
        return str(self._call("pause", by=by, reason=reason))

    def resume(self, by: str) -> str:
        """Let remedies go on; returns why not, or nothing."""
        return str(self._call("resume", by=by))

    def labels(self, labels: dict[int, int], slices: dict[str, dict[int, str]]) -> None:
        """Hand in true labels that have come late, by record, and by attribute the slices that the records belong to."""
        pairs = {name: list(values.items()) for name, values in slices.items()}
        self._call("labels", labels=list(labels.items()), slices=pairs)

    def close(self) -> None:
        """Leave."""
        self._wire.close()
