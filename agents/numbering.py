"""Which number the i-th weighed record has, where only some of the records are weighed."""

from collections import deque

CHANGES = 1000  # of pace that are remembered


class Numbering:
    """Remembers changes of pace only.

    >>> numbering = Numbering()
    >>> numbering.note(0, record=5, every=1)
    >>> numbering.note(3, record=20, every=10)
    >>> [numbering.record(index) for index in range(5)]
    [5, 6, 7, 20, 30]
    """

    def __init__(self) -> None:
        self._changes: deque[tuple[int, int, int]] = deque(maxlen=CHANGES)  # (so many weighed before, next record, one of how many), oldest first

    def note(self, weighed: int, record: int, every: int) -> None:
        """After so many that have been weighed, the next has the number `record`, and from there on one of `every` so many is."""
        begin, known, before = self._changes[-1] if self._changes else (0, 0, 0)
        if before != every or record != known + (weighed - begin) * every:
            self._changes.append((weighed, record, every))

    def record(self, index: int) -> int:
        """The number of the record that was weighed as the `index`-th, counted from 0."""
        begin, record, every = next((change for change in reversed(self._changes) if change[0] <= index), self._changes[0])
        return max(1, record + (index - begin) * every)

    def clear(self) -> None:
        """Begin anew."""
        self._changes.clear()
