"""Who has told whom how often since the start: a fold over all messages, by the edges of the team's graph. Cheap enough for every message."""

import threading
from collections import Counter

from agents.messages import Message
from agents.team import Wiring

Edge = tuple[str, str, str]
"""Source, target and type of message."""


class Pulse:
    """Listens to a switchboard; safe to read from other threads."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self._lock = threading.Lock()
        self._edges: Counter[Edge] = Counter()

    def listen(self, message: Message) -> None:
        """To be told every message."""
        kind, course = type(message).__name__, self.wiring.course(message)
        with self._lock:
            self._edges.update((source, target, kind) for source, target in course)

    def edges(self) -> dict[Edge, int]:
        """How many messages have gone along each edge that has carried any."""
        with self._lock:
            return dict(self._edges)
