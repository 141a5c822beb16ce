import json
import threading

import pytest

from agents.ledger import Ledger
from agents.messages import IncidentClosed, NoteMade
from agents.outward.courier import LONGEST, Courier
from agents.outward.cursor import Cursor
from agents.outward.door import MemoryPost, Reply, Unreachable
from agents.outward.events import Events
from tests.outward.receiver import receiver

URL = "https://example.org/in"


def note(number, size=1):
    return NoteMade(id=f"n{number}", source="planner", deployment="digits", incident="digits-1", time=float(number), text="x" * size)


class Line:
    """A ledger, one receiver of all events, and a courier who takes a step when told; time stands until it is moved."""

    def __init__(self, folder, answer=lambda _number: Reply(204), give_up=None):
        self.folder, self.now, self.give_up = folder, 1000.0, give_up
        self.ledger = Ledger(clock=lambda: 0.0)
        self.post = MemoryPost(answer)
        self.again()

    def again(self):
        """The courier of the next start."""
        self.courier = Courier(Events(URL), self.post, Cursor(self.folder, "events", URL), self.ledger.after, clock=lambda: self.now, give_up=self.give_up, draw=lambda: 1.0)

    def work(self, steps=50):
        """Steps until there is nothing to do or something to wait for; returns that time."""
        for _ in range(steps):
            wait = self.courier.step()
            if wait is None or wait > 0:
                return wait
        raise AssertionError("it never ends")

    def ids(self):
        return [[event["id"] for event in json.loads(one.body)] for one in self.post.sent]


@pytest.fixture
def line(tmp_path):
    return lambda *words, **options: Line(tmp_path, *words, **options)


def test_messages_go_out_in_the_order_of_the_ledger_and_once(line):
    one = line()
    one.ledger.append([note(1), note(2)])
    assert one.work() is None
    one.ledger.append([note(3)])
    assert one.work() is None and one.work() is None
    assert one.ids() == [["n1", "n2"], ["n3"]]


def test_a_restart_goes_on_where_the_last_one_was(line):
    one = line()
    one.ledger.append([note(1)])
    one.work()
    one.ledger.append([note(2)])
    one.again()
    one.work()
    assert one.ids() == [["n1"], ["n2"]]


def test_what_was_not_confirmed_is_sent_again_after_a_restart(line):
    one = line(lambda number: Unreachable("gone") if number == 1 else Reply(200))
    one.ledger.append([note(1)])
    assert one.work() == 1.0
    one.again()
    assert one.work() is None
    assert one.ids() == [["n1"], ["n1"]]


def test_waiting_grows_after_each_failure_and_never_beyond_five_minutes(line):
    one = line(lambda _number: Reply(503))
    one.ledger.append([note(1)])
    waits = [one.work() for _ in range(12)]
    assert waits[:5] == [1.0, 2.0, 4.0, 8.0, 16.0] and waits[-1] == LONGEST


def test_a_receiver_may_ask_for_more_time_but_not_for_ever(line):
    one = line(lambda number: Reply(429, 40.0 if number == 1 else 1e9))
    one.ledger.append([note(1)])
    assert [one.work(), one.work()] == [40.0, LONGEST]


def test_success_makes_the_next_failure_short_again(line):
    one = line(lambda number: Reply(200) if number in (4, 5) else Reply(500))
    one.ledger.append([note(1)])
    assert [one.work() for _ in range(4)] == [1.0, 2.0, 4.0, None]
    one.ledger.append([note(2)])
    one.work()
    one.ledger.append([note(3)])
    assert one.work() == 1.0


def test_one_message_that_is_refused_holds_up_no_other(line, tmp_path):
    one = line()
    one.post = MemoryPost(lambda number: Reply(413 if b'"n3"' in one.post.sent[number - 1].body else 204))
    one.again()
    one.ledger.append([note(number) for number in range(1, 6)])
    assert one.work() is None
    taken = [event for sent in one.ids() for event in sent if "n3" not in sent]
    assert taken == ["n1", "n2", "n4", "n5"]
    assert Cursor(tmp_path, "events", URL).read() == one.ledger.end()


def test_what_takes_too_long_is_given_up_only_where_that_is_wanted(line):
    patient, hasty = line(lambda _number: Reply(500)), None
    patient.ledger.append([note(1)])
    patient.work()
    patient.now += 1e6
    assert patient.work() == 2.0
    hasty = line(lambda _number: Reply(500), give_up=3600.0)
    hasty.ledger.append([note(1)])
    hasty.work()
    hasty.now += 3600.0
    assert hasty.work() is None


def test_a_batch_is_bounded_in_bytes(line):
    one = line()
    one.ledger.append([note(number, size=100_000) for number in range(1, 6)])
    one.work()
    assert one.ids() == [["n1", "n2"], ["n3", "n4"], ["n5"]]


def test_a_spoiled_cursor_counts_as_none(tmp_path):
    cursor = Cursor(tmp_path, "events", URL)
    cursor.write(7)
    assert cursor.read() == 7
    next((tmp_path / "outward").iterdir()).write_text("{")
    assert cursor.read() is None


def test_the_address_is_not_in_the_state_folder(tmp_path):
    Cursor(tmp_path, "events", "https://example.org/T0KEN").write(1)
    assert not [path for path in tmp_path.rglob("*") if "T0KEN" in path.name or (path.is_file() and b"T0KEN" in path.read_bytes())]


def test_in_a_thread_it_is_woken_by_a_message_and_ends_when_told(tmp_path):
    ledger, arrived = Ledger.in_folder(tmp_path, clock=lambda: 0.0), threading.Event()

    def answer(_number):
        arrived.set()
        return 200, {}

    with receiver(answer) as (url, got):
        from agents.outward.door import HttpPost

        courier = Courier(Events(url, token="t"), HttpPost(), Cursor(tmp_path, "events", url), ledger.after, clock=lambda: 0.0)
        courier.start()
        ledger.append([IncidentClosed(id="c", source="planner", deployment="digits", incident="digits-1", time=1.0, outcome="verified", reason="r")])
        courier.wake()
        assert arrived.wait(10)
        courier.close()
        assert not courier._thread.is_alive()
    [(_, headers, body)] = got
    assert headers["authorization"] == "Bearer t" and headers["content-type"].startswith("application/cloudevents-batch+json")
    assert json.loads(body)[0]["type"] == "scanflow.IncidentClosed"
    ledger.close()


def test_a_courier_that_stumbles_goes_on_in_the_next_round(tmp_path):
    asked = threading.Event()

    def read(_after, _limit):
        asked.set()
        raise OSError("the disk is full")

    courier = Courier(Events(URL), MemoryPost(), Cursor(tmp_path, "events", URL), read, clock=lambda: 0.0)
    courier.start()
    assert asked.wait(10) and courier._thread.is_alive()
    courier.close()
