"""The team's pages: what each agent believes and hears, and the graph of who tells whom, with counts."""

import threading
import time
from typing import Any

from markupsafe import Markup

from agents.reception import Reception
from workflows.drawing.svg import svg

GRACE = 1.0  # seconds for which a picture is good: drawn once for all who watch


class TeamPages:
    """What `/agents` and `/graph` show."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawn: dict[tuple[Reception, bool], tuple[float, str]] = {}

    def agents(self, reception: Reception) -> dict[str, Any]:
        """Each agent with what it is for; nothing where nobody listens."""
        known = reception.pulse.wiring.graph.agents if reception.pulse else {}
        about = {name: node.description for name, node in known.items()}
        return {"agents": reception.seats(), "about": about}

    def graph(self, reception: Reception, *, everything: bool) -> dict[str, Any]:
        """The graph as SVG: the edges that have carried messages, or all."""
        return {"drawing": Markup(self._drawing(reception, everything)) if reception.pulse else "", "everything": everything}  # noqa: S704 - all of its text is escaped where it is made

    def _drawing(self, reception: Reception, everything: bool) -> str:
        key = reception, everything
        with self._lock:
            made, drawing = self._drawn.get(key, (0.0, ""))
            if time.monotonic() - made > GRACE:
                assert reception.pulse is not None
                drawing = svg(reception.pulse.wiring.graph, reception.pulse.edges(), used=not everything)
                self._drawn[key] = time.monotonic(), drawing
            return drawing
