"""`python -m agents.cluster`: starts everything, and is the only file that knows everyone.

A local Ray (or `--address`), the first model if there is none, the inference deployment, the four agents with desk and ledger, the
front desk for consoles, the web page; with `--scenario`, the traffic too. Ctrl-C stops cleanly.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from agents.board import Board
from agents.console import attend
from agents.doors.shelf import Shelf
from agents.front_desk import FrontDesk
from agents.hosts.host import AgentError, Host
from agents.hosts.timed import Timed
from agents.ledger import Ledger
from agents.messages import AskChoice, AskLabels, Message, PipelineLive
from agents.options import OptionError, check_report, fetch_data
from agents.outward.couriers import send_out
from agents.outward.door import AddressError, checked
from agents.outward.events import Events
from agents.outward.hooks import Hook, HookError, load_hooks
from agents.outward.metrics import Metrics
from agents.policy import Policy, PolicyError, load_policy
from agents.reception import Reception
from agents.rehearsal import Rehearsal, write
from agents.scripted import ScriptedDesk
from agents import subject as subjects
from agents.state import State, StateError, default_state
from agents.story import line, tell
from agents.subject import Subject
from agents.system import System
from agents.team import Team, Wiring, built_in, factories, with_agents
from agents.visitor import Visitor
from agents.web.metrics import TOKEN_FILE, metrics_token, scraped
from agents.web.serve import PORT, open_page
from models.pipeline import MANIFEST
from scenarios.errors import DataError, ScenarioError
from scenarios.replay import HttpClient, Replay, Scenario, Sent, load_scenario
from workflows.deployment import Deployment, DeploymentError, Runtime
from workflows.brought import DeploymentFile, DeploymentFileError, load_deployment
from workflows.graph import GraphError
from workflows.steps.bring import BringError
from workflows.tracking import MlflowTracking, Tracking

MEANINGS = {"clean_before": "clean, before", "as_is": "drifted, as it was", "after": "drifted, after", "clean_after": "clean, after"}
WATCH_SECONDS = 2.0
DOORS = 8  # requests that may be in work at the same time
USAGE = (
    AddressError, AgentError, BringError, DataError, DeploymentError, DeploymentFileError, GraphError, HookError, OptionError, PolicyError,
    ScenarioError, StateError,
)  # fmt: skip
EVENTS_TOKEN = "SCANFLOW_EVENTS_TOKEN"  # noqa: S105 - the name of a variable


def main(
    scenario: Annotated[str | None, typer.Option(help="Replay this scenario: a name of the suite or a TOML file.")] = None,
    deployment: Annotated[Path | None, typer.Option(help="Supervise the model that this TOML file describes; docs/your-model.md.")] = None,
    dataset: Annotated[str | None, typer.Option(help="digits, mnist, fashion-mnist or cifar10; by default the scenario's, else digits.")] = None,
    runtime: Annotated[Runtime, typer.Option(help="Where inference runs; auto takes a container where an engine answers.")] = "auto",
    state: Annotated[Path | None, typer.Option(help="Folder for models, ledger and tracking; a second run starts from it.")] = None,
    policy: Annotated[Path | None, typer.Option(help="TOML file with the rules that differ from the defaults; docs/policy.md shows all.")] = None,
    agent: Annotated[list[Path] | None, typer.Option(help="File with a further agent and its edges (docs/write-an-agent.md).")] = None,
    address: Annotated[str | None, typer.Option(help="Join this Ray cluster instead of starting one here.")] = None,
    base_image: Annotated[str, typer.Option(help="Base of the inference image; made from Debian packages if it cannot be had.")] = "python:3.11-slim",
    report: Annotated[Path | None, typer.Option(help="Write the scenario's outcome to this JSON file; its folder must exist.")] = None,
    once: Annotated[bool, typer.Option(help="End when the scenario has been replayed (the default scenario, if none is named).")] = False,
    yes_scripted: Annotated[bool, typer.Option(help="Let the scenario's scripted person answer even if there is a terminal.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of the scenario's draws, in place of its own.")] = None,
    web: Annotated[bool, typer.Option(help="Serve the web page; its link is printed.")] = True,
    web_host: Annotated[str, typer.Option(help="Where the page is bound; other machines can reach it where this is not loopback.")] = "127.0.0.1",
    web_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")] = PORT,
    events_url: Annotated[str | None, typer.Option(help="Post every message of the ledger there, as CloudEvents; docs/integrations.md.")] = None,
    open_metrics: Annotated[bool, typer.Option(help="Let programs of this machine read /metrics without its token.")] = False,
    webhooks: Annotated[Path | None, typer.Option(help="TOML file of webhooks: who is told of questions, alarms, changes.")] = None,
) -> None:
    """Supervise an inference deployment: detect drift, ask, decide, fix, verify, keep or undo."""
    stop = threading.Event()
    _stop_on_signals(stop)
    try:
        wanted = load_scenario(scenario or "default") if scenario or once else None
        rules = load_policy(policy)
        wiring = Wiring(with_agents(built_in(), agent or []))
        events, hooks = _receivers(events_url, webhooks)
        check_report(report, played=wanted is not None)
        if deployment is not None and dataset is not None:
            raise OptionError("--deployment brings its own data; leave --dataset out")
        data = load_deployment(deployment) if deployment is not None else dataset or (wanted.dataset if wanted else "digits")
        if isinstance(data, str):
            fetch_data(data, wanted, _say)
        with State(state or default_state()) as place, ExitStack() as cleanup:
            cluster = Cluster(place, rules, data, runtime, base_image, address, cleanup, stop, wiring)
            route = scraped(cluster.metrics, metrics_token(place.folder), open_here=open_metrics)
            page = open_page(cluster.reception, web_host, web_port, _say, [route]) if web else None
            if page is not None:
                cleanup.callback(page.close)
                _say(f"metrics for Prometheus: {page.address}/metrics, with the token in {place.folder / TOKEN_FILE}")
            link, told = page.address if page is not None else "", cluster.switchboard
            send_out(place.folder, events, hooks, post=told.post, listen=told.listen, page=lambda: link, say=_say, cleanup=cleanup)
            code = cluster.play(wanted, report, once=once, scripted=yes_scripted, seed=seed) if wanted else cluster.serve()
    except USAGE as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(code)


class Cluster:
    """Everything of one deployment, started in order; `cleanup` takes it down in the other order."""

    def __init__(
        self, state: State, policy: Policy, data: str | DeploymentFile, runtime: Runtime, base_image: str, address: str | None, cleanup: ExitStack,
        stop: threading.Event, wiring: Wiring,
    ) -> None:
        self.state, self._stop, self._cleanup = state, stop, cleanup
        self.phases: dict[str, float] = {}
        self._crash: BaseException | None = None
        tracking = MlflowTracking(state.folder)
        cleanup.callback(tracking.warm().join)  # opened beside the rest, since that takes seconds
        ledger = Ledger.in_folder(state.folder, clock=time.time)
        cleanup.callback(ledger.close)
        self.shelf = Shelf(state)
        with self._phase("model"):
            self.subject = self._subject(data, policy, tracking)
        dataset, policy, first = self.subject.name, self.subject.policy, self.subject.first
        self.dataset = dataset
        with self._phase("deployment"):
            self.deployment = Deployment(
                dataset, state.folder, runtime, base_image=base_image, say=_say, limits=self.subject.limits, images=self.subject.images
            )
            cleanup.callback(self.deployment.stop)
            self.endpoint = self.deployment.start(state.pipeline(self._live_before(ledger) or first))
            inference = self.deployment.inference()
            cleanup.callback(inference.close)
        doors = ThreadPoolExecutor(DOORS, thread_name_prefix="door")
        cleanup.callback(doors.shutdown, wait=True, cancel_futures=True)
        with self._phase("ray"):
            _say("starting Ray" if address is None else f"joining Ray at {address}")
            host = _ray_host(self.subject, wiring.team, address)
            _stop_on_signals(stop)  # Ray has put a handler of its own in their place, which ends the process with a dump
            cleanup.callback(host.stop)
        self.metrics = Metrics(dataset, clock=time.time)
        self.metrics.watch(dataset, inference.stats)
        self.board = Board(dataset)
        self.system = System(
            dataset, state=state, policy=policy, inference=inference, host=Timed(host, self.metrics.took), tracking=tracking, dataset=dataset,
            root=self.subject.root,
            activate=lambda name: self.deployment.apply(state.pipeline(name)), wait=lambda: not stop.wait(0.05), executor=doors, ledger=ledger,
            stopping=stop.is_set, wiring=wiring,
        )
        self.switchboard = self.system.switchboard
        for message in ledger.messages():  # questions of the last run may still be open
            self.board.listen(message)
            self.metrics.listen(message)
        self.switchboard.listen(self.board.listen)
        self.switchboard.listen(self.metrics.listen)
        with self._phase("agents"):
            self.system.start()
        for work in (self._run, self._keep_up):
            thread = threading.Thread(target=work, name=work.__name__, daemon=True)
            thread.start()
            cleanup.callback(thread.join, 30.0)
        cleanup.callback(stop.set)
        self.reception = Reception(
            self.board, ledger, inference, self.system.evidence, self.switchboard.post, self.subject.features, self.system.gallery,
            self.switchboard.seats, self.system.pulse,
        )
        desk = FrontDesk(self.reception, state, self.endpoint.url)
        cleanup.callback(desk.close)
        _say(f"inference answers at {self.endpoint.url}; attach a console with `python -m agents.console --state {state.folder}`")

    def serve(self) -> int:
        """Stay up until stopped; a console in this terminal if there is one."""
        if sys.stdin.isatty():
            self._attend(self._stop.is_set)  # until Ctrl-D; the cluster stays up
        else:
            self.switchboard.listen(_tell)
        self._stop.wait()
        return 1 if self._crash is not None else 0

    def play(self, scenario: Scenario, report: Path | None, *, once: bool, scripted: bool, seed: int | None) -> int:
        """Replay a scenario; returns the exit code: 1 when something did not hold that must."""
        with HttpClient(self.endpoint.url, self.endpoint.model) as client:
            replay = Replay(scenario, client, self.dataset, self.subject.root, seed)
            scripted = scripted or not sys.stdin.isatty()
            if scripted:
                person = ScriptedDesk(replay.person(), self.switchboard.post)
                self.switchboard.listen(person.listen)
                still_open = {view.question for view in self.board.questions()}
                for asked in self.system.ledger.messages(AskChoice, AskLabels):
                    if isinstance(asked, AskChoice) and asked.question in still_open:
                        person.listen(asked)
                    if isinstance(asked, AskLabels) and asked.question in still_open:
                        person.skip(asked)  # the images are those of an earlier run
                self.switchboard.listen(_tell)
            pace = _Pace(scenario.rate, self._stop)

            def pump(sent: Sent) -> None:
                labels, slices = replay.house.labels(), replay.house.slices()
                if labels or slices:
                    self.reception.labels(labels, slices, source="house")
                pace(sent)

            rehearsal = Rehearsal(
                replay, self.board, self.system.ledger, pump=pump, should_stop=self._stop.is_set, say=_say,
                runtime=self.endpoint.runtime,
            )
            outcome = self._rehearse(rehearsal, scripted=scripted)
        outcome["phases"] = self.phases | outcome["phases"]
        if report is not None:
            write(outcome, report)
        if self._stop.is_set():
            _say(f"stopped before the end of the scenario; what happened so far is kept in {self.state.folder}")
            return 1
        faults = rehearsal.broken(outcome)
        self._show(outcome, faults, rehearsal)
        if not once and not self._stop.is_set():
            return self.serve()
        return 1 if faults else 0

    def _rehearse(self, rehearsal: Rehearsal, *, scripted: bool) -> dict[str, Any]:
        """Run the traffic beside the console, which must have the main thread."""
        if scripted:
            return rehearsal.run()
        done = threading.Event()
        found: list[dict[str, Any] | BaseException] = []

        def traffic() -> None:
            try:
                found.append(rehearsal.run())
            except BaseException as error:  # noqa: BLE001 - raised again below, in the main thread
                found.append(error)
            finally:
                done.set()

        thread = threading.Thread(target=traffic, name="traffic", daemon=True)
        thread.start()
        self._attend(lambda: done.is_set() or self._stop.is_set())
        done.wait()
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    def _attend(self, until: Callable[[], bool]) -> None:
        visitor = Visitor(self.state.front_door())
        try:
            attend(visitor, until=until, name="console", history=self.state.folder / "console_history")
        finally:
            visitor.close()

    def _show(self, outcome: dict[str, Any], faults: list[str], rehearsal: Rehearsal) -> None:
        incidents, told = self.board.status().incidents, rehearsal.incidents()
        for view in [view for view in incidents if view.incident in told]:
            typer.echo(f"\nThe story of {view.incident}")
            for text in tell(self.system.ledger.story(view.incident)):
                typer.echo(text)
        typer.echo("\nAccuracy, scored by the client on the answers it got")
        for name, meaning in MEANINGS.items():
            value = outcome[name]
            typer.echo(f"  {meaning:<20} {'not measured' if value is None else f'{value:.3f}'}")
        typer.echo(f"  failed requests      {outcome['failed_requests']}")
        typer.echo(f"\nOutcome: {outcome['state']}" + (f", {outcome['chosen']}" if outcome["chosen"] else ""))
        if rehearsal.is_known(outcome):
            typer.echo("Nothing had to be mended: what an earlier run made live copes with this drift. For the whole loop again: --state NEWFOLDER")
        for fault in faults:
            typer.echo(f"NOT AS IT MUST BE: {fault}")
        typer.echo(f"Everything is kept in {self.state.folder}; the next run starts from it.")

    def _subject(self, data: str | DeploymentFile, policy: Policy, tracking: Tracking) -> Subject:
        """What is supervised, with its first pipeline, which becomes a registered version when it is made."""
        name = data if isinstance(data, str) else data.name

        def log(metrics: dict[str, Any]) -> None:
            first = f"{name}-first"
            run = tracking.log_run("train", first, params={"dataset": name}, metrics=metrics, key=f"train {first}")
            self.shelf.note_version(first, tracking.register(name, self.state.pipeline(first), run))

        if isinstance(data, str):
            return subjects.of_dataset(data, policy, self.state, _say, log)
        return subjects.of_file(data, policy, self.state, _say, log)

    def _run(self) -> None:
        try:
            self.switchboard.run(self._stop)
        except BaseException as error:  # noqa: BLE001 - told by the exit code and by what is printed
            self._crash = error
            traceback.print_exception(error)
        finally:
            self._stop.set()

    def _keep_up(self) -> None:
        """Bring the deployment back to its target whenever it has left it."""
        while not self._stop.wait(WATCH_SECONDS):
            try:
                self.deployment.reconcile()  # also where an engine has restarted the container, which then knows no pipeline
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the watch
                _say(f"the inference service is not as it should be: {error}; trying again")

    def _live_before(self, ledger: Ledger) -> str | None:
        """What was live when the last run ended, if it is still there."""
        known = [one.pipeline for one in ledger.messages(PipelineLive) if isinstance(one, PipelineLive) and one.deployment == self.dataset]
        return known[-1] if known and (self.state.pipeline(known[-1]) / MANIFEST).exists() else None

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.phases[name] = time.monotonic() - begun


class _Pace:
    """Waits until the next batch is due at `rate` images a second; 0 sends as fast as answers come."""

    def __init__(self, rate: float, stop: threading.Event) -> None:
        self._rate, self._stop = rate, stop
        self._due = time.monotonic()

    def __call__(self, sent: Sent) -> None:
        if self._rate:
            now = time.monotonic()
            self._due = max(self._due + len(sent.changed) / self._rate, now - 1.0)
            self._stop.wait(max(0.0, self._due - now))


def _ray_host(subject: Subject, team: Team, address: str | None) -> Host:
    from agents.hosts.ray_host import RayHost  # importing Ray takes seconds, which a wrong option should not cost

    return RayHost(factories(subject.name, subject.policy, team, subject.impossible), address=address)


def _receivers(events_url: str | None, webhooks: Path | None) -> tuple[Events | None, list[Hook]]:
    """Where events and webhooks go. Raises `AddressError` and `HookError` before anything is started."""
    events = Events(checked(events_url, "--events-url"), os.environ.get(EVENTS_TOKEN, "")) if events_url is not None else None
    return events, load_hooks(webhooks, os.environ) if webhooks is not None else []


def _say(text: str) -> None:
    typer.echo(f"* {text}")


def _tell(message: Message) -> None:
    if not message.transient and (text := line(message)):
        typer.echo(f"  {text}")


def _stop_on_signals(stop: threading.Event) -> None:
    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait; SIGTERM may come twice, to the process and to its group
        stop.set()

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)


if __name__ == "__main__":
    typer.run(main)
