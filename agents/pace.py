"""What a label costs in time, and how many are worth asking for.

The n-th label to learn from is taken to bring `WORTH` / n of accuracy: the first ones most, as wherever few labels are given. With a price on a
second of a person's time, labels are asked for as long as the last one brings what it costs.
"""

import statistics
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

import msgspec

WORTH = 0.1  # of accuracy, that the first label brings; twenty of them then bring 0.36
AWAY = 120.0  # seconds for one answer beyond which the person was somewhere else
BLINK = 0.2  # seconds under which nobody has looked: answers that are handed in together
NEWEST = 200  # labels of one person by one channel that count


def worth_asking(most: int, seconds: Sequence[float], price: float) -> int:
    """How many of `most` labels to ask for, when the ones so far took `seconds` each and a second is worth `price` of accuracy.

    >>> worth_asking(20, [9.0, 10.0, 40.0], price=0.001)
    10
    >>> worth_asking(20, [9.0, 10.0, 40.0], price=0.0), worth_asking(20, [], price=0.001)
    (20, 20)
    """
    known = [one for one in seconds if one > 0]
    if not price or not known:
        return most
    return min(most, int(WORTH / (price * statistics.median(known))))


class Stopwatch:
    """Times each image of a question from when it is shown to its answer. `clock` counts seconds.

    >>> times = iter([10.0, 13.5, 20.0])
    >>> watch = Stopwatch(lambda: next(times))
    >>> watch.show(12)
    >>> watch.show(12)  # still shown: it goes on
    >>> watch.answer(12)
    >>> watch.taken(12), watch.taken(15)
    (3.5, None)
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shown: int | None = None
        self._since = 0.0
        self._taken: dict[int, float] = {}

    def show(self, item: int | None) -> None:
        """An image is shown from now on, unless it is already."""
        if item is not None and item != self._shown:
            self._shown, self._since = item, self._clock()

    def answer(self, item: int) -> None:
        """The person has answered an image just now."""
        if item == self._shown:
            self._taken[item], self._shown = self._clock() - self._since, None

    def taken(self, item: int) -> float | None:
        """Seconds that its answer took; None where it was not shown."""
        return self._taken.get(item)


class PaceView(msgspec.Struct, frozen=True):
    """How long one person takes for a label by one channel: the median, in seconds, of `labels` of them."""

    channel: str
    by: str
    labels: int
    seconds: float


class Paces:
    """Seconds a label, by channel and person.

    >>> paces = Paces()
    >>> for seconds in (2.0, 3.0, 9.0):
    ...     paces.add("web", "ana", seconds)
    >>> paces.views()
    [PaceView(channel='web', by='ana', labels=3, seconds=3.0)]
    """

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=NEWEST))

    def add(self, channel: str, by: str, seconds: float) -> None:
        """Take one label that was timed; 0 seconds means that it was not."""
        if seconds > 0:
            self._seconds[channel, by].append(seconds)

    def views(self) -> list[PaceView]:
        """The quickest first."""
        found = [PaceView(channel, by, len(those), statistics.median(those)) for (channel, by), those in self._seconds.items()]
        return sorted(found, key=lambda view: view.seconds)
