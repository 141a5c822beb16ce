"""What an agent holds back while remedies are paused: it has decided, but does not say it yet.

So no state machine needs a state of its own for a pause, and a fold over the ledger finds again what was held.
"""

from collections.abc import Callable, Sequence

from agents.messages import AskChoice, AskLabels, IncidentClosed, Message, Paused, PrepareRemedy, Resumed, ShadowPipeline

HELD: tuple[type[Message], ...] = (AskLabels, AskChoice, PrepareRemedy, ShadowPipeline)


class Pause:
    """The valve behind which an agent's words wait.

    Attributes
    ----------
    on : whether remedies are paused.
    held : what is said when they are resumed, in order.

    Examples
    --------
    >>> pause = Pause()
    >>> ask = AskChoice(id="a", incident="digits-1", question="q", text="?", options=("approve",), default="decline")
    >>> pause.let_through(Paused(id="p", by="ana"), [])
    []
    >>> pause.let_through(IncidentClosed(id="c", incident="another", outcome="failed", reason=""), [ask])
    []
    >>> [message.id for message in pause.let_through(Resumed(id="r", by="ana"), [])]
    ['a']
    """

    def __init__(self) -> None:
        self.on = False
        self.held: list[Message] = []

    def let_through(self, heard: Message, said: Sequence[Message], is_held: Callable[[Message], bool] | None = None) -> list[Message]:
        """Of what an agent `said` when it `heard` a message, what goes out now.

        `is_held` tells of further messages whether they wait; by default those of `HELD` do.
        """
        match heard:
            case Paused():
                self.on = True
            case Resumed():
                released, self.held, self.on = self.held, [], False
                return [*released, *said]
            case IncidentClosed():
                self.forget(heard.incident)
        if not self.on:
            return list(said)
        waits = [isinstance(message, HELD) or (is_held is not None and is_held(message)) for message in said]
        self.held += [message for message, held in zip(said, waits, strict=True) if held]
        return [message for message, held in zip(said, waits, strict=True) if not held]

    def forget(self, incident: str) -> None:
        """An incident that has been closed needs nothing more."""
        self.held = [message for message in self.held if message.incident != incident]
