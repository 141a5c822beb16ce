"""The contract of an agent: a message in, messages out, nothing else.

An agent is a pure state machine. It does no I/O, reads no clock and draws nothing at random, so it can be tested in
milliseconds and rebuilt after a crash from the messages that it has handled.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from agents.messages import AgentFailed, Message, derived_id
from agents.pause import Pause

M = TypeVar("M", bound=Message)


class IllegalMessageError(Exception):
    """A message came that the agent's state does not accept; the text tells the story so far."""

    def __init__(self, agent: str, state: str, message: Message, story: Iterable[str]) -> None:
        self.args = (agent, state, message, tuple(story))  # all of them, so that the error survives pickling
        self.agent, self.state, self.message, self.story = agent, state, message, tuple(story)

    def __str__(self) -> str:
        lines = "\n".join(f"  {line}" for line in self.story) or "  (nothing)"
        kind = type(self.message).__name__
        return f"{kind} {self.message.id} came to the {self.agent} while {self.state}. The story so far:\n{lines}"


class Agent:
    """One deployment's tracker, checker, improver, planner or desk. Subclasses name what they handle and write `handle`."""

    name: ClassVar[str]
    handles: ClassVar[tuple[type[Message], ...]]
    state: str

    def __init__(self, deployment: str) -> None:
        self.deployment = deployment
        self.story: deque[str] = deque(maxlen=40)
        self.pause = Pause()

    def receive(self, message: Message) -> list[Message]:
        """Handle one message and note it in the story. While remedies are paused, what `agents.pause` names is held back."""
        answer = self.pause.let_through(message, self.handle(message), self.waits)
        if not message.transient:
            self.story.append(f"{type(message).__name__} {message.id} from {message.source}")
        return answer

    def at(self) -> str:
        """What it is at, for people: its state, and how much waits while remedies are paused."""
        state, held = getattr(self, "state", ""), len(self.pause.held)  # an agent of others may not have set one
        return f"{state}, holds {held} until resumed" if held else state

    def handle(self, message: Message) -> list[Message]:
        """What to say to `message`. Raises `IllegalMessageError` when the state does not accept it."""
        raise IllegalMessageError(self.name, self.state, message, self.story)

    def waits(self, message: Message) -> bool:  # noqa: ARG002 - for subclasses
        """Whether an own word waits while remedies are paused, too, beside those of the types in `agents.pause.HELD`."""
        return False

    def recall(self, message: Message) -> None:
        """Take back an own word that followed from transient messages; called only by `restore`."""

    def restore(self, history: Iterable[Message]) -> None:
        """Become what the agent was after `history`: the messages it handled and those it said, oldest first.

        What it could not handle then (`AgentFailed`) it passes over: it would only fail again.
        """
        known = list(history)
        failed = {message.cause for message in known if isinstance(message, AgentFailed) and message.source == self.name}
        for message in known:
            if message.source == self.name:
                self.recall(message)
            elif message.id not in failed:
                self.receive(message)

    def say(self, kind: type[M], cause: Message, *, key: str = "", **fields: Any) -> M:
        """A message of this agent that follows from `cause`; deployment and incident are passed on."""
        fields.setdefault("incident", cause.incident)
        identity = derived_id(self.name, cause.id, kind.__name__, key)
        return kind(id=identity, source=self.name, deployment=self.deployment, cause=cause.id, **fields)

    def illegal(self, message: Message) -> IllegalMessageError:
        """The error to raise for `message` in the present state."""
        return IllegalMessageError(self.name, self.state, message, self.story)
