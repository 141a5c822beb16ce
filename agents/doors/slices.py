"""To which slice of the traffic records belong: a book beside the log, kept from what the house tells of its records.

The inference service sees images, not where they come from. So an attribute such as the site is told by whoever knows it, together with true
labels or before these have come. A slice without an attribute, as the check for bias finds it in latent space, needs nobody's word.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from models.reference import Reference
from models.weaknesses.bias import FOUND, nearest, parts

FOUND_SLICES = 8  # as the check for bias has it where the policy says nothing
MOST = 100_000
"""Records whose attributes are kept, the newest ones: twice as many as the log of the inference service holds."""


class SliceBook:
    """Attributes of records by number, in one life of the log. Safe to use from several threads.

    Parameters
    ----------
    found : how many slices the check for bias finds in latent space, where it is given no attribute.

    Examples
    --------
    >>> book = SliceBook()
    >>> book.note("log", {"site": {1: "north", 2: "south", 4: "south"}}, labelled=[2])
    >>> inside, known = book.rows("site=south", "log", np.array([1, 2, 3, 4]))
    >>> inside.tolist(), known.tolist(), book.is_labelled("log", np.array([1, 2])).tolist(), book.newest("site", "log")
    ([False, True, False, True], [True, True, False, True], [False, True], 4)
    """

    def __init__(self, found: int = FOUND_SLICES) -> None:
        self._found, self._log = found, ""
        self._values: dict[str, dict[int, str]] = defaultdict(dict)
        self._labelled: set[int] = set()
        self._lock = threading.Lock()

    def note(self, log: str, slices: Mapping[str, Mapping[int, str]], labelled: Iterable[int] = ()) -> None:
        """Keep what is told of records of this life of the log, and which of them have a true label. An empty value tells nothing."""
        with self._lock:
            self._turn_to(log)
            for attribute, values in slices.items():
                self._values[attribute].update({seq: value for seq, value in values.items() if value})
            for kept in self._values.values():
                for seq in sorted(kept)[: max(0, len(kept) - MOST)]:
                    del kept[seq]
            self._labelled |= set(labelled)
            self._labelled -= set(sorted(self._labelled)[: max(0, len(self._labelled) - MOST)])

    def complete(self, log: str, slices: Mapping[str, Mapping[int, str]], seqs: list[int]) -> dict[str, tuple[str, ...]]:
        """By attribute the value of each of `seqs`, as told now or before; "" where nobody has told it."""
        with self._lock:
            kept = self._values if log == self._log else {}
            names = dict.fromkeys((*slices, *kept))
            told = {name: {**kept.get(name, {}), **slices.get(name, {})} for name in names}
        return {name: tuple(values.get(seq, "") for seq in seqs) for name, values in told.items()}

    def newest(self, attribute: str, log: str) -> int:
        """The newest record of which the attribute is known; 0 if it is of none."""
        with self._lock:
            return max(self._values.get(attribute, {}), default=0) if log == self._log else 0

    def is_labelled(self, log: str, seqs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of which records a true label has come: bool [n]."""
        with self._lock:
            return np.array([log == self._log and seq in self._labelled for seq in seqs.tolist()], bool)

    def rows(
        self, slice_: str, log: str, seqs: NDArray[np.int64], latent: NDArray[np.float32] | None = None, reference: Reference | None = None
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which records lie in a slice, and of which that is known: bool [n] each.

        Parameters
        ----------
        slice_ : such as "site=south", or "looks=3, mostly class 7" for one that was found in latent space.
        latent, reference : float32 [n, d] and that of the pipeline that answered, for a slice that was found.
        """
        attribute, _, value = slice_.partition("=")
        if attribute == FOUND:
            if latent is None or reference is None:
                return np.zeros(len(seqs), bool), np.zeros(len(seqs), bool)
            slices = parts(reference.standard_latent(reference.fit_latent), reference.fit_labels, self._found)
            names = np.array([name for name, _ in slices])
            return names[nearest(slices, reference.standard_latent(latent))] == value, np.ones(len(seqs), bool)
        with self._lock:
            kept = self._values.get(attribute, {}) if log == self._log else {}
            told = np.array([kept.get(seq, "") for seq in seqs.tolist()], np.str_)
        return told == value, told != ""

    def _turn_to(self, log: str) -> None:
        if log != self._log:  # records count from 1 again
            self._log = log
            self._values.clear()
            self._labelled.clear()
