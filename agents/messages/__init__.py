"""Every message, one frozen typed struct each.

A message is a *fact* (past tense: `IncidentOpened`) or a *request* (imperative: `PrepareRemedy`). A request has a deadline in
seconds; its success and its failure come back as different facts whose `cause` is the request's id. Attribute names follow
CloudEvents 1.0 (id, source, type, time); `incident` is its subject.

*Transient* messages carry bulk or heartbeat and are not kept in the ledger: they can be had again from the inference service's
log. Whatever an agent concludes from them it says in a message that is kept.
"""

import hashlib
from typing import Any, Union

import msgspec

from agents.messages.core import (
    HEARTBEAT, Message, Request, RequestExpired, RequestFailed, Tick,
)
from agents.messages.incidents import (
    AdoptChange, AnalyseWindow, ChangeAdopted, DRIFT, DriftEnded, Finding, HarmAssessed, IncidentClosed, IncidentOpened, Label, Likeness,
    OUTCOMES, SURE, WindowAnalysed,
)
from agents.messages.live import (
    AgentFailed, DeployPipeline, LiveRecorded, MessageRefused, NoteMade, PipelineLive, PipelineShadowed, PolicySet, RecordLive, RemedyVerified,
    ShadowPipeline, UndoAsked,
)
from agents.messages.log import (
    EvidenceSaved, EvidenceUpdated, HandOverRecords, JoinLabels, LogBegun, ReadRecords, RecordsLabelled, RecordsLost, RecordsRead, WindowObserved,
)
from agents.messages.pause import (
    Paused, Resumed,
)
from agents.messages.questions import (
    ANSWERS, AnswerOffered, AnswerRefused, AskChoice, AskLabels, ChoiceMade, CloseQuestion, KeepTime, LabelAmended, LabelGiven, QuestionClosed,
    QuestionEscalated, QuestionReminded, SecondOpinion, TimeCame,
)
from agents.messages.remedies import (
    CompareRemedies, Draw, Elsewhere, PrepareRemedy, RemediesCompared, RemediesMeasured, Remedy, RemedyChosen, RemedyPrepared,
)
from agents.messages.strategy import (
    ActuatorFired, ActuatorHeld, AuditDrawn, AuditMeasured, DrawAudit, HoldEnded, LookAtRecords, RecordsLookedAt, RuleSwitched, RunWorkflow,
    SensorRead, WorkflowRan,
)

__all__ = [
    "ANSWERS",
    "DRIFT",
    "HEARTBEAT",
    "KINDS",
    "OUTCOMES",
    "SURE",
    "ActuatorFired",
    "ActuatorHeld",
    "AdoptChange",
    "AgentFailed",
    "AnalyseWindow",
    "AnswerOffered",
    "AnswerRefused",
    "AnyMessage",
    "AskChoice",
    "AskLabels",
    "AuditDrawn",
    "AuditMeasured",
    "ChangeAdopted",
    "ChoiceMade",
    "CloseQuestion",
    "CompareRemedies",
    "DeployPipeline",
    "Draw",
    "DrawAudit",
    "DriftEnded",
    "Elsewhere",
    "EvidenceSaved",
    "EvidenceUpdated",
    "Finding",
    "HandOverRecords",
    "HarmAssessed",
    "HoldEnded",
    "IncidentClosed",
    "IncidentOpened",
    "JoinLabels",
    "KeepTime",
    "Label",
    "LabelAmended",
    "LabelGiven",
    "Likeness",
    "LiveRecorded",
    "LogBegun",
    "LookAtRecords",
    "Message",
    "MessageRefused",
    "NoteMade",
    "Paused",
    "PipelineLive",
    "PipelineShadowed",
    "PolicySet",
    "PrepareRemedy",
    "QuestionClosed",
    "QuestionEscalated",
    "QuestionReminded",
    "ReadRecords",
    "RecordLive",
    "RecordsLabelled",
    "RecordsLookedAt",
    "RecordsLost",
    "RecordsRead",
    "RemediesCompared",
    "RemediesMeasured",
    "Remedy",
    "RemedyChosen",
    "RemedyPrepared",
    "RemedyVerified",
    "Request",
    "RequestExpired",
    "RequestFailed",
    "Resumed",
    "RuleSwitched",
    "RunWorkflow",
    "SecondOpinion",
    "SensorRead",
    "ShadowPipeline",
    "Tick",
    "TimeCame",
    "UndoAsked",
    "WindowAnalysed",
    "WindowObserved",
    "WorkflowRan",
    "decode",
    "derived_id",
    "encode",
]


def _all_types(root: type[Message]) -> list[type[Message]]:
    return [kind for child in root.__subclasses__() for kind in (child, *_all_types(child))]


KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in _all_types(Message)}
AnyMessage: Any = Union[tuple(KINDS.values())]  # noqa: UP007 - the types are known only now
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: Message) -> bytes:
    """As MessagePack."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes) -> Message:
    """The typed message again. Raises `msgspec.ValidationError` when it is none of ours."""
    return _decoder.decode(data)


def derived_id(source: str, cause: str, kind: str, key: str = "") -> str:
    """The same cause gives the same id, so that handling a message twice says nothing new."""
    return hashlib.blake2s(f"{source}|{cause}|{kind}|{key}".encode(), digest_size=8).hexdigest()
