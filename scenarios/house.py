"""The other systems of a house, in a replay: what they know of records, and when."""

from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scenarios.scenario import Scenario

FOREIGN_LABEL = -1


class House:
    """True labels that come late and, at once, to which slice of the traffic each record belongs; each is told once.

    Examples
    --------
    >>> house = House(Scenario(name="mine", segment=(), labels_after=2))
    >>> house.note(np.array([1, 2, 3]), np.array([7, -1, 5]), {"site": np.array(["north", "south", "south"])})
    >>> house.labels(), house.slices()
    ({1: 7}, {'site': {1: 'north', 2: 'south', 3: 'south'}})
    >>> house.note(np.array([4, 5]), np.array([0, 0]), {})
    >>> house.labels(), house.slices()
    ({3: 5}, {})
    """

    def __init__(self, scenario: Scenario) -> None:
        self._after, self._newest = scenario.labels_after, 0
        self._unlabelled: deque[tuple[int, int]] = deque()
        self._slices: dict[str, dict[int, str]] = {}

    def note(self, seqs: NDArray[np.int64], labels: NDArray[np.int64], slices: Mapping[str, NDArray[np.str_]]) -> None:
        """Records `seqs` have been answered; these are their true labels, -1 where none will ever be known, and their slices by attribute."""
        self._newest = max(self._newest, int(seqs.max(initial=0)))
        if self._after is not None:
            self._unlabelled.extend(zip(seqs.tolist(), labels.tolist(), strict=True))
        for attribute, values in slices.items():
            self._slices.setdefault(attribute, {}).update(zip(seqs.tolist(), values.tolist(), strict=True))

    def labels(self) -> dict[int, int]:
        """The true labels that have become known since this was last asked, by record."""
        due: dict[int, int] = {}
        while self._after is not None and self._unlabelled and self._unlabelled[0][0] + self._after <= self._newest:
            seq, label = self._unlabelled.popleft()
            if label != FOREIGN_LABEL:
                due[seq] = label
        return due

    def slices(self) -> dict[str, dict[int, str]]:
        """By attribute the slice of each record that was answered since this was last asked."""
        told, self._slices = self._slices, {}
        return told
