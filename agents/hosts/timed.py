"""A host that tells how long its agents take."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from agents.hosts.host import History, Host
from agents.messages import Message


class Timed:
    """Another host, watched: `took` is told the agent, the message, and the seconds until its answer was there, failures included.

    Examples
    --------
    >>> from agents.hosts.host import LocalHost
    >>> from agents.desk import Desk
    >>> from agents.messages import CloseQuestion
    >>> told = []
    >>> host = Timed(LocalHost({"desk": lambda: Desk("digits")}), lambda agent, message, seconds: told.append((agent, seconds >= 0)))
    >>> host.start(lambda _name: ())
    >>> host.deliver("desk", CloseQuestion(id="a", question="none", reason="settled"))
    []
    >>> told
    [('desk', True)]
    """

    def __init__(self, host: Host, took: Callable[[str, Message, float], None]) -> None:
        self._host, self._took = host, took

    def start(self, history: History) -> None:
        """See `Host.start`."""
        self._host.start(history)

    def deliver(self, agent: str, message: Message) -> list[Message]:
        """See `Host.deliver`."""
        begun = time.monotonic()
        try:
            return self._host.deliver(agent, message)
        finally:
            self._took(agent, message, time.monotonic() - begun)

    def at(self, agent: str) -> str:
        """See `Host.at`."""
        return self._host.at(agent)

    def submit(self, function: Callable[..., Any], /, **arguments: Any) -> "Future[Any]":
        """See `Host.submit`."""
        return self._host.submit(function, **arguments)

    def stop(self) -> None:
        """See `Host.stop`."""
        self._host.stop()
