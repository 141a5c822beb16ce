"""A cluster as a console sees it: the real front desk, board and desk agent, with questions that the test asks."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np

from agents.doors.evidence import Evidence
from agents.board import Board
from agents.desk import Desk
from agents.front_desk import FrontDesk
from agents.messages import (
    AnswerOffered,
    AnswerRefused,
    AskChoice,
    AskLabels,
    CloseQuestion,
    DeployPipeline,
    IncidentOpened,
    LabelGiven,
    Message,
    PipelineLive,
    QuestionClosed,
    RemediesMeasured,
    Remedy,
    RemedyChosen,
    UndoAsked,
)
from agents.reception import Reception
from agents.roll import Seat
from agents.state import State
from agents.visitor import Visitor
from workflows.steps.window import Window

DIGITS = tuple("0123456789")


class Office:
    """Holds a state folder and answers consoles.

    `taken` lists (record, class index) as they came; `enough` labels settle a question; bob answers the records of `rival` just before
    anybody else does.
    """

    def __init__(self, folder: Path, images: dict[int, np.ndarray], enough: int | None = None, rival: dict[int, str] | None = None, name: str = "digits") -> None:
        self.name = name
        self.state, self.images, self.enough, self.rival = State(folder), images, enough, rival or {}
        self.taken: list[tuple[int, int | None]] = []
        self.undoable = True
        self.ahead = 0.0  # seconds that this office's clock is ahead
        self.closed: dict[str, str] = {}
        self.seats: list[Seat] = []
        self.messages: list[Message] = []
        self.board, self._desk, self._count, self._kept = Board(name), Desk(name), 0, False

    def __enter__(self):
        self.state.__enter__()
        inference = SimpleNamespace(images=self._images)
        ledger = SimpleNamespace(story=lambda name: [one for one in self.messages if one.incident == name], messages=lambda: list(self.messages))
        self.reception = Reception(self.board, ledger, inference, Evidence(self.state), self.post, seats=lambda: self.seats)
        self._front = FrontDesk(self.reception, self.state, "http://127.0.0.1:1")
        return self

    def __exit__(self, *details):
        self._front.close()
        self.state.__exit__(*details)

    def visitor(self) -> Visitor:
        return Visitor(self.state.front_door())

    def post(self, message: Message) -> None:
        """What the switchboard does: everybody hears it, and the desk's word on it."""
        queue = [message]
        if isinstance(message, AnswerOffered) and (quicker := self.rival.pop(message.seq, None)):
            queue.insert(0, msgspec.structs.replace(message, id="bob's", by="bob", answer=quicker))
        while queue:
            now = msgspec.structs.replace(queue.pop(0), time=time.time() + self.ahead)
            self.messages.append(now)
            self.board.listen(now)
            if isinstance(now, LabelGiven):
                self.taken.append((now.label.seq, now.label.label))
                if len(self.taken) == self.enough:
                    queue.append(CloseQuestion(id="enough", question=now.question, reason="settled"))
            if isinstance(now, QuestionClosed):
                self.closed[now.question] = now.outcome
            if isinstance(now, self._desk.handles):
                queue += self._desk.handle(now)
            if isinstance(now, UndoAsked):
                about = {"id": f"on-{now.id}", "cause": now.id, "source": "planner"}
                refusal = AnswerRefused(**about, question="undo", by=now.by, reason="there is no pipeline before the live one")
                queue.append(DeployPipeline(**about, pipeline="digits-old", reason="undone") if self.undoable else refusal)

    def say(self, kind: type[Message], source: str = "checker", incident: str | None = None, **fields) -> None:
        self._count += 1
        if incident is None:
            incident = "" if kind is PipelineLive else f"{self.name}-1"
        self.post(kind(id=f"m{self._count}", source=source, deployment=self.name, incident=incident, **fields))

    def live(self, pipeline: str = "") -> None:
        pipeline = pipeline or f"{self.name}-first"
        self.say(PipelineLive, pipeline=pipeline, previous="", reference="r", base=pipeline, gated=False, since=1, version="1", reason="started")

    def open_incident(self) -> None:
        self.say(IncidentOpened, pipeline=f"{self.name}-first", onset=900, alarm_at=960, log_evidence=14.2)

    def ask_labels(self, question: str = "", classes: tuple[str, ...] = DIGITS, purpose: str = "audit", **more) -> None:
        if not self._kept:
            empty = np.zeros((len(self.images), 1), np.float32)
            window = Window(np.array(list(self.images)), np.stack(list(self.images.values())), empty, empty, empty, np.zeros(len(empty), np.int64))
            Evidence(self.state).keep(f"{self.name}-1", "window", window)
            self._kept = True
        text = "These images are drawn at random from those that look different. Your labels measure how often the model is wrong on them."
        question = question or f"{self.name}-1/audit"
        self.say(AskLabels, question=question, items=tuple(self.images), purpose=purpose, text=text, classes=classes, deadline=600.0, **more)

    def ask_choice(self) -> None:
        kinds = (("nothing", 0.513), ("recalibrate", 0.781), ("filter", 0.965), ("fine_tune", 0.941))
        remedies = tuple(
            Remedy(name, f"{self.name}-1-{name}", value, (value - 0.08, value + 0.03), value - 0.513, (value - 0.6, value - 0.48), 3.0, 0.98, 0.001, 0.0004, 31.0, 12)
            for name, value in kinds
        )
        self.say(RemediesMeasured, remedies=remedies, base=f"{self.name}-first", after=1200, labels_used=12)
        verdicts = {"filter": "fits, utility +0.451, the highest", "fine_tune": "fits, utility +0.377", "recalibrate": "the labels do not speak for it: 0.6 to 1"}
        self.say(RemedyChosen, remedy="filter", pipeline=f"{self.name}-1-filter", reason="gains +0.452", verdicts=verdicts)
        text = "I would apply filter: it gains +0.452 on drifted data (interval +0.365 to +0.485). Approve, choose another, or decline?"
        self.say(AskChoice, question=f"{self.name}-1/approve", options=("approve", "fine_tune", "decline"), default="decline", text=text, deadline=600.0)

    def _images(self, seqs):
        known = [int(seq) for seq in seqs if int(seq) in self.images]
        return SimpleNamespace(seqs=np.array(known, np.int64), images=np.array([self.images[seq] for seq in known], np.uint8))


def environment(**changes: str) -> dict[str, str]:
    """For a console in a terminal of its own: nothing about colour or terminals is inherited."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLORTERM", "FORCE_COLOR", "SCANFLOW_STATE")}
    return {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONUTF8": "1", "PROMPT_TOOLKIT_NO_CPR": "1", **changes}
