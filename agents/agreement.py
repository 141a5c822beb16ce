"""How well people agree who have named the same items: plain share with its interval, and Cohen's kappa.

Cohen, J. (1960). A coefficient of agreement for nominal scales. Educational and Psychological Measurement 20(1).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable

import msgspec

Z = 1.96  # standard deviations of a 95 % interval
LEAST = 5  # items that were named twice, before which disagreement may be bad luck
EXPECTED = 0.9  # share of items on which people are expected to agree


class Agreement:
    """Counts pairs of answers about the same item, as class indices; -1 is none of the classes.

    Examples
    --------
    >>> pairs = Agreement()
    >>> for first, second in [(0, 0), (0, 0), (1, 1), (1, 0)]:
    ...     pairs.add(first, second)
    >>> pairs.agreed, pairs.compared, round(pairs.kappa, 2)
    (3, 4, 0.5)
    """

    def __init__(self) -> None:
        self._pairs: Counter[tuple[int, int]] = Counter()

    def add(self, first: int, second: int) -> None:
        """Take two answers about one item."""
        self._pairs[first, second] += 1

    @property
    def compared(self) -> int:
        """Items that were named twice."""
        return self._pairs.total()

    @property
    def agreed(self) -> int:
        """Those of them that were named alike."""
        return sum(count for (first, second), count in self._pairs.items() if first == second)

    @property
    def kappa(self) -> float | None:
        """Agreement beyond what chance would bring: 1 is perfect, 0 no better than chance. None where chance alone would make it perfect."""
        if not self.compared:
            return None
        firsts: Counter[int] = Counter()
        seconds: Counter[int] = Counter()
        for (first, second), count in self._pairs.items():
            firsts[first] += count
            seconds[second] += count
        chance = sum(firsts[name] * seconds[name] for name in firsts) / self.compared**2
        return None if chance == 1 else (self.agreed / self.compared - chance) / (1 - chance)

    @property
    def is_poor(self) -> bool:
        """Whether even the upper end of the interval of the share is below what is expected."""
        return self.compared >= LEAST and share_interval(self.agreed, self.compared)[1] < EXPECTED


class AgreementView(msgspec.Struct, frozen=True):
    """How often items that were named twice were named alike. `kappa` is Cohen's, or None where it says nothing."""

    compared: int = 0
    agreed: int = 0
    kappa: float | None = None


def share_interval(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    >>> low, high = share_interval(9, 10)
    >>> round(low, 2), round(high, 2)
    (0.6, 0.98)
    """
    share, spread = hits / of, Z * Z / of
    middle, half = share + spread / 2, (spread * (share * (1 - share) + spread / 4)) ** 0.5
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def repeated(question: str, items: Iterable[int], share: float) -> tuple[int, ...]:
    """Which items of a question are shown a second time: each with probability `share`, always the same ones of the same question.

    >>> repeated("digits-1/harm", range(1, 11), 0.0), repeated("digits-1/harm", [1, 2], 1.0)
    ((), (1, 2))
    """
    return tuple(seq for seq in items if _chance(f"{question}|{seq}") < share)


def _chance(text: str) -> float:
    """A number in [0, 1) that looks drawn at random and is always the same for a text."""
    return int.from_bytes(hashlib.blake2s(text.encode(), digest_size=4).digest()) / 2**32
