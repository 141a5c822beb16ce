"""Two deployments behind one front desk, as a console and a page see them: `digits` and `left`, each an office with questions of its own."""

from pathlib import Path

import numpy as np

from agents.front_desk import FrontDesk
from agents.state import State
from agents.visitor import Visitor
from tests.console.office import Office


class Building:
    """Holds a state folder; both offices have a live pipeline. `images` are those that either asks about."""

    def __init__(self, folder: Path, images: dict[int, np.ndarray]) -> None:
        self.state = State(folder)
        self.digits, self.left = (Office(folder / name, images, name=name) for name in ("digits", "left"))

    def __enter__(self):
        self.state.__enter__()
        self.digits.__enter__()
        self.left.__enter__()
        self.receptions = [self.digits.reception, self.left.reception]
        self._front = FrontDesk(self.receptions, self.state, "http://127.0.0.1:1")
        for office in (self.digits, self.left):
            office.live()
        return self

    def __exit__(self, *details):
        self._front.close()
        self.left.__exit__(*details)
        self.digits.__exit__(*details)
        self.state.__exit__(*details)

    def visitor(self) -> Visitor:
        return Visitor(self.state.front_door())
