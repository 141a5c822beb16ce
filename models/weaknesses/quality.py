"""Data quality: are these pictures at all? Exact rules, no statistics.

Bad data is no drift that a model could learn: a camera that is covered or stuck, a client that scales twice, a service that refuses every
other request. The rules, each counted over the last `window` records:

    not a number   a feature or a logit is not finite                                    one is enough
    blank          all pixels of a picture are alike                                     more than `blank` of them
    unscaled       no pixel above 1 of 255, though not all alike: 0..1 stored as whole   more than `blank` of them
    in a row       so many equal pictures one after the other: the camera is stuck       `in_a_row`
    repeated       pictures that equal another one of the window                         more than `repeated` of them
    refused        requests with images of a wrong shape, type or range                  more than `refused` of all

They see pictures only as `facts_of` tells of them, so pictures stay where they are. There is no rate of false alarms, since there is no
chance in it: what is reported has happened. Whether it matters is for a person; no remedy can mend it.

Breck, E. et al. (2019). Data validation for machine learning. MLSys.
"""

import math
from collections import Counter, deque
from hashlib import blake2b
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.reference import Reference
from models.weaknesses.check import FACTS, Evidence, Records
from models.weaknesses.watch import decoded

RULES = ("not a number", "blank", "unscaled", "in a row", "repeated", "refused")
_SENTENCES = {
    "not a number": "features of {count:.0f} of the last {seen} records are not finite numbers",
    "blank": "{count:.0f} of the last {seen} pictures are blank: all their pixels are alike",
    "unscaled": "{count:.0f} of the last {seen} pictures have no pixel above 1 of 255: scaled to 0..1 before being stored as whole numbers",
    "in a row": "the same picture came {count:.0f} times in a row: its source is stuck",
    "repeated": "{count:.0f} of the last {seen} pictures equal another of them",
    "refused": "{count:.0f} requests were refused beside the last {seen} records, for images of a wrong shape, type or range",
}


def facts_of(images: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what is told of each picture: a digest (equal for equal pictures), lowest and highest pixel, their difference; float64 [n, 4].

    Of rows of a table, float32 [n, features], only the digest is told, NaN else: a row of zeros is no covered camera.

    >>> facts_of(np.full((2, 8, 8), 7, np.uint8))[:, 1:].tolist()
    [[7.0, 7.0, 0.0], [7.0, 7.0, 0.0]]
    """
    flat = np.ascontiguousarray(images).reshape(len(images), math.prod(images.shape[1:]))
    digests = [int.from_bytes(blake2b(row.tobytes(), digest_size=6).digest(), "big") for row in flat]  # 48 bits: a float64 holds them exactly
    facts = np.full((len(flat), len(FACTS)), np.nan)
    facts[:, 0] = digests
    if flat.dtype == np.uint8 and flat.size:
        facts[:, 1], facts[:, 2] = flat.min(1), flat.max(1)
        facts[:, 3] = facts[:, 2] - facts[:, 1]
    return facts


class Quality:
    """Alarms when too many of the last records break a rule.

    Parameters
    ----------
    reference : not used; rules need none.
    window : records over which rules are counted.
    blank, repeated, refused : shares of them, in [0, 1], from which on it is too many.
    in_a_row : equal pictures one after the other that mean that a camera is stuck.

    Examples
    --------
    >>> from models.detectors.synthetic import mixture_reference
    >>> from models.weaknesses.synthetic import labelled
    >>> check = Quality(mixture_reference(seed=0))
    >>> check.update(labelled(1000, seed=1)).alarm
    False
    >>> covered = labelled(50, seed=2, after=1000)
    >>> covered.facts[:, 1:] = 0
    >>> evidence = check.update(covered)
    >>> evidence.at, evidence.sentence
    (1011, '50 of the last 200 pictures are blank: all their pixels are alike')
    """

    name: ClassVar[str] = "quality"
    kind: ClassVar[str] = "quality"
    needs: ClassVar[frozenset[str]] = frozenset({"facts"})
    remedies: ClassVar[tuple[str, ...] | None] = ()
    advice: ClassVar[str] = "look at where the images come from: no remedy of the model mends them"

    def __init__(
        self, reference: Reference | None = None, *, window: int = 200, blank: float = 0.05, repeated: float = 0.95, refused: float = 0.05,
        in_a_row: int = 10,
    ) -> None:  # fmt: skip
        del reference  # all checks are made alike
        if window < 10 or in_a_row < 2 or not all(0 < share <= 1 for share in (blank, repeated, refused)):
            given = f"window={window}, in_a_row={in_a_row}, blank={blank}, repeated={repeated}, refused={refused}"
            raise ValueError(f"{given}; expected a window of at least 10 records, at least 2 in a row, and shares in (0, 1]")
        self.window = window
        self._limits = dict(zip(RULES, (0.5, blank * window, blank * window, in_a_row - 0.5, repeated * window, refused * window), strict=True))
        self.reset()

    def reset(self) -> None:
        """Forget the stream and any alarm."""
        self._rows: deque[tuple[int, int, int, int, int]] = deque()  # number, digest, and 1 where the record breaks each of the first three rules
        self._digests: Counter[int] = Counter()
        self._counts = [0.0] * len(RULES)
        self._twins, self._run = 0, 0
        self._refused: deque[int] = deque()
        self._alarm: tuple[str, int, int] | None = None  # rule, since, at

    def update(self, records: Records) -> Evidence:
        """Take records in order; see `Check`."""
        facts = records.known("facts")
        finite = np.isfinite(records.logits).all(1) & np.isfinite(records.early).all(1) & np.isfinite(records.latent).all(1)
        unseen = np.isnan(facts[:, 0])  # pictures that had left the ring before anybody looked
        digests = np.where(unseen, -records.seqs, facts[:, 0])
        blank = facts[:, 3] == 0
        unscaled = (facts[:, 2] <= 1) & ~blank
        columns = (records.seqs, digests, ~finite, blank, unscaled)
        refused = records.refused
        for row in zip(*(column.astype(np.int64).tolist() for column in columns), strict=True):
            self._take(row, refused)
            refused = 0
            self._judge(row[0])
        return self.evidence

    def _take(self, row: tuple[int, int, int, int, int], refused: int) -> None:
        self._run = self._run + 1 if self._rows and self._rows[-1][1] == row[1] else 1
        self._rows.append(row)
        self._refused.append(refused)
        self._digests[row[1]] += 1
        self._twins += {1: 0, 2: 2}.get(self._digests[row[1]], 1)
        signed = [(row, 1)]
        lost = 0
        if len(self._rows) > self.window:
            gone, lost = self._rows.popleft(), self._refused.popleft()
            self._digests[gone[1]] -= 1
            self._twins -= {0: 0, 1: 2}.get(self._digests[gone[1]], 1)
            if not self._digests[gone[1]]:
                del self._digests[gone[1]]
            signed.append((gone, -1))
        for one, sign in signed:
            for rule in range(3):
                self._counts[rule] += sign * one[2 + rule]
        self._counts[3:] = [float(self._run), float(self._twins), self._counts[5] + refused - lost]

    def _judge(self, seq: int) -> None:
        if self._alarm is not None:
            return
        for number, rule in enumerate(RULES):
            if self._counts[number] > self._limits[rule] and (rule != "repeated" or len(self._rows) == self.window):
                self._alarm = rule, self._since(number), seq
                return

    def _since(self, number: int) -> int:
        """The first record of the window that breaks the rule."""
        if number < 3:
            return next(row[0] for row in self._rows if row[2 + number])
        return self._rows[-min(self._run, len(self._rows))][0] if RULES[number] == "in a row" else self._rows[0][0]

    @property
    def evidence(self) -> Evidence:
        """How things stand now: the value is the count that is nearest to its limit, in units of that."""
        counts = dict(zip(RULES, self._counts, strict=True))
        over = {rule: count / self._limits[rule] for rule, count in counts.items() if rule != "repeated" or len(self._rows) == self.window}
        worst = self._alarm[0] if self._alarm else max(over, key=lambda rule: over[rule])
        text = _SENTENCES[worst].format(count=counts[worst], seen=len(self._rows))
        _, since, at = self._alarm or (worst, None, None)
        return Evidence(over[worst], 1.0, self._alarm is not None, since, at, text, counts)

    def state(self) -> bytes:
        """Return all that is remembered."""
        return msgspec.msgpack.encode(_Saved(self._limits, list(self._rows), list(self._refused), self._run, self._alarm))

    def restore(self, state: bytes) -> None:
        """Go on from a state. Raises ValueError."""
        saved = decoded(state, _Saved)
        if saved.limits != self._limits:
            raise ValueError(f"the state belongs to a check with other limits: {saved.limits}; this one's are {self._limits}")
        self.reset()
        for row, refused in zip(saved.rows, saved.refused, strict=True):
            self._take(row, refused)
        self._run = saved.run
        self._counts[3] = float(saved.run if saved.rows else 0)
        self._alarm = saved.alarm


class _Saved(msgspec.Struct):
    limits: dict[str, float]
    rows: list[tuple[int, int, int, int, int]]
    refused: list[int]
    run: int
    alarm: tuple[str, int, int] | None
