"""Runs the workflows that rules of the policy want, beside the agents."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from agents.messages import Message, RunWorkflow, WorkflowRan
from agents.switchboard import answer_to

Submit = Callable[..., "Future[Any]"]
LOOK_UP = 0.5  # seconds between looks at whether the system stops


class Flows:
    """Door for `RunWorkflow`. What a workflow has made lies in the state folder, as of one that was run by hand.

    Parameters
    ----------
    submit : runs a job, as a host does.
    state : the folder with runs/ and store/.
    stopping : whether the system is being stopped.
    """

    def __init__(self, submit: Submit, state: Path, stopping: Callable[[], bool] = lambda: False) -> None:
        self._submit, self._state, self._stopping = submit, state, stopping

    def __call__(self, request: Message) -> list[Message]:
        """Run it to its end. Raises `GraphError`, `RunnerError`, `StepError` or `RunError` when it cannot begin."""
        assert isinstance(request, RunWorkflow)
        job, deadline = self._submit(play, file=Path(request.file), state=self._state), time.monotonic() + request.deadline
        while True:
            try:
                found: dict[str, Any] = job.result(timeout=LOOK_UP)
            except TimeoutError:
                if self._stopping() or time.monotonic() > deadline:
                    job.cancel()
                    raise
            else:
                return [answer_to(request, WorkflowRan, "workflows", broadcast=True, rule=request.rule, file=request.file, **found)]


def play(file: Path, state: Path) -> dict[str, Any]:
    """Run a graph and say how it ended. A run that was cut off is not gone on with, but what its steps had made is not made again."""
    from workflows.engine import run
    from workflows.events import DONE
    from workflows.graph_files import load

    result = run(load(file), base=file.parent, state=state)
    lost = [f"{task}: {one.why or one.state}" for task, one in result.outcomes.items() if one.state not in (*DONE, "not needed")]
    reason = "; ".join(lost) or (result.why if result.returns and result.value is None else "")
    return {"run": result.run, "ok": result.ok, "returns": result.returns, "value": result.value, "reason": reason}
