"""What people may see and say, whichever door they come in by: the console's (ZeroMQ) and the web page's (HTTP) both ask here."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.board import Board
from agents.doors.evidence import Evidence
from agents.doors.gallery import NEIGHBOURS, Gallery, Neighbour
from agents.ledger import Ledger
from agents.messages import AnswerOffered, JoinLabels, Message, Paused, Resumed, UndoAsked
from agents.policy import Policy
from agents.pulse import Pulse
from agents.roll import Seat
from agents.rules import Rule, in_force
from agents.story import tell
from workflows.inference import Inference, Records

ANSWER_SECONDS = 10.0

Images = dict[int, NDArray[Any]]


class ReceptionError(Exception):
    """Somebody asked for something that cannot be done; the text says what can."""


@dataclass(frozen=True, eq=False)
class Filtered:
    """What a filter makes of an image: the filter of `pipeline`, which is live or was made by `remedy`."""

    pipeline: str
    remedy: str
    live: bool
    image: NDArray[Any]


class Reception:
    """One deployment's board, ledger, images and letter box. Safe to use from several threads.

    `post` hands a message to the switchboard; `features` names the columns, where rows of a table are answered in place of images;
    `gallery` has clean images, where there are any to show; `seats` tells what each agent is at, `pulse` who has told whom.
    """

    def __init__(
        self, board: Board, ledger: Ledger, inference: Inference, evidence: Evidence, post: Callable[[Message], None],
        features: tuple[str, ...] = (), gallery: Gallery | None = None, seats: Callable[[], list[Seat]] = list,
        pulse: Pulse | None = None,
    ) -> None:
        self.board, self.features, self.gallery, self.seats, self.pulse = board, features, gallery, seats, pulse
        self.deployment = board.deployment
        self._ledger, self._inference, self._evidence, self._post = ledger, inference, evidence, post

    def messages(self, incident: str = "") -> list[Message]:
        """All messages of an incident, by default of the newest one, in order. Raises `ReceptionError` when it is not known."""
        known = [view.incident for view in self.board.status().incidents]
        name = incident or (known[-1] if known else "")
        messages = self._ledger.story(name) if name else []
        if not messages and name:
            raise ReceptionError(f"no incident {incident!r}; known: {', '.join(known) or 'none'}")
        return messages

    def since(self, time: float) -> list[Message]:
        """All messages from a time on (UTC seconds), whatever they are about."""
        return [message for message in self._ledger.messages() if message.time >= time]

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

    def knows(self, name: str) -> bool:
        """Whether there is a story of that name: of an incident, or of an audit without one."""
        return self.board.incident(name) is not None or bool(self._ledger.story(name))

    def kept(self, incident: str, seqs: Sequence[int]) -> Images:
        """Those of the images that the evidence of an incident holds."""
        return self._evidence.images(incident, list(seqs))

    def recent(self, count: int) -> Records:
        """The newest records, at most `count`, without their images. Raises `workflows.inference.InferenceError`."""
        return self._inference.records(max(0, self._inference.stats().last - count), count)

    def neighbours(self, seq: int, count: int = NEIGHBOURS, *, image: NDArray[Any] | None = None) -> tuple[Neighbour, ...]:
        """The clean images that the live pipeline finds nearest to a record, with their classes, nearest first.

        None where the record's image is not kept any more, or where there are no clean images (tables). `image`: the record's, for who has
        it at hand. Of the record itself nothing but its image is used, so no true label of it can show.
        """
        image = self.images([seq]).get(seq) if image is None else image
        return () if self.gallery is None or image is None else self.gallery.neighbours(self.board.live(), image, count)

    def filtered(self, seq: int, incident: str = "", *, image: NDArray[Any] | None = None) -> tuple[Filtered, ...]:
        """What filters make of a record: the live one, and those that were prepared for an incident (by default the record's or the newest)."""
        image = self.images([seq]).get(seq) if image is None else image
        if self.gallery is None or image is None:
            return ()
        about = incident or next((view.incident for view in self.board.questions() if seq in view.items), self.board.newest_incident())
        live = self.board.live()
        names = {live: ""} | {name: remedy for name, remedy in self.board.prepared(about).items() if name != live}
        made = ((name, remedy, self.gallery.filtered(name, image)) for name, remedy in names.items() if name)
        return tuple(Filtered(name, remedy, name == live, one) for name, remedy, one in made if one is not None)

    def offer(
        self, question: str, answer: str, by: str, seq: int = 0, *, source: str = "console", reason: str = "", amend: bool = False,
        seconds: float | None = None,
    ) -> str:
        """Hand an answer to the desk without waiting; returns the id under which `outcome` tells what came of it.

        `source` is the channel it came by. `amend`: in place of what the same person has said before. `seconds` that the answer took; 0 where
        nobody can know; None lets the desk measure from the same person's answer before.
        """
        offered = AnswerOffered(
            id=uuid4().hex, source=source, deployment=self.deployment, question=question, seq=seq, answer=answer, by=by, reason=reason,
            amend=amend, seconds=seconds,
            time=time.time(),
        )
        self._post(offered)
        return offered.id

    def outcome(self, offered: str, timeout: float = 0.0) -> str | None:
        """Why an answer was refused, "" if it was taken, None while nobody has dealt with it."""
        return self.board.outcome_of(offered, timeout)

    def answer(
        self, question: str, answer: str, by: str, seq: int = 0, *, source: str = "console", reason: str = "", amend: bool = False,
        seconds: float | None = None,
    ) -> str:
        """Offer an answer and wait; returns why it was refused, or nothing. Raises `ReceptionError` when nothing comes of it."""
        offered = self.offer(question, answer, by, seq, source=source, reason=reason, amend=amend, seconds=seconds)
        refused = self.outcome(offered, ANSWER_SECONDS)
        if refused is None:
            raise ReceptionError(f"the desk has not taken the answer within {ANSWER_SECONDS:.0f} s; it may still do so")
        return refused

    def labels(self, labels: dict[int, int], slices: dict[str, dict[int, str]], *, source: str = "console") -> None:
        """Hand in true labels that have come late; the story tells of those whose records had left the log."""
        self._post(JoinLabels(id=uuid4().hex, source=source, deployment=self.deployment, labels=labels, slices=slices))

    def undo(self, by: str, *, source: str = "console") -> str:
        """Ask for the pipeline before the live one; returns why that was refused, or nothing."""
        asked = UndoAsked(id=uuid4().hex, source=source, deployment=self.deployment, by=by)
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
        return self._posted(Paused(id=uuid4().hex, source=source, deployment=self.deployment, by=by, reason=reason))

    def resume(self, by: str, *, source: str = "console") -> str:
        """Let remedies go on. Returns why not, or nothing."""
        if not self.board.status().paused_by:
            return "they are not paused"
        return self._posted(Resumed(id=uuid4().hex, source=source, deployment=self.deployment, by=by))

    def _posted(self, message: Message) -> str:
        """Hand a message in and wait until it is on record; returns why it was refused, or nothing."""
        self._post(message)
        refused = self.outcome(message.id, ANSWER_SECONDS)
        if refused is None:
            raise ReceptionError(f"it has not been heard within {ANSWER_SECONDS:.0f} s; `status` says how things stand")
        return refused
