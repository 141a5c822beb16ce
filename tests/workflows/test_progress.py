import io

import pytest
from rich.console import Console

from workflows.events import Event, Outcome
from workflows.progress import Progress


@pytest.fixture
def scene():
    class Scene:
        now = 0.0

        def __init__(self, names, height=24):
            self.console = Console(file=io.StringIO(), width=80, height=height, force_terminal=True, no_color=True)
            self.progress = Progress(names, self.console, clock=lambda: self.now)

        def lines(self):
            file = io.StringIO()
            Console(file=file, width=80, height=24).print(self.progress.render())
            return [line.rstrip() for line in file.getvalue().splitlines()]

    return Scene


def test_each_task_has_its_state_its_time_and_the_last_line_of_its_log(scene):
    scene = scene(["train", "evaluate", "other", "last"])
    scene.progress(Event("started", "train"))
    scene.progress(Event("line", "train", "epoch 1"))
    scene.progress(Event("line", "train", "epoch\t2\x1b[2J"))
    scene.progress(Event("ended", "other", "", Outcome("cached", why="nothing has changed")))
    scene.now = 3.0
    scene.progress(Event("started", "evaluate"))
    scene.now = 4.5
    scene.progress(Event("ended", "evaluate", "", Outcome("failed", code=3, why="its time is over")))
    scene.now = 75.0
    train, evaluate, other, last, bar = scene.lines()
    assert train.split()[:4] == ["▶", "train", "running", "1:15"] and train.endswith("epoch 2 [2J")
    assert evaluate.split()[:5] == ["✗", "evaluate", "failed", "1.5", "s"] and evaluate.endswith("its time is over")
    assert other.startswith("= other") and last.split() == ["·", "last", "waiting"]
    assert bar.endswith("2/4  1:15  1 waiting, 1 running, 1 cached, 1 failed")


def test_of_many_tasks_those_that_run_or_failed_are_shown_and_all_are_counted(scene):
    names = [f"t{number}" for number in range(1000)]
    scene = scene(names, height=12)
    scene.progress(Event("started", "t900"))
    scene.progress(Event("ended", "t500", "", Outcome("failed")))
    lines = scene.lines()
    assert len(lines) <= 12 and any("t900" in line for line in lines) and any("t500" in line for line in lines)
    assert "  and 992 more" in lines and "1/1000" in lines[-1] and all(len(line) <= 80 for line in lines)


def test_the_terminal_is_left_as_it_was_also_when_the_run_is_interrupted(scene):
    scene = scene(["one"])
    with pytest.raises(KeyboardInterrupt), scene.progress:
        raise KeyboardInterrupt
    text = scene.console.file.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is back
