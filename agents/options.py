"""What can be told of a cluster's options before anything is made, started or trained."""

import os
from collections.abc import Callable
from pathlib import Path

from scenarios.datasets import DATASETS, fetch
from scenarios.scenario import Scenario


class OptionError(ValueError):
    """An option of the command line cannot be followed; the text names it, what is wrong and what to do."""


def check_report(report: Path | None, *, played: bool) -> None:
    """Raise `OptionError` if an outcome could not be written to `report`, or if no scenario is `played` that would have one.

    >>> check_report(Path("report.json"), played=False)
    Traceback (most recent call last):
    agents.options.OptionError: --report needs --scenario NAME or --once: only what is played has an outcome
    """
    if report is None:
        return
    if not played:
        raise OptionError("--report needs --scenario NAME or --once: only what is played has an outcome")
    folder = report.parent
    if report.is_dir():
        raise OptionError(f"--report {report} is a folder; name a file in it, such as {report / 'report.json'}")
    if not folder.is_dir():
        raise OptionError(f"--report {report}: there is no folder {folder}; make it, or name a file in another one")
    if not os.access(report if report.exists() else folder, os.W_OK):
        raise OptionError(f"--report {report} cannot be written; name a file in a folder that you may write to")


def fetch_data(dataset: str, scenario: Scenario | None, say: Callable[[str], object]) -> None:
    """See to it that the images of `dataset`, and those that `scenario` mixes in, are there. Raises `scenarios.errors.DataError`."""
    foreign = [segment.unknown_class for segment in scenario.segment] if scenario is not None else []
    for name in dict.fromkeys([dataset, *(one for one in foreign if one in DATASETS)]):
        assert name is not None
        fetch(name, say)
