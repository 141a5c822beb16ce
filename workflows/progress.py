"""A run on a terminal while it works: one line for each task, with its state, its time and the last line of its log.

Where there are more tasks than lines, those that run come first, then those that failed, then the newest that ended.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workflows.drawing.picture import plain
from workflows.events import Event, State

SIGNS: dict[str, tuple[str, str]] = {  # a sign and a colour for each state: never a colour alone
    "waiting": ("·", "dim"), "running": ("▶", "blue"), "finished": ("✓", "green"), "cached": ("=", "cyan"), "failed": ("✗", "bold red"),
    "skipped": ("-", "yellow"), "not needed": ("-", "dim"), "interrupted": ("!", "yellow"),
}  # fmt: skip
AROUND = 4  # lines of the screen that are not for tasks


class _Line:
    """What is known of one task."""

    def __init__(self) -> None:
        self.state: State | str = "waiting"
        self.begun: float | None = None
        self.ended: float | None = None
        self.text = ""


class Progress:
    """A listener for `workflows.engine.run` that draws; use it as a context, so that the terminal is left as it was.

    Parameters
    ----------
    names : the ids of all tasks, in order.
    console : where to draw.
    clock : seconds, for durations.
    """

    def __init__(self, names: list[str], console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._lines = {name: _Line() for name in names}
        self._console, self._clock, self._begun = console, clock, clock()
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=8, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """See `workflows.events.Listener`; it draws by itself, several times a second."""
        line = self._lines[event.task]
        match event.kind:
            case "started":
                line.state, line.text = "running", ""
                line.begun = self._clock() if line.begun is None else line.begun
            case "line" | "retry":
                line.text = plain(event.text)
            case "ended" if event.outcome is not None:
                line.state, line.ended = event.outcome.state, self._clock()
                metrics = ", ".join(f"{name} {value:.4g}" for name, value in event.outcome.metrics.items())
                line.text = plain(event.outcome.why) or metrics or line.text

    def render(self) -> RenderableType:
        """The picture of this moment."""
        now = self._clock()
        room = max(3, self._console.height - AROUND)
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), expand=True)
        for ratio in (None, None, None, None, 1):
            table.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis", max_width=None if ratio else 30)
        shown = self._chosen(room)
        for name in shown:
            line = self._lines[name]
            sign, style = SIGNS[line.state]
            seconds = "" if line.begun is None else _time((now if line.ended is None else line.ended) - line.begun)
            table.add_row(Text(sign, style), Text(name, style if line.state == "running" else ""), Text(line.state, style),
                          Text(seconds, "dim"), Text(line.text, "dim"))  # fmt: skip
        counts: dict[str, int] = {}
        for line in self._lines.values():
            counts[line.state] = counts.get(line.state, 0) + 1
        over = sum(count for state, count in counts.items() if state not in {"waiting", "running"})
        words = ", ".join(f"{counts[state]} {state}" for state in SIGNS if state in counts)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(max(len(self._lines), 1), over, width=20), Text(f"{over}/{len(self._lines)}  {_time(now - self._begun)}  {words}"))
        hidden = len(self._lines) - len(shown)
        return Group(table, *([Text(f"  and {hidden} more", "dim")] if hidden else []), bar)

    def _chosen(self, room: int) -> list[str]:
        if len(self._lines) <= room:
            return list(self._lines)
        rank = {"running": 0, "failed": 1, "interrupted": 1, "waiting": 3}
        by_need = sorted(self._lines, key=lambda name: (rank.get(self._lines[name].state, 2), -(self._lines[name].ended or 0.0)))
        kept = set(by_need[:room])
        return [name for name in self._lines if name in kept]


def _time(seconds: float) -> str:
    """As short as a clock would say it.

    >>> _time(3.25), _time(75), _time(4000)
    ('3.2 s', '1:15', '1:06:40')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
