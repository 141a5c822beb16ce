"""`python -m agents.cluster`: starts everything, and is the only file that knows everyone.

A local Ray (or `--address`), the first model if there is none, the inference deployment, the four agents with desk and ledger, the
front desk for consoles, the web page; with `--scenario`, the traffic too. Ctrl-C stops cleanly.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from agents.console import attend
from agents.front_desk import FrontDesk
from agents.hosts.host import AgentError, SharedHost
from agents.messages import AskChoice, AskLabels, Message
from agents.options import OptionError, check_report, fetch_data
from agents.outward.couriers import send_out
from agents.outward.door import AddressError, checked
from agents.outward.events import Events
from agents.outward.hooks import Hook, HookError, load_hooks
from agents.outward.metrics import Metrics
from agents.policy import PolicyError
from agents.rehearsal import Rehearsal, write
from agents.scripted import ScriptedDesk
from agents.state import State, StateError, default_state
from agents.story import News, tell
from agents.supervised import Supervised
from agents.team import Wiring, built_in, with_agents
from agents.visitor import Visitor
from agents.wanted import Wanted, played_on, wanted
from agents.web.metrics import TOKEN_FILE, metrics_token, scraped
from agents.web.serve import PORT, open_page
from scenarios.errors import DataError, ScenarioError
from scenarios.replay import HttpClient, Replay, Scenario, Sent, load_scenario
from workflows.brought import DeploymentFileError
from workflows.deployment import DeploymentError, Runtime
from workflows.graph import GraphError
from workflows.steps.bring import BringError
from workflows.tracking import MlflowTracking

MEANINGS = {"clean_before": "clean, before", "as_is": "drifted, as it was", "after": "drifted, after", "clean_after": "clean, after"}
USAGE = (
    AddressError, AgentError, BringError, DataError, DeploymentError, DeploymentFileError, GraphError, HookError, OptionError, PolicyError,
    ScenarioError, StateError,
)  # fmt: skip
EVENTS_TOKEN = "SCANFLOW_EVENTS_TOKEN"  # noqa: S105 - the name of a variable


def main(
    scenario: Annotated[str | None, typer.Option(help="Replay this scenario: a name of the suite or a TOML file.")] = None,
    deployment: Annotated[list[Path] | None, typer.Option(help="Supervise the model that this TOML file describes; may be repeated.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Or one of digits, mnist, fashion-mnist, cifar10; NAME=digits names it.")] = None,
    on: Annotated[str, typer.Option(help="Of several deployments, the one on which the scenario is played.")] = "",
    runtime: Annotated[Runtime, typer.Option(help="Where inference runs; auto takes a container where an engine answers.")] = "auto",
    state: Annotated[Path | None, typer.Option(help="Folder for models, ledger and tracking; a second run starts from it.")] = None,
    policy: Annotated[list[str] | None, typer.Option(help="TOML file with rules beside the defaults; NAME=FILE for one of several.")] = None,
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
    """Supervise inference deployments: detect drift, ask, decide, fix, verify, keep or undo."""
    stop = threading.Event()
    _stop_on_signals(stop)
    try:
        scenery = load_scenario(scenario or "default") if scenario or once else None
        deployments = wanted(deployment or [], dataset or [], policy or [], scenery.dataset if scenery else "digits")
        played = played_on(deployments, scenery.dataset, on) if scenery else _unplayed(deployments, on)
        wiring = Wiring(with_agents(built_in(), agent or []))
        events, hooks = _receivers(events_url, webhooks)
        check_report(report, played=scenery is not None)
        for one in deployments:
            if isinstance(one.data, str):
                fetch_data(one.data, scenery if one.name == played else None, _say)
        with State(state or default_state()) as place, ExitStack() as cleanup:
            cluster = Cluster(place, deployments, runtime, base_image, address, cleanup, stop, wiring, played)
            route = scraped(cluster.metrics, metrics_token(place.folder), open_here=open_metrics)
            page = open_page(cluster.receptions, web_host, web_port, _say, [route]) if web else None
            if page is not None:
                cleanup.callback(page.close)
                _say(f"metrics for Prometheus: {page.address}/metrics, with the token in {place.folder / TOKEN_FILE}")
            for told in cluster.supervised:
                link = page.address_of(told.name) if page is not None else ""
                send_out(
                    told.state.folder, events, hooks, post=told.switchboard.post, listen=told.switchboard.listen, page=partial(str, link),
                    say=_say, cleanup=cleanup,
                )
            code = cluster.play(scenery, report, once=once, scripted=yes_scripted, seed=seed) if scenery else cluster.serve()
    except USAGE as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(code)


class Cluster:
    """One team of agents and the deployments that it supervises, started in order; `cleanup` takes it down in the other order.

    `subject`: the one on which a scenario is played, else the first.
    """

    def __init__(
        self, state: State, deployments: Sequence[Wanted], runtime: Runtime, base_image: str, address: str | None, cleanup: ExitStack,
        stop: threading.Event, wiring: Wiring, played: str,
    ) -> None:
        self.state, self._stop, self._cleanup = state, stop, cleanup
        tracking = MlflowTracking(state.folder)
        cleanup.callback(tracking.warm().join)  # opened beside the rest, since that takes seconds
        alone = len(deployments) == 1
        self.supervised = [
            Supervised(one, state, runtime, base_image, tracking, cleanup, stop, _say if alone else _speaker(one.name), alone=alone)
            for one in deployments
        ]
        self.subject = next(one for one in self.supervised if one.name == played)
        self.phases = self.subject.phases
        begun = time.monotonic()
        _say("starting Ray" if address is None else f"joining Ray at {address}")
        host = _ray_host(address)
        _stop_on_signals(stop)  # Ray has put a handler of its own in their place, which ends the process with a dump
        cleanup.callback(host.stop)
        self.phases["ray"] = time.monotonic() - begun
        self.metrics = Metrics(self.supervised[0].name, clock=time.time)
        for one in self.supervised:
            one.supervise(host, wiring, self.metrics)
        for one in self.supervised:
            one.await_live()
        self.receptions = [one.reception for one in self.supervised]
        desk = FrontDesk(self.receptions, state, self.subject.endpoint.url)
        cleanup.callback(desk.close)
        for one in self.supervised:
            _say(f"inference {'' if alone else f'of {one.name} '}answers at {one.endpoint.url}" + (
                f"; attach a console with `python -m agents.console --state {state.folder}`" if alone else ""
            ))
        if not alone:
            _say(f"attach a console with `python -m agents.console --state {state.folder}`")

    def serve(self) -> int:
        """Stay up until stopped; a console in this terminal if there is one."""
        if sys.stdin.isatty():
            self._attend(self._stop.is_set)  # until Ctrl-D; the cluster stays up
        else:
            self._listen()
        self._stop.wait()
        return 1 if any(one.crash is not None for one in self.supervised) else 0

    def play(self, scenario: Scenario, report: Path | None, *, once: bool, scripted: bool, seed: int | None) -> int:
        """Replay a scenario; returns the exit code: 1 when something did not hold that must."""
        one = self.subject
        with HttpClient(one.endpoint.url, one.endpoint.model) as client:
            replay = Replay(scenario, client, one.dataset, one.subject.root, seed)
            scripted = scripted or not sys.stdin.isatty()
            if scripted:
                person = ScriptedDesk(replay.person(), one.switchboard.post)
                one.switchboard.listen(person.listen)
                still_open = {view.question for view in one.board.questions()}
                for asked in one.ledger.messages(AskChoice, AskLabels):
                    if isinstance(asked, AskChoice) and asked.question in still_open:
                        person.listen(asked)
                    if isinstance(asked, AskLabels) and asked.question in still_open:
                        person.skip(asked)  # the images are those of an earlier run
                self._listen()
            pace = _Pace(scenario.rate, self._stop)

            def pump(sent: Sent) -> None:
                labels, slices = replay.house.labels(), replay.house.slices()
                if labels or slices:
                    one.reception.labels(labels, slices, source="house")
                pace(sent)

            rehearsal = Rehearsal(
                replay, one.board, one.ledger, pump=pump, should_stop=self._stop.is_set, say=_say, runtime=one.endpoint.runtime,
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
        incidents, told = self.subject.board.status().incidents, rehearsal.incidents()
        for view in [view for view in incidents if view.incident in told]:
            typer.echo(f"\nThe story of {view.incident}")
            for text in tell(self.subject.ledger.story(view.incident)):
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

    def _listen(self) -> None:
        """Tell in the terminal what happens."""
        for one in self.supervised:
            one.switchboard.listen(_Teller("" if len(self.supervised) == 1 else one.name))


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


def _ray_host(address: str | None) -> SharedHost:
    from agents.hosts.ray_host import SharedRayHost  # importing Ray takes seconds, which a wrong option should not cost

    return SharedRayHost(address=address)


def _unplayed(deployments: Sequence[Wanted], on: str) -> str:
    """The first deployment, where no scenario is played. Raises `OptionError` when one is named for it."""
    if on:
        raise OptionError("--on needs --scenario NAME or --once: it names the deployment on which that is played")
    return deployments[0].name


def _receivers(events_url: str | None, webhooks: Path | None) -> tuple[Events | None, list[Hook]]:
    """Where events and webhooks go. Raises `AddressError` and `HookError` before anything is started."""
    events = Events(checked(events_url, "--events-url"), os.environ.get(EVENTS_TOKEN, "")) if events_url is not None else None
    return events, load_hooks(webhooks, os.environ) if webhooks is not None else []


def _say(text: str) -> None:
    typer.echo(f"* {text}")


def _speaker(name: str) -> Callable[[str], None]:
    """Says things of one of several deployments; a line that bears its name already stays as it is."""
    return lambda text: _say(text if name in text else f"{name}: {text}")


class _Teller:
    """Tells in the terminal what happens; `of` several deployments, to which."""

    def __init__(self, of: str = "") -> None:
        self._lines, self._of = News(), of

    def __call__(self, message: Message) -> None:
        if text := self._lines.line(message):
            typer.echo(f"  {self._of}: {text}" if self._of else f"  {text}")


def _stop_on_signals(stop: threading.Event) -> None:
    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait; SIGTERM may come twice, to the process and to its group
        stop.set()

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)


if __name__ == "__main__":
    typer.run(main)
