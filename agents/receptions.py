"""Several deployments' receptions behind one front desk: whose is meant, and what is told of all together."""

import re
import threading
from collections import deque
from collections.abc import Sequence

from agents.board import EVENTS, QuestionView, Status
from agents.reception import Reception, ReceptionError
from workflows.words import nearest

Event = tuple[int, float, str]


class Receptions:
    """The receptions of all deployments, in the order in which they were named. Safe to use from several threads.

    Names of questions and incidents begin with their deployment's, so each finds its own; for what is no name, such as a record's number,
    somebody must say which deployment is meant, unless there is only one.
    """

    def __init__(self, receptions: Sequence[Reception]) -> None:
        self._all = {one.deployment: one for one in receptions}
        self._heard = dict.fromkeys(self._all, 0)
        self._events: deque[tuple[str, Event]] = deque(maxlen=EVENTS)
        self._number = 0
        self._lock = threading.Lock()

    def one(self, name: str = "") -> Reception:
        """The deployment called `name`; without a name, the only one. Raises `ReceptionError`."""
        if not name and len(self._all) == 1:
            return next(iter(self._all.values()))
        if not name:
            raise ReceptionError(f"which deployment is meant? `use NAME`, or --deployment NAME; there are {', '.join(self._all)}")
        if name not in self._all:
            raise ReceptionError(f"no deployment {name!r}{nearest(name, self._all)}")
        return self._all[name]

    def some(self, name: str = "") -> list[Reception]:
        """The deployment called `name`; without a name, all. Raises `ReceptionError`."""
        return [self.one(name)] if name else list(self._all.values())

    def asking(self, question: str, name: str = "") -> Reception:
        """Who asks or has asked a question; where nobody has, as `one`."""
        return next((one for one in self._all.values() if one.board.question(question) is not None), None) or self.one(name)

    def telling(self, incident: str, name: str = "") -> Reception:
        """Whose an incident is; without one, who has opened the newest. Where nobody knows it, as `one`."""
        found = self.some(name)
        if not incident:
            return max(found, key=lambda one: max((view.opened for view in one.board.status().incidents), default=0.0))
        return next((one for one in self._all.values() if one.knows(incident)), None) or self.one(name)

    def statuses(self, name: str = "") -> list[Status]:
        """How each stands."""
        return [one.board.status() for one in self.some(name)]

    def questions(self, name: str = "") -> list[QuestionView]:
        """Open questions, each deployment's oldest first."""
        return [view for one in self.some(name) for view in one.board.questions()]

    def events(self, after: int, name: str = "") -> list[Event]:
        """What happened after event `after`: number, time and line of each. Of several, a line that does not name its deployment is led by it.

        Numbers are of all together, so a name chooses among events and changes no number.
        """
        if len(self._all) == 1:
            return self.one(name).board.events(after)
        if name:
            self.one(name)
        with self._lock:
            fresh: list[tuple[float, str, str]] = []
            for deployment, one in self._all.items():
                news = one.board.events(self._heard[deployment])
                self._heard[deployment] = news[-1][0] if news else self._heard[deployment]
                fresh += [(at, deployment, text) for _, at, text in news]
            for at, deployment, text in sorted(fresh, key=lambda event: event[0]):
                self._number += 1
                self._events.append((deployment, (self._number, at, led(deployment, text))))
            return [event for deployment, event in self._events if event[0] > after and name in ("", deployment)]


def led(deployment: str, text: str) -> str:
    """A line about a deployment, led by its name unless it names it, or an incident, question or pipeline of it, already.

    >>> led("digits", "digits-1 opened"), led("digits", "undone by ana"), led("digits", "my-digits is another")
    ('digits-1 opened', 'digits: undone by ana', 'digits: my-digits is another')
    """
    return text if re.search(rf"(?<![\w-]){re.escape(deployment)}(?!\w)", text) else f"{deployment}: {text}"
