"""Carrying out: what goes live, what is verified, what goes wrong."""

from typing import Any

from agents.messages.core import Message, Request


class ShadowPipeline(Request, frozen=True, kw_only=True):
    """Load `pipeline` beside the live one and run it on the last `count` images, off the request path."""

    pipeline: str
    count: int


class PipelineShadowed(Message, frozen=True, kw_only=True):
    """It answered all of them; `agreement` with what was answered live."""

    pipeline: str
    records: int
    agreement: float
    seconds_per_image: float


class DeployPipeline(Request, frozen=True, kw_only=True):
    """Make `pipeline` the live one. `by`: the person who approved it or asked for it, "default" where nobody answered; empty: nobody was asked."""

    pipeline: str
    reason: str
    by: str = ""


class PipelineLive(Message, frozen=True, kw_only=True):
    """`pipeline` answers from record `since` on; `previous` stays loaded for undoing.

    Its gates take about the shares `routed_clean` of clean records, at most `routed_clean_most`, and `routed_drift` of those of its newest
    drift. `by` as in `DeployPipeline`.
    """

    pipeline: str
    previous: str
    reference: str
    base: str
    gated: bool
    since: int
    version: str
    reason: str
    routed_clean: float = 0.0
    routed_clean_most: float = 0.0
    routed_drift: float = 1.0
    by: str = ""


class RemedyVerified(Message, frozen=True, kw_only=True):
    """Audit labels on fresh drifted records settled whether the provisional remedy helps.

    The gain, its interval and the labels are those on fresh records; `log_evidence` (natural logarithm of an e-value) counts the labels of
    the choice too, corrected for having chosen. Where the incident is about a `slice` of the traffic they are those in it; `elsewhere` is the
    gain in the rest, and `gap_closed` the interval of that by which the gap between the two has become smaller.
    """

    pipeline: str
    helped: bool
    gain: float
    gain_interval: tuple[float, float]
    log_evidence: float
    labels_used: int
    slice: str = ""
    elsewhere: float | None = None
    gap_closed: tuple[float, float] | None = None


class RecordLive(Request, frozen=True, kw_only=True):
    """Asks the tracking store to note what is live since when and why, and to move the alias `champion`."""

    pipeline: str
    version: str
    reason: str
    by: str = ""


class LiveRecorded(Message, frozen=True, kw_only=True):
    """The tracking store has it."""

    pipeline: str


class PolicySet(Message, frozen=True, kw_only=True):
    """From now on the agents go by these rules, as `agents.policy.Policy` has them."""

    policy: dict[str, Any]


class UndoAsked(Message, frozen=True, kw_only=True):
    """A person wants the pipeline before back."""

    by: str


class MessageRefused(Message, frozen=True, kw_only=True):
    """The team's graph has no edge for `message`, which `speaker` said; nobody was told."""

    message: str
    speaker: str
    reason: str


class NoteMade(Message, frozen=True, kw_only=True):
    """Something that an agent wants on record and in the story; nobody acts on it."""

    text: str


class AgentFailed(Message, frozen=True, kw_only=True):
    """An agent could not handle `message`; the system goes on without that step."""

    agent: str
    message: str
    reason: str
