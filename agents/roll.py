"""Who is in the team and what each is at: a note of every delivery, beside the state that the host tells."""

import threading

import msgspec

from agents.messages import AgentFailed, Message


class Seat(msgspec.Struct, frozen=True):
    """One agent as people see it. Counts are those since the start; times are UTC seconds, 0 before there was anything.

    `state` is the agent's own word, or in parentheses why it cannot be had; `facts` is what else it believes.
    `heard` and `said` are types of messages; `failed` messages could not be handled,
    the last one for `failure`.
    """

    agent: str
    state: str = ""
    heard: str = ""
    heard_at: float = 0.0
    heard_count: int = 0
    said: str = ""
    said_at: float = 0.0
    said_count: int = 0
    failed: int = 0
    failure: str = ""
    facts: dict[str, str] = {}


class Roll:
    """Keeps a seat for each agent; safe to read from other threads.

    Examples
    --------
    >>> from agents.messages import Tick
    >>> roll = Roll(["tracker", "desk"])
    >>> roll.note("tracker", Tick(id="t", time=7.0), [])
    >>> [(seat.agent, seat.heard, seat.heard_at) for seat in roll.seats()]
    [('tracker', 'Tick', 7.0), ('desk', '', 0.0)]
    """

    def __init__(self, agents: "list[str]") -> None:
        self._lock = threading.Lock()
        self._seats = {name: Seat(name) for name in agents}

    def note(self, agent: str, heard: Message, said: "list[Message]") -> None:
        """What an agent was told, and what of its words is new in the ledger."""
        with self._lock:
            seat = self._seats[agent]
            failure = next((one for one in said if isinstance(one, AgentFailed)), None)
            words = [one for one in said if one is not failure]
            changes: dict[str, object] = {"heard": type(heard).__name__, "heard_at": heard.time, "heard_count": seat.heard_count + 1}
            if words:
                changes |= {"said": type(words[-1]).__name__, "said_at": words[-1].time, "said_count": seat.said_count + len(words)}
            if failure is not None:
                changes |= {"failed": seat.failed + 1, "failure": f"{failure.message}: {failure.reason}"}
            self._seats[agent] = msgspec.structs.replace(seat, **changes)

    def seats(self) -> list[Seat]:
        """All seats, in the order of the team."""
        with self._lock:
            return list(self._seats.values())
