"""The switchboard: every message to those who handle it, into the ledger first; whatever fails becomes a message."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents.agent import Agent
from agents.hosts.host import LocalHost
from agents.ledger import Ledger
from agents.messages import (
    AgentFailed,
    ChoiceMade,
    LiveRecorded,
    Paused,
    PipelineLive,
    RecordLive,
    RequestExpired,
    RequestFailed,
    UndoAsked,
)
from agents.switchboard import Switchboard, answer_to
from tests.agents.helpers import ask_labels, closed, harm, kinds, live
from tests.agents.world import Loop, World


class Recorder(Agent):
    """Asks for a note of what goes live, and remembers what came back."""

    name = "recorder"
    handles = (PipelineLive, LiveRecorded, RequestFailed, RequestExpired)

    def __init__(self):
        super().__init__("digits")
        self.state, self.heard = "", []

    def handle(self, message):
        self.heard.append(type(message).__name__)
        if isinstance(message, PipelineLive):
            return [self.say(RecordLive, message, pipeline=message.pipeline, version="1", reason="test", deadline=10.0)]
        return []


class Listener(Agent):
    """Handles what the recorder does not, and cannot bear to hear of 'bad'."""

    name = "listener"
    handles = (PipelineLive, UndoAsked, LiveRecorded)

    def __init__(self):
        super().__init__("digits")
        self.state, self.heard = "", []

    def handle(self, message):
        if isinstance(message, PipelineLive) and message.pipeline == "bad":
            raise KeyError("bad")
        self.heard.append(type(message).__name__)
        return []


TEAM = {"recorder": Recorder, "listener": Listener}


class Bench:
    """A switchboard on a clock that stands still until it is set, and a door that does as it is told."""

    def __init__(self, ledger=None, executor=None):
        self.now = 1000.0
        self.door = lambda request: [answer_to(request, LiveRecorded, "deployer", pipeline=request.pipeline)]
        self.carried_out, self.seen = [], []
        self.ledger = ledger or Ledger(clock=lambda: self.now)
        self.host = LocalHost(TEAM)
        self.switchboard = Switchboard(self.host, TEAM, self.ledger, {RecordLive: self._pass}, clock=lambda: self.now, executor=executor)
        self.switchboard.listen(self.seen.append)

    def _pass(self, request):
        self.carried_out.append(request.id)
        return self.door(request)

    def start(self):
        self.switchboard.start()
        return self

    def tell(self, *messages):
        for message in messages:
            self.switchboard.post(message)
        self.switchboard.run_until_idle()
        return self

    def tick(self, after=0.0):
        self.now += after
        self.switchboard.tick()
        self.switchboard.run_until_idle()

    def heard(self, agent):
        return self.host._agents[agent].heard


def test_a_message_reaches_those_who_handle_its_type_and_is_in_the_ledger():
    bench = Bench().start().tell(UndoAsked(id="u", by="ann"))
    assert (bench.heard("listener"), bench.heard("recorder")) == (["UndoAsked"], [])
    assert kinds(bench.ledger.messages()) == ["UndoAsked"]


def test_an_answer_goes_to_who_asked_and_to_nobody_else():
    bench = Bench().start().tell(live())
    assert bench.heard("recorder") == ["PipelineLive", "LiveRecorded"]
    assert bench.heard("listener") == ["PipelineLive"]


def test_the_same_message_posted_twice_is_handled_once():
    bench = Bench().start().tell(live(), live())
    assert bench.heard("listener") == ["PipelineLive"]
    assert len(bench.carried_out) == 1


def test_listeners_are_told_everything_in_the_order_of_the_ledger():
    bench = Bench().start().tell(live())
    assert kinds(bench.seen) == kinds(bench.ledger.messages()) == ["PipelineLive", "RecordLive", "LiveRecorded"]


def test_a_door_that_raises_becomes_a_failure_for_who_asked_with_its_words():
    bench = Bench()

    def broken(_request):
        raise OSError("no room on the disk")

    bench.door = broken
    bench.start().tell(live())
    assert bench.heard("recorder") == ["PipelineLive", "RequestFailed"]
    [failure] = bench.ledger.messages(RequestFailed)
    assert (failure.request, failure.reason, failure.to) == ("RecordLive", "no room on the disk", "recorder")


def test_a_request_that_nobody_answers_expires_at_its_deadline_and_not_before():
    bench = Bench()
    bench.start().tell(ask_labels(deadline=60.0))
    bench.tick(after=59.0)
    assert bench.ledger.messages(RequestExpired) == []
    bench.tick(after=1.0)
    [expired] = bench.ledger.messages(RequestExpired)
    assert (expired.cause, expired.request) == ("ask-q", "AskLabels")
    bench.tick(after=600.0)
    assert len(bench.ledger.messages(RequestExpired)) == 1


def test_a_question_that_was_closed_does_not_expire():
    bench = Bench().start().tell(ask_labels(), closed("q"))
    bench.tick(after=600.0)
    assert bench.ledger.messages(RequestExpired) == []


def test_a_request_that_was_answered_does_not_expire():
    bench = Bench().start().tell(live())
    bench.tick(after=600.0)
    assert bench.ledger.messages(RequestExpired) == []


def test_an_answer_that_comes_after_its_deadline_is_still_delivered():
    bench = Bench()

    def slow(request):
        bench.now += 20.0
        bench.switchboard.tick()
        return [answer_to(request, LiveRecorded, "deployer", pipeline=request.pipeline)]

    bench.door = slow
    bench.start().tell(live())
    assert bench.heard("recorder") == ["PipelineLive", "RequestExpired", "LiveRecorded"]


def test_an_agent_that_raises_is_told_as_failed_and_the_others_go_on():
    bench = Bench().start().tell(live("bad", incident="digits-1"), UndoAsked(id="u", by="ann"))
    [failure] = bench.ledger.messages(AgentFailed)
    assert (failure.agent, failure.message, failure.incident, failure.reason) == ("listener", "PipelineLive", "digits-1", "KeyError: 'bad'")
    assert bench.heard("recorder") == ["PipelineLive", "LiveRecorded"]
    assert bench.heard("listener") == ["UndoAsked"]


def test_an_agent_that_failed_once_can_be_restored_ever_after():
    bench = Bench().start().tell(UndoAsked(id="u", by="ann"), live("bad"))
    again = Bench(bench.ledger).start()
    assert again.heard("listener") == ["UndoAsked"]
    assert again.tell(live("good")).heard("listener") == ["UndoAsked", "PipelineLive"]


def test_after_a_crash_what_was_not_delivered_is():
    ledger = Ledger(clock=lambda: 1.0)
    ledger.append([live()])
    bench = Bench(ledger).start().tell()
    assert bench.heard("recorder") == ["PipelineLive", "LiveRecorded"]
    assert bench.heard("listener") == ["PipelineLive"]


def test_what_is_asked_for_during_that_delivery_is_carried_out_once():
    ledger = Ledger(clock=lambda: 1.0)
    ledger.append([live()])
    assert len(Bench(ledger).start().tell().carried_out) == 1


def test_after_a_crash_a_door_that_did_not_answer_is_asked_again():
    ledger = Ledger(clock=lambda: 1.0)
    [message] = ledger.append([live()])
    ledger.handled("listener", message, [])
    [request] = ledger.handled("recorder", message, [Recorder().handle(message)[0]])
    bench = Bench(ledger).start().tell()
    assert bench.carried_out == [request.id]
    assert bench.heard("recorder") == ["PipelineLive", "LiveRecorded"]


def test_after_a_crash_nothing_that_was_done_is_done_again():
    bench = Bench().start().tell(live(), UndoAsked(id="u", by="ann"))
    before = bench.ledger.messages()
    again = Bench(bench.ledger).start().tell()
    assert again.carried_out == []
    assert again.ledger.messages() == before


def test_after_a_crash_a_question_keeps_its_deadline():
    bench = Bench().start().tell(ask_labels(deadline=60.0))
    again = Bench(bench.ledger).start()
    again.tick(after=59.0)
    assert again.ledger.messages(RequestExpired) == []
    again.tick(after=1.0)
    assert len(again.ledger.messages(RequestExpired)) == 1


def test_doors_on_an_executor_do_not_hold_up_the_agents():
    with ThreadPoolExecutor(1) as executor:
        bench = Bench(executor=executor).start().tell(live())
    bench.switchboard.run_until_idle()
    assert bench.heard("recorder") == ["PipelineLive", "LiveRecorded"]


def test_what_is_given_up_when_all_stops_has_not_failed_and_is_asked_again_at_the_next_start():
    stop, bench = threading.Event(), Bench()

    def interrupted(_request):
        stop.set()
        raise TimeoutError

    bench.door = interrupted
    bench.start().switchboard.post(live())
    bench.switchboard.run(stop)
    bench.switchboard.run_until_idle()
    assert bench.ledger.messages(RequestFailed) == []
    again = Bench(bench.ledger).start().tell()
    assert again.carried_out == bench.carried_out and again.ledger.messages(LiveRecorded)


def test_a_message_to_an_agent_that_is_not_on_the_team_is_kept_and_delivered_to_nobody():
    lost = ChoiceMade(id="c", to="nobody", question="q", option="approve", by="ann")
    assert Bench().start().tell(lost).ledger.messages() != []


@pytest.mark.parametrize("agent", ["recorder", "listener"])
def test_an_agent_that_was_killed_is_restored_at_its_next_message(agent):
    bench = Bench().start().tell(live())
    before = list(bench.heard(agent))
    bench.host.kill(agent)
    bench.tell(live("other"))
    assert bench.heard(agent)[: len(before)] == before
    assert "PipelineLive" in bench.heard(agent)[len(before) :]


def test_each_agents_seat_tells_its_last_words_and_what_it_could_not_handle():
    bench = Bench().start().tell(live(), live("bad"))
    recorder, listener = bench.switchboard.seats()
    assert (recorder.heard, recorder.heard_count, recorder.said, recorder.said_count) == ("LiveRecorded", 4, "RecordLive", 2)
    assert (recorder.heard_at, recorder.failed) == (1000.0, 0)
    assert (listener.heard, listener.said, listener.failed, listener.failure) == ("PipelineLive", "", 1, "PipelineLive: KeyError: 'bad'")
    assert "not running" in listener.state, "it was dropped with its half-made transition"
    bench.tell(UndoAsked(id="u", by="ann"))
    assert bench.switchboard.seats()[1].state == ""


def test_an_agent_that_holds_messages_says_so():
    switchboard = Loop(World(), Ledger(clock=lambda: 1.0)).switchboard
    for message in (Paused(id="p", source="console", by="ana"), harm()):
        switchboard.post(message)
        switchboard.run_until_idle()
    states = {seat.agent: seat.state for seat in switchboard.seats()}
    assert states["improver"] == "preparing, holds 2 until resumed"
    assert states["desk"] == "open"
