"""An office with what a real one holds: hand-written digits from a failing sensor, evidence that rises, questions."""

from agents.messages import (
    EvidenceUpdated, HarmAssessed, IncidentClosed, IncidentOpened, Label, PipelineLive, PolicySet, PrepareRemedy, RemediesMeasured, Remedy,
    RemedyChosen, RemedyPrepared, RemedyVerified, AskChoice, WindowAnalysed,
)  # fmt: skip
from scenarios.corruptions import corrupt
from scenarios.datasets import load
from tests.console.office import DIGITS, Office

FIRST = 901
AUDIT = "digits-1/harm"
APPROVE = "digits-1/approve"


def digits(count=20, corruption="impulse_noise"):
    """Corrupted digits by record, and what they show."""
    data = load("digits", "train")
    images = corrupt(data.images[:count], corruption, 3, seed=0)
    return {FIRST + 7 * place: image for place, image in enumerate(images)}, [data.classes[label] for label in data.labels[:count]]


class Scene(Office):
    """`answers` are the true classes of the images, in the order in which they are asked about."""

    def __init__(self, folder, count=20, **others):
        images, self.answers = digits(count)
        super().__init__(folder, images, **others)

    def watch(self):
        """Clean records, then drifted ones, until the alarm."""
        self.say(PolicySet, "system", "", policy={"detection": {"run_length": 1e6}})
        self.say(PipelineLive, pipeline="digits-first", previous="", reference="digits-first", base="digits-first", gated=False, since=1, version="1", reason="the first model")
        for cursor in range(30, 900, 30):
            self.evidence(cursor, max(0.0, 1.1 + (cursor * 7919 % 13 - 6) / 6))
        for cursor in range(900, 945, 6):
            self.evidence(cursor, 1.0 + (cursor - 900) * 0.37)
        self.say(IncidentOpened, pipeline="digits-first", onset=901, alarm_at=936, log_evidence=14.3)
        for cursor in range(950, 1500, 30):
            self.evidence(cursor, 16.0 + (cursor - 950) * 0.6)

    def evidence(self, cursor, value):
        self.say(EvidenceUpdated, cursor=cursor, log_evidence=value)

    def analyse(self):
        self.ahead += 12
        self.say(
            WindowAnalysed, window="window", last=1500, records=600, mmd=0.0831, mmd_p=0.002, ks=0.71, ks_p=0.001, clean_accuracy=0.993,
            estimated_accuracy=0.561, estimate_error=0.08, audit=tuple(self.images)[:6], teaching=tuple(self.images)[6:], predicted={}, classes=DIGITS,
        )  # fmt: skip

    def answer_all(self, question, by):
        view = self.board.question(question)
        for seq, answer in zip(self.images, self.answers, strict=True):
            if seq in view.items and seq not in view.answers and self.board.closed(question) is None:
                self.reception.answer(question, answer, by, seq)

    def assess(self):
        self.say(
            HarmAssessed, harmful=True, reason="at most 0.81 of the drifted records are right, 0.993 of clean ones", accuracy=0.55, interval=(0.31, 0.81),
            clean_accuracy=0.993, estimated_accuracy=0.561, pipeline="digits-first", window="window", last=1500, classes=DIGITS, audit=(Label(901, 1, "ana"),),
            teaching=(),
        )  # fmt: skip

    def measure(self):
        """Remedies prepared and compared, and the planner's proposal."""
        rows = (
            ("nothing", 0.513, (0.31, 0.81), 0.0, (0.0, 0.0), 0.9933, 0.0, 0.0, 0, 6),
            ("filter", 0.965, (0.81, 0.99), 0.452, (0.365, 0.485), 0.9933, 0.0, 0.00043, 44, 14),
            ("fine_tune", 0.941, (0.74, 0.98), 0.428, (0.291, 0.471), 0.9900, 0.0033, 0.0002, 33, 34),
            ("recalibrate", 0.781, (0.52, 0.93), 0.268, (-0.012, 0.31), 0.9930, 0.0003, 0.0002, 2, 14),
            ("retrain", 0.937, (0.73, 0.98), 0.424, (0.287, 0.470), 0.9867, 0.0066, 0.0, 49, 34),
        )  # fmt: skip
        for name, *_, seconds, _labels in rows[1:]:
            self.ahead += 0.1
            self.say(PrepareRemedy, "improver", remedy=name, base="digits-first", pipeline=f"digits-1-{name}", window="window", teaching=(), seed=0)
            self.ahead += seconds
            self.say(RemedyPrepared, "workshop", remedy=name, pipeline=f"digits-1-{name}", accuracy_clean=0.99, clean_loss=0.0, latency_added=0.0, seconds=seconds, version="2")
        remedies = tuple(
            Remedy(name=name, pipeline=f"digits-1-{name}", accuracy_drift=drift, interval=interval, gain=gain, gain_interval=gains, log_evidence=40 * gains[0], accuracy_clean=clean, clean_loss=loss, latency_added=latency, seconds=seconds, labels=labels)
            for name, drift, interval, gain, gains, clean, loss, latency, seconds, labels in rows
        )
        self.say(RemediesMeasured, "improver", remedies=remedies, base="digits-first", after=1500, labels_used=14)
        verdicts = {
            "filter": "fits, utility +0.451, the highest", "fine_tune": "fits, utility +0.422", "recalibrate": "the labels do not speak for it: 0.6 to 1",
            "retrain": "loses 0.0066 on clean data, more than 0.005",
        }  # fmt: skip
        reason = "gains +0.452 on drifted data (interval +0.365 to +0.485), costs 0.0000 on clean data and 0.43 ms a request"
        self.say(RemedyChosen, "planner", remedy="filter", pipeline="digits-1-filter", reason=reason, verdicts=verdicts)
        text = f"I would apply filter: it {reason}. Approve, choose another, or decline?"
        self.say(AskChoice, "planner", question=APPROVE, options=("approve", "fine_tune", "decline"), default="decline", text=text, deadline=900.0)

    def mend(self):
        """The filter goes live, is verified, and the incident closes."""
        self.ahead += 20
        self.say(PipelineLive, "deployment", "digits-1", pipeline="digits-1-filter", previous="digits-first", reference="digits-first", base="digits-first", gated=True, since=1710, version="2", reason="filter for digits-1, provisional")
        for cursor in range(1710, 2600, 30):
            self.evidence(cursor, max(0.0, 340 * 0.5 ** ((cursor - 1710) / 60) + (cursor * 7919 % 13) / 12))
        self.ahead += 35
        self.say(RemedyVerified, "planner", pipeline="digits-1-filter", helped=True, gain=0.43, gain_interval=(0.31, 0.48), log_evidence=4.4, labels_used=10)
        self.say(IncidentClosed, "planner", outcome="verified", reason="digits-1-filter gains +0.430 on fresh drifted records")
