"""Metrics to which things have happened."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.messages import (
    AgentFailed, AskLabels, EvidenceUpdated, HarmAssessed, IncidentClosed, IncidentOpened, Label, LabelGiven, PipelineLive, PolicySet,
    QuestionClosed, RecordsLost, RequestExpired, WindowAnalysed, WindowObserved,
)  # fmt: skip
from agents.outward.metrics import Metrics
from workflows.inference import Stats

STATS = Stats(log="l", started=0.0, first=1, last=90, first_image=1, requests=40, rejected=2, seconds=1.5, active="p", previous=None, version="1")


class Watched(Metrics):
    """Metrics of digits, at 100 s, that a test tells things."""

    def __init__(self):
        super().__init__("digits", clock=lambda: 100.0)
        self._count = 0

    def say(self, kind, incident="", deployment="digits", time=10.0, **fields):
        self._count += 1
        self.listen(kind(id=f"m{self._count}", deployment=deployment, incident=incident, time=time, **fields))
        return self

    def samples(self):
        """Values by name and labels."""
        text, _ = self.text()
        return {(one.name, *sorted(one.labels.items())): one.value for family in text_string_to_metric_families(text.decode()) for one in family.samples}

    def value(self, name, **labels):
        return self.samples().get((f"scanflow_{name}", *sorted({"deployment": "digits", **labels}.items())))


@pytest.fixture
def metrics():
    return Watched()


@pytest.fixture
def everything(metrics):
    """Metrics to which all that they tell of has happened."""
    metrics.say(PolicySet, policy={"detection": {"run_length": 1e6, "block": 1}}).say(EvidenceUpdated, cursor=50, log_evidence=2.5)
    metrics.say(PipelineLive, pipeline="p", previous="", reference="r", base="p", gated=False, since=1, version="1", reason="started", time=7.0)
    metrics.say(IncidentOpened, "digits-1", pipeline="p", onset=1, alarm_at=2, log_evidence=14.0).say(IncidentOpened, "digits-2", pipeline="p", onset=1, alarm_at=2, log_evidence=14.0)
    metrics.say(
        WindowAnalysed, "digits-1", window="w", last=9, records=5, mmd=0.1, mmd_p=0.01, ks=0.5, ks_p=0.01, clean_accuracy=0.9, estimated_accuracy=0.6,
        estimate_error=0.1, audit=(), teaching=(), predicted={}, classes=("a",),
    ).say(
        HarmAssessed, "digits-1", harmful=True, reason="r", accuracy=0.5, interval=(0.3, 0.8), clean_accuracy=0.9, estimated_accuracy=0.6, pipeline="p", window="w",
        last=9, classes=("a",), audit=(Label(1, 0, "ana"),), teaching=(),
    )  # fmt: skip
    metrics.say(AskLabels, "digits-1", question="q", items=(1, 2), purpose="teaching", text="?", classes=("a",), time=30.0)
    metrics.say(AskLabels, "digits-1", question="r", items=(1, 2), purpose="audit", text="?", classes=("a",), time=40.0)
    metrics.say(LabelGiven, "digits-1", question="r", label=Label(1, 0, "ana")).say(QuestionClosed, "digits-1", question="r", outcome="answered")
    metrics.say(IncidentClosed, "digits-1", outcome="undone", reason="r").say(RecordsLost, first=9, count=3)
    metrics.say(AgentFailed, agent="planner", message="Tick", reason="r").say(RequestExpired, request="PrepareRemedy")
    metrics.watch("digits", lambda: STATS)
    metrics.took("checker", WindowObserved(id="w", deployment="digits", first=1, last=2), 0.02)
    return metrics
