"""What the engine tells while it works, and what has become of each task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

State = Literal["finished", "cached", "failed", "skipped", "not needed", "interrupted"]
DONE = ("finished", "cached")


class Event(NamedTuple):
    """`kind`: "started", "line" (of its log), "retry", or "ended" (then `outcome` is there). `text` is for people."""

    kind: Literal["started", "line", "retry", "ended"]
    task: str
    text: str = ""
    outcome: "Outcome | None" = None


class Outcome(NamedTuple):
    """What has become of a task.

    state : "finished"; "cached": made before, by the same code from the same inputs; "failed"; "skipped": what it needs has failed;
        "not needed": a condition was false; "interrupted".
    code : its exit code, if it ran and failed.
    why : a sentence, where the state alone does not say it.
    outputs : the folder with its artefacts, if there are any.
    tries : how often it was started.
    made_by : digests of its code, its environment and its inputs, and the key under which it is kept; empty if it never came so far.
    """

    state: State
    code: int = 0
    why: str = ""
    metrics: dict[str, float] = {}  # noqa: RUF012 - never changed
    digests: dict[str, str] = {}  # noqa: RUF012
    outputs: Path | None = None
    seconds: float = 0.0
    tries: int = 0
    made_by: dict[str, Any] = {}  # noqa: RUF012


Listener = Callable[[Event], None]


class Result(NamedTuple):
    """How a run ended. `value` is that of the return function; None, with the reason in `why`, where it has none."""

    run: str
    folder: Path
    outcomes: dict[str, Outcome]
    delivered: dict[str, tuple[Path, ...]]
    returns: str = ""
    value: float | None = None
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing was interrupted."""
        return all(one.state in {*DONE, "not needed"} for one in self.outcomes.values())

    def of(self, *states: State) -> list[str]:
        """The tasks that ended in one of these states, in order."""
        return [task for task, one in self.outcomes.items() if one.state in states]

    def artefact(self, where: str) -> Path:
        """The artefact at "task.port". Raises KeyError if the task made none."""
        task, _, port = where.rpartition(".")
        outputs = self.outcomes[task].outputs
        if outputs is None or port not in self.outcomes[task].digests:
            raise KeyError(f"{where}: {task} is {self.outcomes[task].state} and has made no {port!r}")
        return outputs / port
