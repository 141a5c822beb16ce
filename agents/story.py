"""Messages as sentences: one line each for the log, and the whole story of an incident with the planner's table."""

from collections.abc import Iterable
from datetime import UTC, datetime

from agents.messages import (
    ActuatorFired, ActuatorHeld, AgentFailed, AnswerOffered, AnswerRefused, AskChoice, AskLabels, AuditMeasured, ChangeAdopted, ChoiceMade,
    CompareRemedies, DeployPipeline, DriftEnded, HarmAssessed, HoldEnded, IncidentClosed, IncidentOpened, JoinLabels, LabelAmended, LabelGiven,
    LogBegun, Message, MessageRefused, NoteMade, Paused, PipelineLive, PipelineShadowed, PolicySet, PrepareRemedy, QuestionClosed, QuestionEscalated,
    QuestionReminded, RecordsLabelled, RecordsLost, RemediesCompared, RemediesMeasured, RemedyChosen, RemedyPrepared, RemedyVerified, RequestExpired,
    RequestFailed, Resumed, RuleSwitched, RunWorkflow, SecondOpinion, UndoAsked, WindowAnalysed, WorkflowRan,
)


def line(message: Message) -> str:  # noqa: C901, PLR0915 - one case a type, nothing else
    """One sentence about a message, or nothing about those that only keep the machinery going.

    >>> line(IncidentClosed(id="a", source="planner", incident="digits-1", outcome="verified", reason="it helped"))
    'digits-1 is closed, verified: it helped'
    """
    match message:
        case PipelineLive():
            return f"{message.pipeline} is live from record {message.since} on: {message.reason}"
        case PolicySet():
            return "the policy is new, or has changed"
        case LogBegun():
            return "the inference service keeps a new log"
        case RecordsLost():
            return f"{message.count} records before {message.first} were overwritten unread"
        case IncidentOpened():
            share = f", looking at 1 in {message.every}" if message.every else ""
            if message.finding is not None:
                kind, seen = message.kind, message.finding.sentence
                return f"{message.incident} opened, {kind}: {seen} (since record {message.onset}, noticed after {message.alarm_at})"
            return f"{message.incident} opened: records since {message.onset} look different (noticed after record {message.alarm_at}{share})"
        case JoinLabels():
            return f"{len(message.labels)} true labels have come" if message.labels else ""
        case RecordsLabelled():
            return f"{message.lost} true labels came too late: their records have left the log" if message.lost else ""
        case WindowAnalysed():
            low, high = message.estimate_range
            like = f"; they resemble {message.likeness}" if message.likeness else ""
            return (
                f"{message.records} records kept: KS {message.ks:.2f} (p {message.ks_p:.3f}), MMD {message.mmd:.4f} (p {message.mmd_p:.3f}); "
                f"accuracy estimated {message.estimated_accuracy:.3f} ({low:.2f} to {high:.2f}) without labels, "
                f"{message.clean_accuracy:.3f} on clean data{like}"
            )
        case AskLabels():
            return f"question {message.question}: {len(message.items)} labels to {'measure' if message.purpose == 'audit' else 'learn from'}"
        case AskChoice():
            return f"question {message.question}: {message.text}"
        case AnswerOffered():
            return f"{message.by} says {message.answer!r}" + (f" of record {message.seq}" if message.seq else f" to {message.question}")
        case AnswerRefused(reason="this question is closed (settled)"):
            return ""  # it was on its way when the answers before it were enough: nothing that anybody has to know
        case AnswerRefused():
            return f"an answer of {message.by} to {message.question} was refused: {message.reason}"
        case LabelGiven():
            return f"label of record {message.label.seq} taken from {message.label.by}"
        case SecondOpinion(first=first, second=second):
            if first.by == second.by:
                return f"{first.by} said {'the same' if message.agrees else 'something else'} of record {first.seq} when asked again"
            verdict, end = ("agree", "") if message.agrees else ("disagree", f": the answer of {first.by} holds")
            return f"{second.by} and {first.by} {verdict} on record {first.seq}{end}"
        case LabelAmended():
            return f"{message.label.by} has amended the answer about record {message.label.seq}"
        case QuestionReminded():
            return f"question {message.question} still waits for {_awaited(message.missing)}" + _of(message.people)
        case QuestionEscalated():
            return f"question {message.question} is now put to {', '.join(message.people)}, too: it waits for {_awaited(message.missing)}"
        case ChoiceMade():
            return f"{message.by} chose {message.option}" + (f": {message.reason}" if message.reason else "")
        case QuestionClosed():
            return f"question {message.question} is closed: {message.outcome}"
        case HarmAssessed():
            return ("it hurts: " if message.harmful else "it does no harm: ") + message.reason
        case PrepareRemedy():
            return f"preparing {message.remedy} as {message.pipeline}"
        case RemedyPrepared():
            return f"{message.remedy} is ready after {message.seconds:.0f} s: {message.accuracy_clean:.4f} on clean data"
        case CompareRemedies():
            return f"comparing {', '.join(message.candidates)} with {message.baseline} on fresh records"
        case RemediesCompared():
            shares = ", ".join(f"{name} on {share:.1%}" for name, share in sorted(message.share.items())) or "all agree"
            beside = f", and beside these on {message.elsewhere.records} others" if message.elsewhere else ""
            return f"compared on {message.records} records: {shares}{beside}"
        case RemediesMeasured():
            return f"{len(message.remedies)} remedies measured with {message.labels_used} labels"
        case RemedyChosen():
            return f"chosen: {message.remedy}, because it {message.reason}" if message.remedy != "nothing" else f"nothing is done: {message.reason}"
        case PipelineShadowed():
            return f"{message.pipeline} ran in the shadow on {message.records} images, {1000 * message.seconds_per_image:.2f} ms each"
        case DeployPipeline():
            return f"deploying {message.pipeline}: {message.reason}"
        case RemedyVerified():
            gap = f"; the gap closes by {message.gap_closed[0]:+.3f} to {message.gap_closed[1]:+.3f}" if message.gap_closed else ""
            where = f" where {message.slice}" if message.slice else ""
            return (
                f"{message.pipeline} {'helps' if message.helped else 'is not shown to help'}{where}: gain {message.gain:+.3f} (interval "
                f"{message.gain_interval[0]:+.3f} to {message.gain_interval[1]:+.3f}, {message.labels_used} labels){gap}"
            )
        case DriftEnded():
            return f"the drift that {message.pipeline} was made for has ended"
        case ChangeAdopted():
            return f"the change is part of the reference of {message.pipeline} now"
        case IncidentClosed():
            return f"{message.incident} is closed, {message.outcome}: {message.reason}"
        case UndoAsked():
            return f"{message.by} asks for the pipeline before"
        case Paused():
            return f"{message.by} has paused remedies" + (f": {message.reason}" if message.reason else "")
        case Resumed():
            return f"{message.by} lets remedies go on"
        case RequestFailed():
            return f"{message.request} failed: {message.reason}"
        case RequestExpired():
            return f"{message.request} passed its deadline"
        case AgentFailed():
            return f"the {message.agent} could not handle {message.message}: {message.reason}"
        case MessageRefused():
            return f"{message.message} from the {message.speaker} reached nobody: {message.reason}"
        case NoteMade():
            return f"the {message.source} notes: {message.text}"
        case RuleSwitched():
            return f"the rule {message.rule!r} is {'on' if message.on else 'off'}: {message.reason}"
        case ActuatorFired():
            return f"the rule {message.rule!r} acts ({message.actuator}): {message.reason}"
        case RunWorkflow():
            return f"running the workflow {message.file} for the rule {message.rule!r}"
        case WorkflowRan():
            end = "is done" if message.ok else "has failed"
            value = f": {message.returns} {message.value:.4g}" if message.value is not None else ""
            return f"the workflow {message.file} {end} (run {message.run}){value}" + (f": {message.reason}" if message.reason else "")
        case ActuatorHeld():
            return f"{message.actuator} is held back{_until(message)}: {message.reason}"
        case HoldEnded():
            return f"{message.actuator} is no longer held back"
        case AuditMeasured():
            return (
                f"{message.pipeline} is right on {message.accuracy:.3f} of {message.labels} records drawn at random ({message.low:.2f} to "
                f"{message.high:.2f}); on clean data it was {message.clean_accuracy:.3f}{', by all spot checks' if message.regular else ''}"
            )
    return ""


def _until(held: ActuatorHeld) -> str:
    """Until when, as far as that is known."""
    ends = [f"{datetime.fromtimestamp(held.until, UTC):%Y-%m-%d %H:%M:%S} UTC"] if held.until else []
    ends += [f"record {held.until_record}"] if held.until_record else []
    return f" until {' and '.join(ends)}" if ends else ""


def _awaited(missing: int) -> str:
    return f"{missing} answer{'' if missing == 1 else 's'}"


def _of(people: tuple[str, ...]) -> str:
    return f" of {', '.join(people)}" if people else ""


INDENT = " " * 13  # of the planner's table within a story; no other line of a story begins so
class News:
    """Lines as people hear them, one after another: a failure that comes again and again is told once, until something else is.

    >>> news = News()
    >>> [news.line(RequestFailed(id=str(number), source="switchboard", request="ReadRecords", reason="no engine")) for number in range(2)]
    ['ReadRecords failed: no engine', '']
    """

    def __init__(self) -> None:
        self._failed = ""

    def line(self, message: Message) -> str:
        """As the function `line`; nothing of what only machinery says, and of what was just said."""
        text = "" if message.transient else line(message)
        if not isinstance(message, RequestFailed):
            self._failed = "" if text else self._failed
            return text
        before, self._failed = self._failed, text
        return text if text != before else ""


QUIET = (AnswerOffered, LabelGiven)  # in a story, answers are told by their number


def tell(messages: Iterable[Message]) -> list[str]:
    """The story of an incident, one line an event, with the planner's table in its place."""
    told: list[str] = []
    begun: float | None = None
    for message in messages:
        text = line(message)
        if not text or isinstance(message, QUIET):
            continue
        begun = message.time if begun is None else begun
        told.append(f"{message.time - begun:7.1f} s  {message.source:<12} {text}")
        if isinstance(message, RemediesMeasured):
            measured = message
        if isinstance(message, RemedyChosen):
            told += [INDENT + row for row in table(measured, message)]
    return told


def table(measured: RemediesMeasured, chosen: RemedyChosen | None = None) -> list[str]:
    """The planner's table: what each remedy brings and costs, and why it was chosen or not.

    Gain over doing nothing (interval), accuracy on drifted data (with its interval) and on clean data, milliseconds added to a request,
    seconds of preparation, labels.
    """
    head = ("remedy", "gain", "drift", "interval", "clean", "ms", "s", "labels", "verdict")
    rows = [head]
    for remedy in measured.remedies:
        verdict = "" if chosen is None else ("CHOSEN; " if chosen.remedy == remedy.name else "") + chosen.verdicts.get(remedy.name, "")
        rows.append((
            remedy.name, f"{remedy.gain_interval[0]:+.2f}..{remedy.gain_interval[1]:+.2f}", f"{remedy.accuracy_drift:.3f}",
            f"{remedy.interval[0]:.2f}..{remedy.interval[1]:.2f}", f"{remedy.accuracy_clean:.4f}", f"{1000 * remedy.latency_added:.2f}",
            f"{remedy.seconds:.0f}", str(remedy.labels), verdict,
        ))
    rows += [(name, "-", "-", "-", "-", "-", "-", "-", f"failed: {reason}") for name, reason in measured.failed.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
