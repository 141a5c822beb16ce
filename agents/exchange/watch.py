"""Keeps a folder in step with a cluster: every question that opens is written into it, and what is filled in is handed in."""

from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from agents.exchange import folder
from agents.exchange.answers import Desk, ExchangeError, take


class Office(Desk, Protocol):
    """What is watched; `agents.visitor.Visitor` is one."""

    features: tuple[str, ...]

    def images(self, seqs: list[int], question: str = "") -> dict[int, NDArray[Any]]:
        """Images by record, as far as they are kept; `question` tells whose."""
        ...


class Watch:
    """A folder and a cluster. `look` does what is due and returns what to tell; ask it every few seconds."""

    def __init__(self, office: Office, place: Path, by: str = "") -> None:
        self._office, self._place, self._by = office, place, by
        self._open: set[str] = set()
        self._seen: dict[Path, tuple[int, int]] = {}

    def look(self) -> list[str]:
        """Write what has been asked since, and hand in what has been filled in since."""
        told = []
        for view in self._office.questions():
            if view.kind == "labels" and view.question not in self._open:
                images = self._office.images(folder.wanted(view), view.question)
                told += folder.write(self._place, view, images, self._office.features)
                self._open.add(view.question)
        for file in folder.files_in(self._place):
            told += self._hand_in(file)
        still = {view.question for view in self._office.questions()}
        for gone in sorted(self._open - still):
            folder.close(self._place, gone)
            told.append(f"{gone} is closed: nothing more is needed")
        self._open &= still
        return told

    def _hand_in(self, file: Path) -> list[str]:
        try:
            stat = file.stat()
        except OSError:
            return []  # somebody is saving it
        if self._seen.get(file) == (now := (stat.st_mtime_ns, stat.st_size)):
            return []
        self._seen[file] = now
        try:
            filled = folder.read(file, self._by)
        except ExchangeError as error:
            return [f"{error}; it is read again when it has changed"]
        if folder.CLOSED in {one.name for one in file.parent.iterdir()}:
            return []
        outcome = take(self._office, filled.answers, folder.CHANNEL)
        counts = {kind: count for kind, count in outcome.counts.items() if kind != "known"}  # they are, each time the file is saved
        return [*(f"{file}: {line}" for line in outcome._replace(counts=counts).lines()), *filled.problems, *outcome.problems]
