"""Prometheus metrics, as a fold over all messages, in a registry of their own. The Prometheus client is imported here only."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from agents.board import alarm_line
from agents.messages import (
    AgentFailed, AskChoice, AskLabels, EvidenceSaved, EvidenceUpdated, HarmAssessed, IncidentClosed, IncidentOpened, LabelGiven, LogBegun, Message,
    PipelineLive, PolicySet, QuestionClosed, RecordsLost, RequestExpired, RequestFailed, WindowAnalysed, WindowObserved,
)
from workflows.inference import Stats

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
log = structlog.get_logger(__name__)


class Deployed:
    """What is known of one deployment. Counters grow from the ledger's first message on, transient ones from the start of this process."""

    def __init__(self) -> None:
        self.before, self.cursor, self.lost = 0, 0, 0  # `before`: records of logs that have ended
        self.evidence, self.line = 0.0, 0.0
        self.accuracy: dict[str, float] = {}
        self.live: PipelineLive | None = None
        self.opened: Counter[str] = Counter()
        self.closed: Counter[tuple[str, str]] = Counter()
        self.unsettled: dict[str, str] = {}  # incident -> kind
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.questions: dict[str, tuple[str, float]] = {}  # open ones -> purpose, UTC seconds
        self.purposes: dict[str, str] = {}
        self.labels: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()

    def fold(self, message: Message) -> None:  # noqa: C901 - one case a type, nothing else
        """Take a message in."""
        self.messages[type(message).__name__] += 1
        match message:
            case EvidenceUpdated() | EvidenceSaved():
                self.cursor, self.evidence = max(self.cursor, message.cursor), message.log_evidence
            case LogBegun():
                self.before, self.cursor = self.before + self.cursor, 0
            case RecordsLost():
                self.lost += message.count
            case PolicySet():
                self.line = alarm_line(message.policy)
            case WindowAnalysed():
                self.accuracy = {  # what was measured was measured in the incident before
                    "clean": message.clean_accuracy, "estimated": message.estimated_accuracy, "estimate_error": message.estimate_error,
                }  # fmt: skip
            case HarmAssessed() if message.audit:
                self.accuracy |= {"audited": message.accuracy, "audited_low": message.interval[0], "audited_high": message.interval[1]}
            case PipelineLive():
                self.live = message
            case IncidentOpened():
                self.opened[message.kind] += 1
                self.unsettled[message.incident] = message.kind
            case IncidentClosed():
                self.closed[self.unsettled.pop(message.incident, "drift"), message.outcome] += 1
            case AskLabels() | AskChoice():
                purpose = message.purpose if isinstance(message, AskLabels) else "decision"
                self.asked[purpose] += 1
                self.questions[message.question], self.purposes[message.question] = (purpose, message.time), purpose
            case LabelGiven():
                self.labels[self.purposes.get(message.question, "audit")] += 1
            case QuestionClosed():
                self.questions.pop(message.question, None)
                self.answered[message.outcome] += 1
            case AgentFailed():
                self.failures[message.agent] += 1
            case RequestFailed() | RequestExpired():
                self.requests[message.request, "failed" if isinstance(message, RequestFailed) else "expired"] += 1
            case _:
                pass


class Metrics(Collector):
    """Listens to a switchboard; safe to read from other threads.

    Parameters
    ----------
    deployment : whose the messages are that name none.
    clock : UTC seconds, for the ages of open questions.

    Examples
    --------
    >>> metrics = Metrics("digits", clock=lambda: 100.0)
    >>> metrics.listen(IncidentOpened(id="a", deployment="digits", incident="digits-1", pipeline="p", onset=1, alarm_at=2, log_evidence=14.0))
    >>> [row for row in metrics.text()[0].decode().splitlines() if row.startswith("scanflow_incidents_open")]
    ['scanflow_incidents_opened_total{deployment="digits",kind="drift"} 1.0', 'scanflow_incidents_open{deployment="digits",kind="drift"} 1.0']
    """

    def __init__(self, deployment: str, *, clock: Callable[[], float]) -> None:
        self._first, self._clock = deployment, clock
        self._lock = threading.Lock()
        self._known: defaultdict[str, Deployed] = defaultdict(Deployed)
        self._known[deployment]  # told of from the start, with nothing in it yet; others when they are watched
        self._services: dict[str, Callable[[], Stats]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._handled: Counter[str] = Counter()
        self._registry = CollectorRegistry(auto_describe=False)
        self._checks = Histogram(
            "scanflow_drift_check_seconds", "Time in which the checker weighs a window of records, the way to it and back included.", ("deployment",),
            buckets=BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._registry.register(self)

    def listen(self, message: Message, *, deployment: str = "") -> None:
        """To be told every message; `deployment` is whose it is where it names none itself."""
        with self._lock:
            self._known[message.deployment or deployment or self._first].fold(message)

    def took(self, agent: str, message: Message, seconds: float, *, deployment: str = "") -> None:
        """To be told how long an agent took to handle a message."""
        with self._lock:
            self._seconds[agent] += seconds
            self._handled[agent] += 1
        if isinstance(message, WindowObserved):
            self._checks.labels(message.deployment or deployment or self._first).observe(seconds)

    def watch(self, deployment: str, stats: Callable[[], Stats]) -> None:
        """Tell of an inference service, too; `stats` is asked at each look."""
        self._services[deployment] = stats
        with self._lock:
            self._known[deployment]  # told of from here on, with nothing in it yet

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Everything as Prometheus reads it, and its content type; `accept` is the header of who asks."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each look."""
        with self._lock:
            found = list(self._of_deployments()) + list(self._of_agents())
        yield from found
        yield from self._of_services()

    def _of_deployments(self) -> Iterator[Metric]:
        known = list(self._known.items())

        def counter(name: str, words: str, label: str, counts: Callable[[Deployed], Iterable[tuple[Any, float]]]) -> Metric:
            names = label.split()
            family = CounterMetricFamily(f"scanflow_{name}", words, labels=["deployment", *names])
            for deployment, one in known:
                for key, count in counts(one):
                    family.add_metric([deployment, *(key if isinstance(key, tuple) else [key] if names else [])], count)
            return family

        def gauge(name: str, words: str, value: Callable[[Deployed], float | None]) -> Metric:
            family = GaugeMetricFamily(f"scanflow_{name}", words, labels=["deployment"])
            for deployment, one in known:
                if (now := value(one)) is not None:
                    family.add_metric([deployment], now)
            return family

        def grouped(name: str, words: str, label: str, counts: Callable[[Deployed], Counter[str]]) -> Metric:
            family = GaugeMetricFamily(f"scanflow_{name}", words, labels=["deployment", label])
            for deployment, one in known:
                for key, count in counts(one).items():
                    family.add_metric([deployment, key], count)
            return family

        yield counter("records_seen", "Records up to which the checker has weighed the log.", "", lambda one: [("", one.before + one.cursor)])
        yield counter("records_lost", "Records that were overwritten before they were read.", "", lambda one: [("", one.lost)])
        yield gauge("drift_log_evidence", "Natural logarithm of the evidence of drift.", lambda one: one.evidence)
        yield gauge("drift_log_evidence_alarm_line", "Log evidence at which an incident opens.", lambda one: one.line or None)
        for name, words in ACCURACIES.items():
            yield gauge(f"accuracy_{name}_ratio", f"{words}, of the newest incident.", lambda one, name=name: one.accuracy.get(name))  # type: ignore[misc]
        live = InfoMetricFamily("scanflow_live_pipeline", "Which pipeline answers.", labels=["deployment"])
        for deployment, one in known:
            if one.live is not None:
                live.add_metric([deployment], {"pipeline": one.live.pipeline, "base": one.live.base, "version": one.live.version})
        yield live
        yield gauge("live_pipeline_since_timestamp_seconds", "When it went live.", lambda one: one.live.time if one.live else None)
        yield counter("incidents_opened", "Incidents by kind of weakness.", "kind", lambda one: one.opened.items())
        yield counter("incidents_closed", "Incidents that came to rest.", "kind outcome", lambda one: one.closed.items())
        yield grouped("incidents_open", "Incidents that have not come to rest.", "kind", lambda one: _present(one.unsettled.values(), one.opened))
        yield counter("questions_asked", "Questions to people.", "purpose", lambda one: one.asked.items())
        yield counter("questions_closed", "Questions that take no more answers, by how they ended.", "outcome", lambda one: one.answered.items())
        waiting = "Questions that wait for people."
        yield grouped("questions_open", waiting, "purpose", lambda one: _present((kind for kind, _ in one.questions.values()), one.asked))
        yield gauge("question_oldest_age_seconds", "Age of the oldest open question; 0 if there is none.", self._oldest)
        yield counter("labels", "Labels that people gave.", "purpose", lambda one: one.labels.items())
        yield counter("messages", "Messages, transient ones since the start of the process.", "type", lambda one: one.messages.items())
        yield counter("agent_failures", "Messages that an agent could not handle.", "agent", lambda one: one.failures.items())
        yield counter("requests_unmet", "Requests that failed or passed their deadline.", "request reason", lambda one: one.requests.items())

    def _of_agents(self) -> Iterator[Metric]:
        for name, words, counts in (
            ("agent_handling_seconds", "Time in which agents handled messages, the way to them and back included.", self._seconds),
            ("agent_handled_messages", "Messages that agents handled.", self._handled),
        ):
            family = CounterMetricFamily(f"scanflow_{name}", words, labels=["agent"])
            for agent, count in counts.items():
                family.add_metric([agent], count)
            yield family

    def _of_services(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("scanflow_inference_up", "Whether the inference service answered when it was asked.", labels=["deployment"])
        families = {
            name: CounterMetricFamily(f"scanflow_inference_{name}", words, labels=["deployment"])
            for name, words in (
                ("requests", "Requests that were answered since the service started."),
                ("rejected", "Requests with images that could not be answered."),
                ("seconds", "Time spent answering."),
            )
        }  # fmt: skip
        for deployment, ask in self._services.items():
            try:
                stats = ask()
            except Exception as error:  # noqa: BLE001 - whatever it is, the service does not answer, and that is what is told
                log.warning("the inference service does not tell how it is", deployment=deployment, error=str(error))
                up.add_metric([deployment], 0)
                continue
            up.add_metric([deployment], 1)
            for name, family in families.items():
                family.add_metric([deployment], getattr(stats, name))
        yield from (up, *families.values())

    def _oldest(self, one: Deployed) -> float:
        return max((self._clock() - asked for _, asked in one.questions.values()), default=0.0)


ACCURACIES = {
    "clean": "Accuracy on clean data", "estimated": "Accuracy on drifted data, estimated without labels", "estimate_error": "Error of that estimate",
    "audited": "Accuracy on drifted data, by audit labels", "audited_low": "Lower end of its interval", "audited_high": "Upper end of its interval",
}  # fmt: skip


def _present(now: Iterable[str], ever: Counter[str]) -> Counter[str]:
    """Counts of what there is now; 0 for what there was once, so that a line in a graph goes down and does not just end."""
    counts = Counter(dict.fromkeys(ever, 0))
    counts.update(now)
    return counts
