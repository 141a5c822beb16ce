"""Who records runs: a process of its own, so that nobody waits for MLflow, whose import alone takes seconds."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from workflows.recording import Recorded, expect, one_at_a_time, record, recorded, unrecorded
from workflows.runs import Run, RunError
from workflows.tracking import MlflowTracking, TrackingError

LOG = "tracking.log"


def hand_over(run: Run, state: Path, say: Callable[[str], None]) -> "subprocess.Popen[bytes] | None":
    """Have a run recorded by another process, which outlives this one; a server that does not answer is told of at once.

    Returns that process; None if there is none.
    """
    tracking = MlflowTracking(state)
    expect(run, tracking.where)
    again = f"nothing is lost: send it with `python -m workflows track --state {state}`, or with the next run"
    try:
        tracking.reach()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with (run.folder / LOG).open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "workflows", "track", run.name, "--state", str(state)], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env=environment, start_new_session=True,
            )  # fmt: skip
    except (TrackingError, OSError) as error:
        expect(run, tracking.where, str(error))
        say(f"not recorded in MLflow: {error}; {again}")
        return None
    say(f"recorded in MLflow ({tracking.where}) in the background; `python -m workflows track {run.name} --state {state}` waits for it")
    return child


def catch_up(state: Path, names: list[str], tell: Callable[[str], None]) -> bool:
    """Record the named runs, and then all others that wait; without names those that wait. Whether all are recorded.

    Raises `RunError` for a run that is not there.
    """
    runs = state / "runs"
    asked = [Run.find(runs, name) for name in names]
    if not asked and not unrecorded(runs):
        tell(f"all runs of {state} that were to be recorded are recorded")
        return True
    tracking = MlflowTracking(state)
    with one_at_a_time(state):
        waiting = [run for run in unrecorded(runs) if run.name not in names]
        found = [_record(run, tracking, tell) for run in asked]
        for run in waiting:
            if any(one.store and not one.run_id for one in found):
                break  # a server that did not take one will not take the next
            found.append(_record(run, tracking, tell))
    return all(one.run_id for one in found)


def behind(state: Path) -> list[str]:
    """What to tell of earlier runs that could not be recorded; nothing where there are none."""
    waiting = [one for run in unrecorded(state / "runs") if (one := recorded(run)) is not None and one.why]
    if not waiting:
        return []
    many = "an earlier run is" if len(waiting) == 1 else f"{len(waiting)} earlier runs are"
    return [f"{many} not recorded in MLflow: {waiting[-1].why}; send with `python -m workflows track --state {state}`, or with this run"]


def _record(run: Run, tracking: MlflowTracking, tell: Callable[[str], None]) -> Recorded:
    """Record one run. What the store refuses has its name in what comes back; a run that cannot be read has none, and hinders no other."""
    try:
        found = record(run, tracking, tracking.where)
    except Exception as error:  # noqa: BLE001 - noted and told; there are other runs to record
        found = Recorded(why=str(error) if isinstance(error, RunError) else f"it cannot be read: {type(error).__name__}: {error}")
        expect(run, "", found.why)
    tell(f"{run.name}: recorded as run {found.run_id} in {found.store}" if found.run_id else f"{run.name}: not recorded: {found.why}")
    return found
