"""The switchboard: brings every message to those who handle it, and into the ledger first.

Agents decide, doors act: a request whose type has a door is carried out there, beside the agents, and what the door says comes
back as messages. All else is one thread and one queue, so the order of the ledger is the order of events.
"""

import heapq
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from agents.agent import Agent, M
from agents.hosts.host import AgentError, Host
from agents.ledger import Ledger
from agents.messages import (
    HEARTBEAT, AgentFailed, AskChoice, AskLabels, KeepTime, Message, MessageRefused, QuestionClosed, Request, RequestExpired, RequestFailed, Tick,
    TimeCame, derived_id,
)
from agents.roll import Roll, Seat

if TYPE_CHECKING:
    from agents.team import Wiring

Door = Callable[[Message], Sequence[Message]]
Listener = Callable[[Message], None]
log = structlog.get_logger(__name__)


class Switchboard:
    """Routes messages among agents and doors.

    Parameters
    ----------
    host : where the agents run.
    team : which agent handles which types of message.
    ledger : where messages are kept.
    doors : who carries out which type of request; a door may block, and raises to say that it failed.
    clock : UTC seconds; deadlines are kept by it.
    executor : where doors run; without one they run at once, in the switchboard's own thread.
    wiring : the edges by which messages are delivered; without them, whoever handles a message is told.
    """

    def __init__(
        self, host: Host, team: Mapping[str, type[Agent]], ledger: Ledger, doors: Mapping[type[Message], Door], *,
        clock: Callable[[], float], executor: Executor | None = None, wiring: "Wiring | None" = None,
    ) -> None:
        self._host, self._team, self._ledger, self._doors = host, team, ledger, doors
        self._clock, self._executor, self._wiring = clock, executor, wiring
        self._inbox: queue.Queue[Message] = queue.Queue()  # from outside, not yet in the ledger
        self._said: deque[Message] = deque()  # by agents, in the ledger already
        self._deadlines: list[tuple[float, str]] = []
        self._waiting: dict[str, Request] = {}
        self._listeners: list[Listener] = []
        self._stop = threading.Event()
        self._ticks = 0
        self._run = f"{clock():.6f}"
        self._roll = Roll(list(team))
        self.counts: dict[str, int] = {}  # messages by type since the start, transient ones too

    def start(self) -> None:
        """Start the agents as the ledger left them, and take up what was left undone."""
        self._host.start(self._ledger.history)
        closed = {one.question for one in self._ledger.messages(QuestionClosed) if isinstance(one, QuestionClosed)}
        for question in self._ledger.messages(AskLabels, AskChoice, KeepTime):  # a time that came before comes under the same id: no news
            if isinstance(question, AskLabels | AskChoice | KeepTime) and question.question not in closed:
                self._await(question)
        unanswered = self._ledger.unanswered(self._doors)  # before anybody is told more: what is asked from here on is asked as ever
        for message, missing in self._ledger.undelivered(self.recipients):
            for name in missing:
                self._deliver(name, message)
        for request in unanswered:
            self._await(request)
            self._ask_or_refuse(request)

    def listen(self, listener: Listener) -> None:
        """Have `listener` told every message, after it was handled. It must not block."""
        self._listeners.append(listener)

    def post(self, message: Message) -> None:
        """Hand in a message from outside; may be called from any thread."""
        self._inbox.put(message)

    def seats(self) -> list[Seat]:
        """Every agent with what it is at and believes, what it heard and said last, and what it could not handle."""
        facts = {seat.agent: self._host.at(seat.agent) for seat in self._roll.seats()}
        return [msgspec.structs.replace(seat, state=facts[seat.agent].pop("state"), facts=facts[seat.agent]) for seat in self._roll.seats()]

    def recipients(self, message: Message) -> list[str]:
        """The agents that a message reaches: those that handle it, if the team's graph has an edge to them."""
        return [name for name in self._handlers(message) if self._wiring is None or self._wiring.allows(message, name)]

    def _handlers(self, message: Message) -> list[str]:
        names = [message.to] if message.to else list(self._team)
        return [name for name in names if name in self._team and type(message) in self._team[name].handles]

    def tick(self) -> None:
        """Give the heartbeat, and say which requests have passed their deadline."""
        self._ticks += 1
        self._inbox.put(Tick(id=f"tick-{self._run}-{self._ticks}", source="clock"))
        while self._deadlines and self._deadlines[0][0] <= self._clock():
            _, identity = heapq.heappop(self._deadlines)
            request = self._waiting.pop(identity, None)
            if isinstance(request, KeepTime):
                self._inbox.put(_answer(TimeCame, request, question=request.question, then=request.then))
            elif request is not None:
                self._inbox.put(_answer(RequestExpired, request, request=type(request).__name__))

    def run_until_idle(self) -> None:
        """Handle all messages there are, and those that follow from them."""
        while self._said or not self._inbox.empty():
            self._spread_said()
            if not self._inbox.empty():
                self._handle(self._inbox.get())

    def run(self, stop: threading.Event, heartbeat: float = HEARTBEAT) -> None:
        """Handle messages as they come, until `stop` is set."""
        self._stop, next_tick = stop, self._clock()
        while not stop.is_set():
            self._spread_said()
            if self._clock() >= next_tick:
                self.tick()
                next_tick = self._clock() + heartbeat
            try:
                message = self._inbox.get(timeout=max(0.0, next_tick - self._clock()))
            except queue.Empty:
                continue
            self._handle(message)

    def _handle(self, message: Message) -> None:
        for new in self._ledger.append([message]):
            self._spread(new)

    def _spread_said(self) -> None:
        while self._said:
            self._spread(self._said.popleft())

    def _spread(self, message: Message) -> None:
        """Deliver a message that is in the ledger."""
        name = type(message).__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        if isinstance(message, QuestionClosed):
            for identity, waiting in list(self._waiting.items()):  # a copy: doors take theirs out in other threads
                if getattr(waiting, "question", None) == message.question:
                    self._waiting.pop(identity, None)
        if isinstance(message, Request):
            self._await(message)
        recipients = self.recipients(message)
        for agent in recipients:
            self._deliver(agent, message)
        if isinstance(message, Request) and type(message) in self._doors:
            self._ask_or_refuse(message)
        elif not recipients and self._handlers(message) and not isinstance(message, AgentFailed):  # which is said of agents that ask for nothing, too
            self._refuse(message)
        for listener in self._listeners:
            listener(message)

    def _refuse(self, message: Message) -> None:
        """Put on record that the graph lets a message reach nobody who handles it."""
        kind, handlers = type(message).__name__, self._handlers(message) or ["a service"]
        reached = f"from {message.source!r} to {' or '.join(handlers)}"
        reason = f"no edge of the team's graph leads {reached}; add one to agents/team.toml or to a file of yours"
        log.warning("message refused", message=kind, source=message.source)
        identity = derived_id("switchboard", message.id, "MessageRefused")
        self._inbox.put(
            MessageRefused(
                id=identity, source="switchboard", deployment=message.deployment, incident=message.incident, cause=message.id, message=kind,
                speaker=message.source, reason=reason,
            )
        )  # fmt: skip
        if isinstance(message, Request) and self._waiting.pop(message.id, None) is not None:
            self._inbox.put(_answer(RequestFailed, message, request=kind, reason=reason))

    def _deliver(self, agent: str, message: Message) -> None:
        try:
            said = self._host.deliver(agent, message)
        except AgentError as error:
            log.warning("agent failed", agent=agent, message=type(message).__name__, error=str(error))
            identity = derived_id(agent, message.id, "AgentFailed")
            said = [
                AgentFailed(
                    id=identity, source=agent, deployment=message.deployment, incident=message.incident, cause=message.id, agent=agent,
                    message=type(message).__name__, reason=str(error),
                )
            ]
        new = self._ledger.handled(agent, message, said)
        self._roll.note(agent, message, new)
        self._said += new

    def _await(self, request: Request) -> None:
        self._waiting[request.id] = request
        heapq.heappush(self._deadlines, ((request.time or self._clock()) + request.deadline, request.id))

    def _ask_or_refuse(self, request: Request) -> None:
        if self._wiring is None or self._wiring.allows_door(request):
            self._ask_door(request)
        else:
            self._refuse(request)

    def _ask_door(self, request: Request) -> None:
        self._waiting.setdefault(request.id, request)
        if self._executor is None:
            self._pass_through(request)
        else:
            self._executor.submit(self._pass_through, request)

    def _pass_through(self, request: Request) -> None:
        try:
            answers = list(self._doors[type(request)](request))
        except Exception as error:  # noqa: BLE001 - whatever a door raises becomes a message, so that nobody waits for it
            if self._stop.is_set():
                return  # given up, not failed: the next start asks again
            answers = [_answer(RequestFailed, request, request=type(request).__name__, reason=str(error) or type(error).__name__)]
        self._waiting.pop(request.id, None)
        for answer in answers:
            self.post(answer)


def _answer(kind: type[Message], asked: Request, /, **fields: Any) -> Message:
    to = "" if kind is RequestExpired else asked.source
    return kind(
        id=derived_id("switchboard", asked.id, kind.__name__), source="switchboard", deployment=asked.deployment,
        incident=asked.incident, cause=asked.id, to=to, **fields,
    )


def answer_to(request: Message, kind: type[M], source: str, *, broadcast: bool = False, **fields: Any) -> M:
    """The message by which a door answers a request: to who asked, or to all who handle its type."""
    fields.setdefault("incident", request.incident)
    return kind(
        id=derived_id(source, request.id, kind.__name__), source=source, deployment=request.deployment, cause=request.id,
        to="" if broadcast else request.source, **fields,
    )
