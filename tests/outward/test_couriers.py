import json
import threading
from contextlib import ExitStack

from agents.ledger import Ledger
from agents.outward.couriers import send_out
from agents.outward.door import MemoryPost, Reply
from agents.outward.events import Events
from tests.outward.test_hooks import ASKED, OPENED, hooks


def test_a_new_webhook_is_told_of_what_comes_and_events_of_all_there_is(tmp_path):
    ledger, listeners, said, arrived = Ledger.in_folder(tmp_path, clock=lambda: 1.0), [], [], threading.Event()
    ledger.append([OPENED])

    def events():
        return [one["id"] for sent in doors[1].sent for one in json.loads(sent.body)]

    def answer(_number):
        if doors[0].sent and events() == [OPENED.id, ASKED.id]:
            arrived.set()
        return Reply(204)

    doors = [MemoryPost(answer), MemoryPost(answer)]
    taken = iter(doors)
    with ExitStack() as cleanup:
        send_out(
            tmp_path, Events("https://events.example.org/T0KEN"), hooks(), post=lambda _note: None, listen=listeners.append, page=lambda: "", say=said.append,
            cleanup=cleanup, door=lambda: next(taken),
        )  # fmt: skip
        ledger.append([ASKED])
        for listener in listeners:
            listener(ASKED)
        assert arrived.wait(10)
    ledger.close()
    assert [sent.headers["webhook-id"] for sent in doors[0].sent] == ["a.question_opened"]
    assert all(door.closed for door in doors) and not any("T0KEN" in text for text in said)


def test_without_receivers_nothing_is_started(tmp_path):
    with ExitStack() as cleanup:
        assert send_out(tmp_path, None, [], post=print, listen=print, page=str, say=print, cleanup=cleanup) == []
    assert list(tmp_path.iterdir()) == []
