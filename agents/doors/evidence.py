"""The records that an incident rests on, kept on disk: the ring of images forgets them while a person thinks."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.state import State
from workflows.steps.window import Window


class Evidence:
    """Windows of records by incident."""

    def __init__(self, state: State) -> None:
        self._state = state

    def keep(self, incident: str, name: str, window: Window) -> Path:
        """Write a window into the incident's folder; returns its file."""
        path = self._state.incident(incident) / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        window.save(path)
        return path

    def images(self, incident: str, seqs: list[int]) -> dict[int, NDArray[np.uint8]]:
        """Those of the images that any window of the incident holds, by sequence number; the newest window counts."""
        found: dict[int, NDArray[np.uint8]] = {}
        for path in sorted(self._state.incident(incident).glob("*.npz"), key=lambda path: path.stat().st_mtime):
            window = Window.load(path)
            inside = np.isin(window.seqs, seqs)
            found |= dict(zip(window.seqs[inside].tolist(), window.images[inside], strict=True))
        return found
