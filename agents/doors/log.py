"""Reads the inference service's log for the tracker, and hands what was read to the checker."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.doors.spoiled import Spoiled
from agents.messages import HandOverRecords, Message, ReadRecords, RecordsRead, WindowObserved
from agents.switchboard import answer_to
from models.weaknesses.check import FACTS
from models.weaknesses.quality import facts_of
from workflows.inference import CursorAhead, Inference, Records


class LogDoor:
    """Answers `ReadRecords` with the numbers of the next records of one pipeline, and `HandOverRecords` with the records themselves.

    `answers` and `facts` say whether a check asks for what was answered and for what is told of pictures, `spoiled` tells of these by how much
    they look spoiled, if a check asks for that; see `models.weaknesses.check`.
    What was read last is kept until it is handed over, so that it comes over the wire once; after a crash it is read again.
    """

    def __init__(self, inference: Inference, *, answers: bool = False, facts: bool = False, spoiled: Spoiled | None = None) -> None:
        self._inference, self._answers, self._facts, self._spoiled = inference, answers, facts, spoiled
        self._refused: int | None = None  # requests so far, as the service counts them
        self._kept: Records | None = None

    def read(self, request: Message) -> list[Message]:
        """Say which records come next."""
        assert isinstance(request, ReadRecords)
        try:
            records = self._inference.records(request.after, request.limit, spread=True)
        except CursorAhead:
            log = self._inference.stats().log
            return [answer_to(request, RecordsRead, "log", log=log, first=1, last=0)]
        self._kept, count = records, _one_version(records)
        return [
            answer_to(
                request, RecordsRead, "log", log=records.log,
                first=records.first, last=records.first + count * records.every - 1, every=records.every,
                pipeline=str(records.version[0]) if count else "", lost=records.lost[1] - records.lost[0] + 1 if records.lost else 0,
            )
        ]

    def hand_over(self, request: Message) -> list[Message]:
        """Give the records to the checker. Raises `LookupError` when they are no longer in the log."""
        assert isinstance(request, HandOverRecords)
        records, self._kept = self._kept, None
        wanted = np.arange(request.first + request.every - 1, request.last + 1, request.every)
        if records is None or records.log != request.log or not np.isin(wanted, records.seqs).all():
            records = self._inference.records(request.first - 1, request.last - request.first + 1)
        if records.log != request.log or not np.isin(wanted, records.seqs).all():
            raise LookupError(f"records {request.first} to {request.last} have left the log before they were handed over; the next ones follow")
        rows = np.searchsorted(records.seqs, wanted)
        window = answer_to(
            request, WindowObserved, "log", broadcast=True, log=records.log, first=request.first, last=request.last, pipeline=request.pipeline,
            lost=request.lost, every=request.every, early=np.asarray(records.early[rows], np.float32).tobytes(),
            latent=np.asarray(records.latent[rows], np.float32).tobytes(), routed=records.routed[rows].astype(np.uint8).tobytes(),
            widths=(records.early.shape[1], records.latent.shape[1]), **self._more(records, rows),
        )
        return [window]

    def _more(self, records: Records, rows: NDArray[np.intp]) -> dict[str, Any]:
        """What checks beside the monitor look at."""
        more: dict[str, Any] = {}
        if self._answers:
            more |= {"labels": records.label[rows].astype(np.int64).tobytes(), "logits": np.asarray(records.logits[rows], np.float32).tobytes()}
        if self._facts or self._spoiled:
            images = self._inference.images(records.seqs[rows])
            there = np.searchsorted(records.seqs[rows], images.seqs)  # of those that have left the ring nothing is known
        if self._facts:
            facts = np.full((len(rows), len(FACTS)), np.nan)
            facts[there] = facts_of(images.images)
            rejected = self._inference.stats().rejected
            more |= {"facts": facts.tobytes(), "refused": max(0, rejected - self._refused) if self._refused is not None else 0}
            self._refused = rejected
        if self._spoiled and (told := self._spoiled.of(images.images)) is not None:
            spoiled = np.full(len(rows), np.nan)
            spoiled[there] = told
            more["spoiled"] = spoiled.tobytes()
        return more


def _one_version(records: Records) -> int:
    """How many records from the first on were answered by the same pipeline."""
    other = np.flatnonzero(records.version != records.version[:1])
    return int(other[0]) if len(other) else len(records.version)
