"""What a person is told about a run: lines while it works, and at its end what failed, what was skipped and how to resume."""

from collections.abc import Callable

from workflows.events import Event, Outcome, Result, State
from workflows.runs import Run

TAIL = 10  # lines of a failed step's log

Say = Callable[[str], None]


class Teller:
    """Tells what happens as it happens, each line with the name of its task.

    Parameters
    ----------
    say : is given each line.
    names : the ids of all tasks, for the width of the first column.
    """

    def __init__(self, say: Say, names: list[str]) -> None:
        self._say, self._width, self._total, self._over = say, min(30, max(map(len, names), default=1)), len(names), 0

    def __call__(self, event: Event) -> None:
        """See `workflows.events.Listener`."""
        if event.kind == "line":
            self._line(event.task, event.text)
        elif event.kind == "retry":
            self._line(event.task, f"-- {event.text}")
        elif event.kind == "started":
            self._line(event.task, "-- started")
        elif event.outcome is not None:
            self._over += 1
            self._line(event.task, f"-- {ending(event.outcome)} [{self._over}/{self._total}]")

    def _line(self, task: str, text: str) -> None:
        self._say(f"{task:<{self._width}} | {text}")


def ending(outcome: Outcome) -> str:
    """One outcome as a few words.

    >>> ending(Outcome("failed", code=3, seconds=1.25)), ending(Outcome("cached", why="nothing has changed since it was made"))
    ('failed with exit code 3 after 1.2 s', 'cached: nothing has changed since it was made')
    """
    because = f": {outcome.why}" if outcome.why else ""
    if outcome.state == "finished":
        metrics = ", ".join(f"{name} {value:.6g}" for name, value in outcome.metrics.items())
        return f"finished in {outcome.seconds:.1f} s" + (f": {metrics}" if metrics else "")
    if outcome.state == "failed":
        tries = f", at try {outcome.tries}" if outcome.tries > 1 else ""
        return f"failed with exit code {outcome.code} after {outcome.seconds:.1f} s{tries}{because}"
    return f"{outcome.state}{because}"


def summary(result: Result) -> list[str]:
    """The end of a run: what is missing and why, its return function, and how to go on."""
    lines = []
    log = Run(result.folder)
    for task in result.of("failed"):
        lines += ["", f"{task} {ending(result.outcomes[task])}"]
        lines += [f"    {line}" for line in log.log(task, TAIL)] if result.outcomes[task].tries else []
        lines.append(f"    its files: {result.folder / 'tasks' / task}")
    lines += [""] if lines else []
    left: tuple[State, ...] = ("skipped", "not needed", "interrupted")
    for state in left:
        if found := result.of(state):
            lines.append(f"{state}: {_some([f'{task} ({result.outcomes[task].why})' for task in found])}")
    counts = f"{len(result.of('finished'))} run, {len(result.of('cached'))} taken from before"
    lines.append(f"run {result.run}: {len(result.of('finished', 'cached'))} of {len(result.outcomes)} tasks done ({counts})")
    if result.returns:
        lines.append(f"returns {result.returns} = {result.value:.6g}" if result.value is not None else f"returns no {result.returns}: {result.why}")
    lines += [f"{target}: {', '.join(map(str, places))}" for target, places in result.delivered.items()]
    if not result.ok:
        lines.append(f"go on with: python -m workflows run --resume {result.run} --state {result.folder.parent.parent}")
    return lines


def _some(words: list[str], most: int = 10) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
