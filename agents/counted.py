"""Which labels have been counted: house systems hand in the same file again, and a label must not count twice."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.weaknesses.watch import decoded

MOST = 50_000  # numbers that are remembered, the newest; the log holds no more records, so labels of older ones find none


class Counted:
    """Numbers of the records whose labels have been counted.

    >>> counted = Counted()
    >>> counted.fresh(np.array([3, 7])).tolist(), counted.fresh(np.array([5, 7])).tolist()
    ([True, True], [True, False])
    """

    def __init__(self) -> None:
        self._seqs = np.zeros(0, np.int64)

    def fresh(self, seqs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these numbers [n] are new, and remember them."""
        new = ~np.isin(seqs, self._seqs)
        self._seqs = np.union1d(self._seqs, seqs)[-MOST:]
        return new

    def clear(self) -> None:
        """Forget all, as when records count from 1 again."""
        self._seqs = np.zeros(0, np.int64)

    def state(self) -> bytes:
        """Return all that is remembered: steps from number to number, a byte each where they are small."""
        return msgspec.msgpack.encode(np.diff(self._seqs, prepend=0).tolist())

    def restore(self, state: bytes) -> None:
        """Go on from a state. Raises ValueError when the bytes are damaged."""
        self._seqs = np.cumsum(np.array(decoded(state, list[int]), np.int64))
