"""Joins true labels that came late with the records that they belong to, as far as the log still has them."""

import numpy as np

from agents.doors.slices import SliceBook
from agents.messages import JoinLabels, Message, RecordsLabelled
from agents.switchboard import answer_to
from workflows.inference import CursorAhead, Inference, Records

CHUNK = 2000  # records that are asked for at once
_COLUMNS = ("seqs", "labels", "truth", "logits", "early", "latent")


class LabelDoor:
    """Door for `JoinLabels`. Labels of records that have left the log are counted as lost: enlarge the log if they come later than that.

    To which slices records belong is kept in `book`, also of those whose label has not come yet.
    """

    def __init__(self, inference: Inference, book: SliceBook) -> None:
        self._inference, self._book = inference, book

    def __call__(self, request: Message) -> list[Message]:
        """Join. Raises `LookupError` when none of the records is in the log, `ValueError` when a label is beyond its classes."""
        assert isinstance(request, JoinLabels)
        if not request.labels:
            self._book.note(self._inference.stats().log, request.slices)
            return [answer_to(request, RecordsLabelled, "labels", broadcast=True, **dict.fromkeys(_COLUMNS, b""), pipelines=())]
        wanted = np.array(sorted(request.labels), np.int64)
        found = self._find(wanted)
        if not found:
            raise LookupError(f"none of the {len(wanted)} labelled records is in the log (any more); check their numbers, or enlarge the log")
        classes = max(part.logits.shape[1] for part, _ in found)
        least, most = min(request.labels.values()), max(request.labels.values())
        if most >= classes:
            raise ValueError(f"labels are {least} to {most}, the model's classes 0 to {classes - 1}: none was counted; does the file count from 1?")
        seqs = np.concatenate([part.seqs[rows] for part, rows in found])

        def column(name: str, kind: type[np.generic]) -> bytes:
            return np.concatenate([getattr(part, name)[rows] for part, rows in found]).astype(kind).tobytes()

        known, log = seqs.tolist(), found[-1][0].log
        self._book.note(log, request.slices, known)
        return [
            answer_to(
                request, RecordsLabelled, "labels", broadcast=True, seqs=seqs.tobytes(), labels=column("label", np.int64),
                truth=np.array([request.labels[seq] for seq in known], np.int64).tobytes(), logits=column("logits", np.float32),
                early=column("early", np.float32), latent=column("latent", np.float32),
                pipelines=tuple(str(version) for part, rows in found for version in part.version[rows]),
                slices=self._book.complete(log, request.slices, known), lost=len(wanted) - len(known),
            )
        ]

    def _find(self, wanted: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[tuple[Records, np.ndarray[tuple[int], np.dtype[np.intp]]]]:
        """Parts of the log with the rows in each that are wanted, in order."""
        found = []
        place = 0
        while place < len(wanted):
            try:
                part = self._inference.records(int(wanted[place]) - 1, CHUNK)
            except CursorAhead:  # numbers of records that are still to come
                break
            if part.last < part.first:
                break
            rows = np.flatnonzero(np.isin(part.seqs, wanted[place:]))
            if len(rows):
                found.append((part, rows))
            place = int(np.searchsorted(wanted, part.last, side="right"))
        return found
