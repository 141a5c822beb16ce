"""Scores of answers, kept by the client: how many were right, by which version, and how many never came."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class Tally:
    """Right answers out of so many; `accuracy` is nan where there was none to score."""

    right: int = 0
    total: int = 0

    @property
    def accuracy(self) -> float:
        return self.right / self.total if self.total else float("nan")

    def add(self, right: int, total: int) -> None:
        self.right += right
        self.total += total


@dataclass
class Score:
    """What a service's answers were worth.

    Attributes
    ----------
    all : over all answered images that show one of the classes.
    changed : over those of them that were corrupted.
    by_version : over all, by the version that answered, in the order in which the versions first answered.
    changed_by_version : over the corrupted ones, likewise.
    foreign : answered images that show none of the classes, so that no label is right.
    failed : images without an answer, and `last_failure` the reason of the latest one.
    """

    all: Tally = field(default_factory=Tally)
    changed: Tally = field(default_factory=Tally)
    by_version: dict[str, Tally] = field(default_factory=dict)
    changed_by_version: dict[str, Tally] = field(default_factory=dict)
    foreign: int = 0
    failed: int = 0
    last_failure: str = ""

    @property
    def accuracy(self) -> float:
        """Over all answered images that show one of the classes, in [0, 1]; nan if there is none."""
        return self.all.accuracy

    def add(self, version: str, answered: NDArray[np.int64], truth: NDArray[np.int64], changed: NDArray[np.bool_]) -> None:
        """Count one request's answers: labels int64 [n] as answered and as true (-1: foreign), and which images were changed, bool [n]."""
        known = truth >= 0
        right = known & (answered == truth)
        self.foreign += int((~known).sum())
        for tally in (self.all, self.by_version.setdefault(version, Tally())):
            tally.add(int(right.sum()), int(known.sum()))
        for tally in (self.changed, self.changed_by_version.setdefault(version, Tally())):
            tally.add(int((right & changed).sum()), int((known & changed).sum()))

    def add_failed(self, count: int, reason: str) -> None:
        """Count images whose request failed."""
        self.failed += count
        self.last_failure = reason
