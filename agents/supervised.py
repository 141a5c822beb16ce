"""One supervised deployment, started in order: its service, ledger, agents on the host that all share, and who looks after them."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from agents import subject as subjects
from agents.board import Board
from agents.doors.shelf import Shelf
from agents.homes import home
from agents.hosts.host import SharedHost
from agents.hosts.timed import Timed
from agents.ledger import Ledger
from agents.messages import PipelineLive
from agents.outward.metrics import Metrics
from agents.policy import Policy
from agents.reception import Reception
from agents.state import State
from agents.subject import Subject
from agents.system import System
from agents.team import Wiring, factories
from agents.wanted import Wanted
from models.pipeline import MANIFEST
from workflows.deployment import Deployment, Runtime
from workflows.tracking import Tracking

WATCH_SECONDS = 2.0
LIVE_SECONDS = 60.0
DOORS = 8  # requests of one deployment that may be in work at the same time


class Supervised:
    """Everything of one deployment; `cleanup` takes it down in the other order. Made in two parts, since its model is there before Ray is.

    Parameters
    ----------
    wanted : what it is.
    state : the folder of all, held by the caller; `alone` says whether it is this one's only.
    tracking : where its models are registered, of all.
    stop : set to end; set by this one when its switchboard fails.
    say : takes one line about what is going on.
    """

    def __init__(
        self, wanted: Wanted, state: State, runtime: Runtime, base_image: str, tracking: Tracking, cleanup: ExitStack, stop: threading.Event,
        say: Callable[[str], object], *, alone: bool,
    ) -> None:
        self.name, self.state = wanted.name, home(state, wanted.name, alone=alone)
        self._cleanup, self._stop, self._say, self._tracking = cleanup, stop, say, tracking
        self.phases: dict[str, float] = {}
        self.crash: BaseException | None = None
        self.ledger = Ledger.in_folder(self.state.folder, clock=time.time)
        cleanup.callback(self.ledger.close)
        with self._phase("model"):
            self.subject = self._subject(wanted)
        with self._phase("deployment"):
            self.deployment = Deployment(
                self.name, self.state.folder, runtime, base_image=base_image, say=say, limits=self.subject.limits, images=self.subject.images
            )
            cleanup.callback(self.deployment.stop)
            self.endpoint = self.deployment.start(self.state.pipeline(self._live_before() or self.subject.first))
            self.inference = self.deployment.inference()
            cleanup.callback(self.inference.close)
        self.board = Board(self.name)

    @property
    def dataset(self) -> str:
        """The name of its data."""
        return self.subject.dataset

    @property
    def policy(self) -> Policy:
        """The rules that are followed here."""
        return self.subject.policy

    def supervise(self, shared: SharedHost, wiring: Wiring, metrics: Metrics) -> None:
        """Start its agents, and what keeps it up."""
        doors = ThreadPoolExecutor(DOORS, thread_name_prefix=f"door-{self.name}")
        self._cleanup.callback(doors.shutdown, wait=True, cancel_futures=True)
        host = shared.open(self.name, factories(self.name, self.policy, wiring.team, self.subject.impossible))
        metrics.watch(self.name, self.inference.stats)
        heard = partial(metrics.listen, deployment=self.name)
        self.system = System(
            self.name, state=self.state, policy=self.policy, inference=self.inference, host=Timed(host, partial(metrics.took, deployment=self.name)),
            tracking=self._tracking, dataset=self.dataset, root=self.subject.root,
            activate=lambda name: self.deployment.apply(self.state.pipeline(name)), wait=lambda: not self._stop.wait(0.05), executor=doors,
            ledger=self.ledger, stopping=self._stop.is_set, wiring=wiring,
        )
        self.switchboard = self.system.switchboard
        for message in self.ledger.messages():  # questions of the last run may still be open
            self.board.listen(message)
            heard(message)
        self.switchboard.listen(self.board.listen)
        self.switchboard.listen(heard)
        with self._phase("agents"):
            self.system.start()
        for work in (self._run, self._keep_up):
            thread = threading.Thread(target=work, name=f"{work.__name__}-{self.name}", daemon=True)
            thread.start()
            self._cleanup.callback(thread.join, 30.0)
        self._cleanup.callback(self._stop.set)
        self.reception = Reception(
            self.board, self.ledger, self.inference, self.system.evidence, self.switchboard.post, self.subject.features, self.system.gallery,
            self.switchboard.seats, self.system.pulse,
        )

    def await_live(self) -> None:
        """Wait until its first word, that a pipeline is live, is on record: who attaches before would be told that nothing is."""
        self.board.wait_for(lambda: bool(self.board.live()) or self._stop.is_set(), LIVE_SECONDS)

    def _subject(self, wanted: Wanted) -> Subject:
        """What is supervised, with its first pipeline, which becomes a registered version when it is made."""
        shelf, first = Shelf(self.state), f"{self.name}-first"

        def log(metrics: dict[str, Any]) -> None:
            run = self._tracking.log_run("train", first, params={"dataset": wanted.dataset}, metrics=metrics, key=f"train {first}")
            shelf.note_version(first, self._tracking.register(self.name, self.state.pipeline(first), run))

        if isinstance(wanted.data, str):
            return subjects.of_dataset(self.name, wanted.data, wanted.policy, self.state, self._say, log)
        return subjects.of_file(wanted.data, wanted.policy, self.state, self._say, log)

    def _run(self) -> None:
        try:
            self.switchboard.run(self._stop)
        except BaseException as error:  # noqa: BLE001 - told by the exit code and by what is printed
            self.crash = error
            traceback.print_exception(error)
        finally:
            self._stop.set()
            self.board.wake()

    def _keep_up(self) -> None:
        keep_up(self.deployment.reconcile, lambda: not self._stop.wait(WATCH_SECONDS), self._say, self.name)

    def _live_before(self) -> str | None:
        """What was live when the last run ended, if it is still there."""
        known = [one.pipeline for one in self.ledger.messages(PipelineLive) if isinstance(one, PipelineLive) and one.deployment == self.name]
        return known[-1] if known and (self.state.pipeline(known[-1]) / MANIFEST).exists() else None

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.phases[name] = time.monotonic() - begun


def keep_up(reconcile: Callable[[], object], wait: Callable[[], bool], say: Callable[[str], object], name: str) -> None:
    """Bring a deployment back to its target whenever it has left it, as long as `wait` says so.

    That covers an engine that has restarted the container, which then knows no pipeline. What stands in the way is said once, and its end too.
    """
    trouble = ""
    while wait():
        try:
            reconcile()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the watch
            before, trouble = trouble, str(error) or type(error).__name__
            if trouble != before:
                say(f"the inference service of {name} is not as it should be: {trouble}; trying again every {WATCH_SECONDS:.0f} s")
        else:
            if trouble:
                say(f"the inference service of {name} is as it should be again")
            trouble = ""
