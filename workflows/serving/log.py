"""A bounded log of numbered rows: preallocated columns, written in whole batches, the oldest rows overwritten first."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = tuple[tuple[int, ...], type[np.generic] | np.dtype[Any]]


class Ring:
    """Rows numbered from 1; the row of number s lies at (s - 1) % capacity. Not locked: its owner does that.

    Examples
    --------
    >>> ring = Ring(3, {"x": ((), np.int64)})
    >>> ring.extend({"x": np.array([10, 20])}), ring.extend({"x": np.array([30, 40])})
    (1, 3)
    >>> ring.first, ring.last, ring.read(2, 4)["x"].tolist()
    (2, 4, [20, 30, 40])
    """

    def __init__(self, capacity: int, columns: Mapping[str, Column]) -> None:
        """Allocate `columns`, name -> (shape of one row, dtype), for `capacity` rows."""
        self.capacity, self.last = capacity, 0
        self._columns: dict[str, NDArray[Any]] = {name: np.zeros((capacity, *shape), dtype) for name, (shape, dtype) in columns.items()}

    @property
    def first(self) -> int:
        """The oldest number still kept; `last` + 1 while there is none."""
        return max(1, self.last - self.capacity + 1)

    def extend(self, rows: Mapping[str, NDArray[Any]]) -> int:
        """Append n <= capacity rows, given as one array per column, and say the number of the first one."""
        n = len(next(iter(rows.values())))
        at = self.last % self.capacity
        head = min(n, self.capacity - at)
        for name, column in self._columns.items():
            values = rows[name]
            column[at : at + head] = values[:head]
            if head < n:
                column[: n - head] = values[head:]
        first = self.last + 1
        self.last += n
        return first

    def read(self, first: int, last: int) -> dict[str, NDArray[Any]]:
        """Copies of the rows `first` to `last`, all of which must still be kept; empty columns if last < first."""
        return self.gather(np.arange(first, last + 1))

    def gather(self, seqs: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Copies of the rows with these numbers, all of which must still be kept."""
        rows = (seqs - 1) % self.capacity
        return {name: column[rows] for name, column in self._columns.items()}
