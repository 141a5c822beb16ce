"""How much is asked of a deployment: records a second, from where the checks have got to and when."""

from collections import deque

WINDOW = 60.0  # seconds up to the newest record over which it is counted
LEAST = 1.0  # seconds that must lie between counts to tell a rate by them


class Traffic:
    """The newest counts of records, each with its time in UTC seconds.

    >>> traffic = Traffic()
    >>> for second in range(100):
    ...     traffic.note(1000.0 + second, 50 * second)
    >>> traffic.per_second, traffic.newest
    (50.0, 1099.0)
    """

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def note(self, at: float, count: int) -> None:
        """So many records had come by then; the same number as before is no news."""
        if self._counts and count == self._counts[-1][1]:
            return
        self._counts.append((at, count))
        while self._counts[0][0] < at - WINDOW:
            self._counts.popleft()

    def begin(self) -> None:
        """Records count from 1 again."""
        self._counts.clear()

    @property
    def newest(self) -> float:
        """When the newest records were seen; 0 where none were."""
        return self._counts[-1][0] if self._counts else 0.0

    @property
    def per_second(self) -> float:
        """Records a second up to then; 0 where too few are known to tell."""
        if not self._counts:
            return 0.0
        (begun, first), (ended, last) = self._counts[0], self._counts[-1]
        return (last - first) / (ended - begun) if ended - begun >= LEAST else 0.0
