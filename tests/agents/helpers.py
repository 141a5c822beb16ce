"""Messages that several tests need, a monitor that is understood at a glance, and a person who knows the labels."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from agents.improver import NOTHING
from agents.messages import (
    AnswerOffered,
    AskChoice,
    AskLabels,
    ChoiceMade,
    Draw,
    HarmAssessed,
    IncidentClosed,
    Label,
    LabelAmended,
    LabelGiven,
    Message,
    PipelineLive,
    QuestionClosed,
    RecordsRead,
    RemediesCompared,
    RemediesMeasured,
    Remedy,
    RemedyPrepared,
    Request,
    RequestExpired,
    RequestFailed,
    WindowAnalysed,
    WindowObserved,
)
from models.detectors.monitor import Reading

DEPLOYMENT = "digits"
INCIDENT = "digits-1"
CLASSES = ("zero", "one", "two")
NEEDED = 5  # drifted records after which the fake monitor alarms


class FakeMonitor:
    """Alarms at the fifth record whose latent is above zero; `weighed` tells every record that it was shown."""

    def __init__(self, reference: str = "") -> None:
        self.reference = reference
        self.weighed: list[float] = []

    def update(self, _early: Any, latent: Any) -> Reading:
        self.weighed += [float(value) for value in latent[:, 0]]
        drifted = [index for index, value in enumerate(self.weighed) if value > 0]
        alarm = len(drifted) >= NEEDED
        return Reading(alarm, drifted[NEEDED - 1] if alarm else None, drifted[0] if alarm else None, float(len(drifted)))

    def state(self) -> bytes:
        return msgspec.msgpack.encode(self.weighed)

    def restore(self, state: bytes) -> None:
        self.weighed = msgspec.msgpack.decode(state, type=list[float])


def records(first: int, last: int, *, pipeline: str = "first", log: str = "log", **more: Any) -> RecordsRead:
    """The word that records `first`..`last` are there."""
    more.setdefault("id", f"RecordsRead-{first}-{last}")
    return RecordsRead(log=log, first=first, last=last, pipeline=pipeline, source="log", **more)


def window(first: int, last: int, *, drifted: bool = False, pipeline: str = "first", log: str = "log", routed: ArrayLike = False, **more: Any) -> WindowObserved:
    """Records `first`..`last` as they are handed to the checker, all clean (latent 0) or all drifted (latent 1); of `every` so many one."""
    count = (last - first + 1) // more.get("every", 1)
    latent = np.full((count, 1), float(drifted), np.float32).tobytes()
    flags = np.broadcast_to(np.asarray(routed, np.uint8), count).tobytes()
    more.setdefault("id", f"WindowObserved-{first}-{last}")
    return WindowObserved(
        log=log, first=first, last=last, pipeline=pipeline, early=latent, latent=latent, routed=flags, widths=(1, 1), source="log", **more
    )


def live(pipeline: str = "first", *, base: str = "first", previous: str = "", gated: bool = False, since: int = 1, **more: Any) -> PipelineLive:
    more.setdefault("id", f"live-{pipeline}")
    return PipelineLive(
        pipeline=pipeline, previous=previous, reference=f"{pipeline}.npz", base=base, gated=gated, since=since, version="1", reason="test", **more
    )


def analysed(cause: Message, *, predicted: int = 0, audit: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8), teaching: tuple[int, ...] = (11, 12), estimated: float = 0.99, **more: Any) -> WindowAnalysed:
    """The model said class `predicted` for every image that is asked about."""
    return WindowAnalysed(
        id=f"analysed-{cause.id}", source="analysis", incident=cause.incident, cause=cause.id, to="checker", window="window.npz", last=40, records=30,
        mmd=0.1, mmd_p=0.01, ks=0.5, ks_p=0.01, clean_accuracy=0.99, estimated_accuracy=estimated, estimate_error=0.02, audit=audit, teaching=teaching,
        predicted=dict.fromkeys((*audit, *teaching), predicted), classes=CLASSES, **more,
    )


def given(question: str, seq: int, label: int | None, incident: str = INCIDENT) -> LabelGiven:
    """The desk's word on one accepted label."""
    return LabelGiven(id=f"label-{question}-{seq}", source="desk", incident=incident, question=question, label=Label(seq, label, "ann"))


def amended(question: str, seq: int, label: int | None, before: int | None, incident: str = INCIDENT) -> LabelAmended:
    """The desk's word that the person has put a label right."""
    return LabelAmended(
        id=f"amended-{question}-{seq}-{label}", source="desk", incident=incident, question=question, label=Label(seq, label, "ann"),
        before=Label(seq, before, "ann"),
    )


def closed(question: str, outcome: str = "answered", incident: str = INCIDENT) -> QuestionClosed:
    """The desk's word that a question takes no more answers."""
    return QuestionClosed(id=f"closed-{question}-{outcome}", source="desk", incident=incident, question=question, outcome=outcome, by="ann")


def chosen(question: str, option: str, incident: str = INCIDENT) -> ChoiceMade:
    return ChoiceMade(id=f"choice-{question}", source="desk", incident=incident, question=question, option=option, by="ann")


def harm(*, incident: str = INCIDENT, pipeline: str = "first", last: int = 40) -> HarmAssessed:
    return HarmAssessed(
        id=f"harm-{incident}", source="checker", incident=incident, harmful=True, reason="it hurts", accuracy=0.3, interval=(0.1, 0.6), clean_accuracy=0.99,
        estimated_accuracy=0.4, pipeline=pipeline, window="window.npz", last=last, classes=CLASSES, audit=(Label(1, 0),), teaching=(Label(11, 0),),
    )


def prepared(request: Any, *, clean_loss: float = 0.0) -> RemedyPrepared:
    return RemedyPrepared(
        id=f"prepared-{request.id}", source="workshop", incident=request.incident, cause=request.id, to="improver", remedy=request.remedy,
        pipeline=request.pipeline, accuracy_clean=0.99, clean_loss=clean_loss, latency_added=0.001, seconds=2.0, version="2",
    )


def compared(request: Any, *, count: int = 8, first: int = 101, share: float = 0.5) -> RemediesCompared:
    """All candidates say 1 on the drawn records, the baseline says 0."""
    said = dict.fromkeys(request.candidates, 1) | {request.baseline: 0}
    draws = tuple(Draw(first + place, (place,), share, "model differs", said) for place in range(count))
    return RemediesCompared(
        id=f"compared-{request.id}", source="analysis", incident=request.incident, cause=request.id, to=request.source, records=400,
        share={"model differs": share}, draws=draws, confidence={}, seconds_per_image=dict.fromkeys(said, 0.001), classes=CLASSES,
    )


def remedy(name: str, pipeline: str = "", *, gain: tuple[float, float] = (0.1, 0.3), point: float = 0.2, evidence: float = 2.0, clean_loss: float = 0.0, latency: float = 0.001, imitated: tuple[float, float] | None = None) -> Remedy:
    """What the improver measured; by default the labels speak clearly for it (`evidence`, a logarithm) and it costs nothing."""
    return Remedy(
        name=name, pipeline=pipeline or f"{INCIDENT}-{name}", accuracy_drift=0.8, interval=(0.7, 0.9), gain=point, gain_interval=gain, log_evidence=evidence, accuracy_clean=0.99,
        clean_loss=clean_loss, latency_added=latency, seconds=5.0, labels=20, imitated=imitated,
    )


def measured(*remedies: Remedy, base: str = "first", incident: str = INCIDENT, failed: dict[str, str] | None = None, left: int = 0) -> RemediesMeasured:
    nothing = remedy(NOTHING, base, gain=(0.0, 0.0), point=0.0)
    return RemediesMeasured(
        id=f"measured-{incident}", source="improver", incident=incident, remedies=(nothing, *remedies), base=base, after=40, labels_used=6,
        labels_left=left, failed=failed or {},
    )


def failed(request: Message, reason: str = "no room on the disk") -> RequestFailed:
    return RequestFailed(
        id=f"failed-{request.id}", source="switchboard", incident=request.incident, cause=request.id, to=request.source, request=type(request).__name__, reason=reason
    )


def expired(request: Message) -> RequestExpired:
    return RequestExpired(id=f"expired-{request.id}", source="switchboard", incident=request.incident, cause=request.id, request=type(request).__name__)


def incident_closed(outcome: str = "verified", *, incident: str = INCIDENT, source: str = "planner") -> IncidentClosed:
    return IncidentClosed(id=f"closed-{incident}-{source}", source=source, incident=incident, outcome=outcome, reason="test")


def offer(question: str, answer: str, seq: int = 0, by: str = "ann", number: int = 0, **more: Any) -> AnswerOffered:
    return AnswerOffered(id=f"offer-{question}-{seq}-{by}-{answer}-{number}", source="console", question=question, answer=answer, by=by, seq=seq, **more)


def ask_labels(question: str = "q", items: tuple[int, ...] = (1, 2), *, incident: str = INCIDENT, deadline: float = 60.0, **more: Any) -> AskLabels:
    return AskLabels(
        id=f"ask-{question}", source="checker", incident=incident, question=question, items=items, purpose="audit", text="What is it?", classes=CLASSES,
        deadline=deadline, **more,
    )


def ask_choice(question: str = "q", *, default: str = "decline", incident: str = INCIDENT) -> AskChoice:
    return AskChoice(id=f"ask-{question}", source="planner", incident=incident, question=question, options=("approve", "decline"), default=default, text="Shall I?")


def kinds(messages: "list[Message]") -> list[str]:
    """Type names, to compare what was said at a glance."""
    return [type(message).__name__ for message in messages]


def requests(messages: "list[Message]") -> list[Request]:
    return [message for message in messages if isinstance(message, Request)]
