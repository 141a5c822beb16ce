"""Which deployments a cluster is to supervise, each by which policy: what the options of the command line say, taken together."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agents.options import OptionError
from agents.policy import Policy, load_policy
from scenarios.datasets import DATASETS
from workflows.brought import NAME, DeploymentFile, load_deployment
from workflows.words import nearest


class Wanted(NamedTuple):
    """A deployment that is to be supervised: of a data set of the package, or of a model that its owner brings."""

    name: str
    data: str | DeploymentFile
    policy: Policy

    @property
    def dataset(self) -> str:
        """The name of its data."""
        return self.data if isinstance(self.data, str) else self.data.name


def wanted(files: Sequence[Path], datasets: Sequence[str], policies: Sequence[str], default: str) -> list[Wanted]:
    """Everything that the options name, files first, each in its order; where they name nothing, the data set `default`.

    Parameters
    ----------
    files : deployment files, as `--deployment` takes them.
    datasets : names of data sets, or NAME=DATASET, as `--dataset` takes them.
    policies : FILE for all that have none of their own, or NAME=FILE for one, as `--policy` takes them.

    Raises
    ------
    OptionError
        A name comes twice or is of no use, or a policy is for nobody.
    DeploymentFileError, PolicyError
        A file cannot be used.

    Examples
    --------
    >>> [(one.name, one.dataset) for one in wanted([], ["digits", "left=digits"], [], "mnist")]
    [('digits', 'digits'), ('left', 'digits')]
    """
    found: dict[str, tuple[str | DeploymentFile, str]] = {}  # name -> its data, and its own policy's file, if it has one

    def add(name: str, data: str | DeploymentFile, policy: str = "") -> None:
        if name in found:
            raise OptionError(f"two deployments are called {name!r}: give one another name, in its file or as --dataset NAME=DATASET")
        found[name] = data, policy

    for file in files:
        told = load_deployment(file)
        add(told.name, told, str(Path(told.folder) / told.policy) if told.policy else "")
    for given in datasets or ([] if files else [default]):
        add(*_named(given))
    for_all, for_one = _by_name(policies, list(found))
    return [Wanted(name, data, load_policy(for_one.get(name) or (Path(own) if own else for_all))) for name, (data, own) in found.items()]


def played_on(known: Sequence[Wanted], dataset: str, on: str) -> str:
    """The deployment on which a scenario is played: the one called `on`, else the only one, else the only one of the scenario's data set.

    >>> both = wanted([], ["digits", "left=digits"], [], "")
    >>> played_on(both[:1], "mnist", ""), played_on(both, "digits", "left")
    ('digits', 'left')
    >>> played_on(both, "digits", "")
    Traceback (most recent call last):
    agents.options.OptionError: a scenario is played on one deployment: say --on digits or --on left
    """
    names = [one.name for one in known]
    if on:
        if on not in names:
            raise OptionError(f"--on {on}: no such deployment{nearest(on, names)}")
        return on
    fitting = [one.name for one in known if len(known) == 1 or one.dataset == dataset]
    if len(fitting) == 1:
        return fitting[0]
    raise OptionError(f"a scenario is played on one deployment: say {' or '.join(f'--on {name}' for name in fitting or names)}")


def _named(given: str) -> tuple[str, str]:
    """Name and data set of what `--dataset` was given."""
    name, equals, dataset = given.partition("=")
    if not equals:
        return given, given
    if not re.fullmatch(NAME, name):
        raise OptionError(f"--dataset {given}: the name is {name!r}; expected up to 35 small letters, digits and dashes")
    if name in DATASETS and name != dataset:
        raise OptionError(f"--dataset {given}: {name!r} is a data set itself; choose another name")
    return name, dataset


def _by_name(policies: Sequence[str], names: Sequence[str]) -> tuple[Path | None, dict[str, Path]]:
    """The policy for all, and those for one deployment each."""
    for_all: Path | None = None
    for_one: dict[str, Path] = {}
    for given in policies:
        name, equals, file = given.partition("=")
        if equals and not Path(given).exists():
            if name not in names:
                raise OptionError(f"--policy {given}: no such deployment{nearest(name, names)}")
            if name in for_one:
                raise OptionError(f"--policy {given}: {name} has a policy already, {for_one[name]}")
            for_one[name] = Path(file)
        elif for_all is not None:
            raise OptionError(f"--policy {given}: there is one for all already, {for_all}; write --policy NAME=FILE for one of {', '.join(names)}")
        else:
            for_all = Path(given)
    return for_all, for_one
