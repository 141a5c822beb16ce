"""Reading the log of the inference service."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from agents.messages.core import Message, Request


class ReadRecords(Request, frozen=True, kw_only=True):
    """Asks for at most `limit` records after sequence number `after`; if more have come, for every k-th of them."""

    after: int
    limit: int = 1024
    transient: ClassVar[bool] = True


class RecordsRead(Message, frozen=True, kw_only=True):
    """Records `first`..`last` are there, all of one pipeline; `lost` were overwritten before anybody read them.

    When there are very many, one of `every` so many is looked at: the records `first` + `every` - 1, `first` + 2 `every` - 1, ..., `last`.
    `log` names the life of the log: a restarted service counts from 1 again.
    """

    log: str = ""
    first: int
    last: int
    pipeline: str = ""
    lost: int = 0
    every: int = 1
    transient: ClassVar[bool] = True


class HandOverRecords(Request, frozen=True, kw_only=True):
    """Asks that the checker be given the records that were read: `WindowObserved`. Their features never go to the tracker."""

    log: str
    first: int
    last: int
    pipeline: str
    lost: int = 0
    every: int = 1
    transient: ClassVar[bool] = True


class WindowObserved(RecordsRead, frozen=True, kw_only=True):
    """Records that nobody has checked yet, in order: `early` and `latent` hold float32 rows of the given widths, `routed` one byte a record.

    Where a check asks for them: `labels` (int64) and `logits` (float32 rows) of the answers, `facts` (float64 rows) of the pictures, and how
    many requests were `refused` since the records before.
    """

    early: bytes = b""
    latent: bytes = b""
    routed: bytes = b""
    widths: tuple[int, int] = (0, 0)
    labels: bytes = b""
    logits: bytes = b""
    facts: bytes = b""
    refused: int = 0

    def features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Early-layer features [n, e] and latents [n, d]."""
        early, latent = (np.frombuffer(data, np.float32) for data in (self.early, self.latent))
        return early.reshape(-1, self.widths[0]), latent.reshape(-1, self.widths[1])

    def routed_flags(self) -> NDArray[np.bool_]:
        """Which of the records went through the gate [n]."""
        return np.frombuffer(self.routed, np.uint8).astype(bool)


class EvidenceUpdated(Message, frozen=True, kw_only=True):
    """The checker has weighed the records up to `cursor`, one of `every` so many."""

    cursor: int
    log_evidence: float
    every: int = 1
    transient: ClassVar[bool] = True


class EvidenceSaved(Message, frozen=True, kw_only=True):
    """The sequential tests, for drift, for its end and by check, as they stood after `cursor`: a new checker goes on from there."""

    cursor: int
    weighed: int
    log_evidence: float
    pipeline: str
    state: bytes
    end: bytes = b""
    checks: dict[str, bytes] = {}


class LogBegun(Message, frozen=True, kw_only=True):
    """The inference service keeps a new log, whose records count from 1 again."""

    log: str


class RecordsLost(Message, frozen=True, kw_only=True):
    """The reader fell behind: `count` records before `first` were overwritten in the log and will never be checked."""

    first: int
    count: int


class JoinLabels(Request, frozen=True, kw_only=True):
    """True labels have come from elsewhere, by sequence number: joins them with the records that they belong to.

    `slices`: by attribute, to which slice of the traffic a record belongs, one without a label too, as soon as that is known. The labels should
    be those of a fair sample of the records.
    """

    labels: dict[int, int] = {}
    slices: dict[str, dict[int, str]] = {}


class RecordsLabelled(Message, frozen=True, kw_only=True):
    """Records whose true labels have come, in order: one row each of `seqs`, `labels` (answered), `truth` (int64), and features (float32).

    `pipelines` answered them. `lost` of the labels came too late: their records had left the log.
    """

    seqs: bytes
    labels: bytes
    truth: bytes
    logits: bytes
    early: bytes
    latent: bytes
    pipelines: tuple[str, ...]
    slices: dict[str, tuple[str, ...]] = {}
    lost: int = 0
