"""The strategy of a policy at work: what sensors read, what rules say, what actuators do, and what is held back."""

from agents.messages.core import Message, Request


class LookAtRecords(Request, frozen=True, kw_only=True):
    """Asks what the newest `count` records in the log look like, for a sensor. `reads`: what is to be told of them.

    `at` (UTC seconds), `record` (the newest that was weighed), `known` and `during` are as in the `SensorRead` that follows.
    """

    sensor: str
    reads: tuple[str, ...]
    count: int
    at: float
    record: int
    known: dict[str, float] = {}
    during: str = ""


class RecordsLookedAt(Message, frozen=True, kw_only=True):
    """What `records` of the log look like; `values` by the names of `agents.strategy.catalogue.OF_RECORDS`."""

    sensor: str
    records: int
    values: dict[str, float]


class SensorRead(Message, frozen=True, kw_only=True):
    """What a sensor has seen at `at` (UTC seconds), after record `record`. `during`: the incident that was open then."""

    sensor: str
    values: dict[str, float]
    at: float
    record: int
    during: str = ""


class RuleSwitched(Message, frozen=True, kw_only=True):
    """The condition of a rule holds, for as many looks as it asks for, or no longer."""

    rule: str
    on: bool
    reason: str


class ActuatorFired(Message, frozen=True, kw_only=True):
    """A rule of the policy has this done. `labels`: how many an audit may ask for; `newest`: of so many newest records it is about."""

    actuator: str
    rule: str
    reason: str
    labels: int = 0
    newest: int = 0


class RunWorkflow(Request, frozen=True, kw_only=True):
    """Run the workflow in `file`, a graph, since a rule wants it."""

    rule: str
    file: str


class WorkflowRan(Message, frozen=True, kw_only=True):
    """The workflow of a rule has come to its end as the run `run` of the state folder: `ok`, or `reason` tells what did not work.

    `value` is that of the graph's return function, named `returns`; None where it has none.
    """

    rule: str
    file: str
    run: str
    ok: bool
    returns: str = ""
    value: float | None = None
    reason: str = ""


class ActuatorHeld(Message, frozen=True, kw_only=True):
    """What would have been done is held back by the policy, or cannot be done now.

    `until` (UTC seconds) and `until_record`: 0 where that does not bind. `waits`: whether it is taken up again then (`HoldEnded`).
    """

    actuator: str
    reason: str
    until: float = 0.0
    until_record: int = 0
    waits: bool = False


class HoldEnded(Message, frozen=True, kw_only=True):
    """The time of the `ActuatorHeld` that is the cause is over, after `record`; goes to who had said it."""

    actuator: str
    record: int


class DrawAudit(Request, frozen=True, kw_only=True):
    """Draw `labels` of the newest `count` records at random, and keep their images.

    `due`: the record after which a regular spot check was due; nothing for an audit that a rule wants.
    """

    labels: int
    count: int
    seed: int
    due: int | None = None


class AuditDrawn(Message, frozen=True, kw_only=True):
    """The records to ask about, and what the live pipeline has said of them."""

    items: tuple[int, ...]
    predicted: dict[int, int]
    classes: tuple[str, ...]
    pipeline: str
    clean_accuracy: float
    records: int


class AuditMeasured(Message, frozen=True, kw_only=True):
    """Accuracy of `pipeline` on records drawn at random, whether or not anything has drifted.

    `low` to `high` is an anytime-valid interval at 95 %; `accuracy` is the share of the `labels` that agree. Without a label it is not said.
    `regular`: by all spot checks since the pipeline went live, the newest last.
    """

    pipeline: str
    accuracy: float
    low: float
    high: float
    labels: int
    clean_accuracy: float
    regular: bool = False
