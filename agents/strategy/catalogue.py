"""What sensors can read and look on, and what actuators there are: the words of a strategy, each with what it means."""

from collections.abc import Mapping

import msgspec

from agents.messages import (
    AuditMeasured, DriftEnded, HarmAssessed, IncidentClosed, IncidentOpened, Message, PipelineLive, RemediesMeasured, RemedyVerified, WorkflowRan,
)

OF_AGENTS: Mapping[str, str] = {
    "records": "number of the newest record that was weighed",
    "records_per_second": "since this sensor looked last",
    "log_evidence": "natural logarithm of the evidence of drift, as the checker has it",
    "open_incidents": "incidents that have not come to rest",
    "records_since_incident": "records weighed since the alarm of the newest incident, or all",
    "seconds_since_live": "since another pipeline went live, or since the agents have known of one",
    "records_since_live": "records weighed since then",
    "records_since_audit": "records weighed since the newest audit was measured, or all",
    "open_questions": "questions that wait for a person",
    "seconds_since_question": "for how long the oldest of them has waited; 0 where none does",
}
"""What the tracker knows of itself or has been told."""

OF_RECORDS: Mapping[str, str] = {
    "estimated_accuracy": "of the newest records, estimated without labels",
    "estimate_error": "how far that may be off",
    "confidence": "mean probability of the answers",
    "unlike": "share of the records that are further from all that is known than 99 in 100 clean ones",
    "routed": "share of the records that a gate takes",
}
"""What has to be computed from the newest records of the live pipeline, at each look."""

READINGS: Mapping[str, str] = {**OF_AGENTS, **OF_RECORDS}

_EVENTS: tuple[type[Message], ...] = (
    AuditMeasured, DriftEnded, HarmAssessed, IncidentClosed, IncidentOpened, PipelineLive, RemediesMeasured, RemedyVerified, WorkflowRan,
)
EVENTS: Mapping[str, type[Message]] = {kind.__name__: kind for kind in _EVENTS}
"""Messages on which a sensor can look."""

BY_RULE: Mapping[str, str] = {
    "open": "open an incident, as an alarm would",
    "audit": "ask a person for labels of a few records drawn at random",
    "undo": "bring back the pipeline before",
    "pause": "prepare no remedies: incidents are reported and closed",
    "resume": "prepare remedies again",
    "run": "run the workflow that the rule names",
    "notify": "put a note on record",
}
BUILT_IN: Mapping[str, str] = {
    "ask": "the first question of an incident",
    "prepare": "the remedies of an incident",
    "deploy": "whatever agents bring live, undoing included",
    "adopt": "making a change a known one",
}
ACTUATORS: Mapping[str, str] = {**BY_RULE, **BUILT_IN}


def fields(event: str) -> tuple[str, ...]:
    """The numbers that a message carries; true is 1, false is 0.

    >>> fields("RemedyVerified")
    ('helped', 'gain', 'log_evidence', 'labels_used')
    """
    common = set(Message.__struct_fields__)
    return tuple(field.name for field in msgspec.structs.fields(EVENTS[event]) if field.name not in common and field.type in (int, float, bool))
