"""Reads the inference service's log for the tracker."""

import numpy as np

from agents.messages import Message, ReadRecords, RecordsRead
from agents.switchboard import answer_to
from workflows.inference import CursorAhead, Inference, Records


class LogDoor:
    """Answers `ReadRecords` with the next records of one pipeline."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    def __call__(self, request: Message) -> list[Message]:
        assert isinstance(request, ReadRecords)
        try:
            records = self._inference.records(request.after, request.limit)
        except CursorAhead:
            log = self._inference.stats().log
            return [answer_to(request, RecordsRead, "log", log=log, first=1, last=0)]
        count = _one_version(records)
        last = records.first + count - 1
        return [
            answer_to(
                request, RecordsRead, "log", log=records.log, first=records.first, last=last,
                pipeline=str(records.version[0]) if count else "", lost=records.lost[1] - records.lost[0] + 1 if records.lost else 0,
                early=np.ascontiguousarray(records.early[:count], np.float32).tobytes(),
                latent=np.ascontiguousarray(records.latent[:count], np.float32).tobytes(),
                routed=records.routed[:count].astype(np.uint8).tobytes(), widths=(records.early.shape[1], records.latent.shape[1]),
            )
        ]


def _one_version(records: Records) -> int:
    """How many records from the first on were answered by the same pipeline."""
    other = np.flatnonzero(records.version != records.version[:1])
    return int(other[0]) if len(other) else len(records.version)
