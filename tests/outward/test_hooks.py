import json

import msgspec
import pytest
from typer.testing import CliRunner

from agents.ledger import Ledger
from agents.messages import AskChoice, AskLabels, IncidentClosed, IncidentOpened, NoteMade, PipelineLive
from agents.outward.courier import Courier
from agents.outward.cursor import Cursor
from agents.outward.door import MemoryPost, Reply, Unreachable
from agents.outward.hooks import EVENTS, GIVE_UP, HookError, Hooked, from_toml, kinds, load_hooks
from agents.outward.signing import key_of, new_secret, sign, verify
from agents.webhook import app
from tests.outward.receiver import receiver

SECRET = "whsec_" + "A" * 40
COMMON = {"source": "checker", "deployment": "digits", "incident": "digits-1", "time": 100.0}
OPENED = IncidentOpened(id="o", pipeline="first", onset=501, alarm_at=510, log_evidence=14.0, **COMMON)
ASKED = AskLabels(id="a", question="digits-1/harm", items=(1, 2), purpose="audit", text="?", classes=("x", "y"), deadline=900.0, **COMMON)
UNDONE = IncidentClosed(id="u", outcome="undone", reason="it did not help", **COMMON)


def hooks(body="", **environment):
    text = f'[[webhook]]\nname = "pager"\nurl = "https://example.org/T0KEN"\n{body or "secret_env = " + chr(34) + "PAGER" + chr(34)}\n'
    return from_toml(text, "mine.toml", environment={"PAGER": SECRET, **environment})


class Told:
    """A webhook with its courier, on a ledger; what is put on record goes into `notes`, and into the ledger as the switchboard does."""

    def __init__(self, folder, hook, answer=lambda _number: Reply(204)):
        self.now, self.notes = 1000.0, []
        self.ledger, self.post = Ledger(clock=lambda: self.now), MemoryPost(answer)
        receiving = Hooked(hook, self.note, lambda: "http://127.0.0.1:8765")
        self.courier = Courier(receiving, self.post, Cursor(folder, "webhook", hook.url), self.ledger.after, clock=lambda: self.now, give_up=GIVE_UP, draw=lambda: 1.0)

    def note(self, message):
        self.notes += self.ledger.append([message])

    def say(self, *messages):
        self.ledger.append(messages)
        for _ in range(50):
            wait = self.courier.step()
            if wait is None or wait > 0:
                return wait
        raise AssertionError("it never ends")

    def bodies(self):
        return [json.loads(one.body) for one in self.post.sent]


def test_a_question_that_opens_is_told_with_what_is_needed_to_answer_it(tmp_path):
    told = Told(tmp_path, hooks()[0])
    assert told.say(ASKED) is None
    [body] = told.bodies()
    assert (body["type"], body["timestamp"], body["text"]) == ("question_opened", "1970-01-01T00:01:40.000000Z", "question digits-1/harm: 2 labels to measure")
    assert body["data"] == {
        "deployment": "digits", "incident": "digits-1", "message": "a", "question": "digits-1/harm", "purpose": "audit", "items": 2, "deadline": 1000.0,
        "link": "http://127.0.0.1:8765/question/digits-1/harm",
    }  # fmt: skip


def test_what_is_sent_is_signed_and_keeps_its_id_when_it_is_sent_again(tmp_path):
    told = Told(tmp_path, hooks()[0], lambda number: Reply(500) if number == 1 else Reply(200))
    assert told.say(OPENED) == 1.0
    told.now += 30
    told.courier.step()
    first, second = told.post.sent
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "o.alarm"
    assert (first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]) == ("1000", "1030")
    verify(key_of(SECRET), second.headers, second.body, now=1031.0)


def test_only_what_was_asked_for_is_told_and_only_of_these_deployments(tmp_path):
    told = Told(tmp_path, hooks('secret_env = "PAGER"\nevents = ["alarm"]\ndeployments = ["digits"]')[0])
    told.say(OPENED, ASKED, msgspec.structs.replace(OPENED, id="other", deployment="mnist"))
    assert [one["data"]["message"] for one in told.bodies()] == ["o"]


def test_an_undoing_is_told_once_under_its_own_name(tmp_path):
    told = Told(tmp_path, hooks()[0])
    told.say(UNDONE)
    assert [one["type"] for one in told.bodies()] == ["undone"]
    assert kinds(msgspec.structs.replace(UNDONE, outcome="verified")) == ["incident closed"]


def test_each_delivery_is_on_record_in_the_story_and_causes_no_further_one(tmp_path):
    told = Told(tmp_path, hooks()[0], lambda number: Unreachable("nobody there") if number < 3 else Reply(200))
    told.say(OPENED)
    told.courier.step()
    told.courier.step()
    assert told.say() is None
    assert [(one.source, one.incident, one.cause, one.text) for one in told.notes] == [("webhook pager", "digits-1", "o", "told of alarm, at the 3. attempt")]
    assert len(told.post.sent) == 3


@pytest.mark.parametrize("answer", [Reply(400), Reply(500)])
def test_what_is_never_taken_is_on_record_as_not_told(tmp_path, answer):
    told = Told(tmp_path, hooks()[0], lambda _number: answer)
    told.say(OPENED)
    told.now += GIVE_UP
    told.say()
    [note] = told.notes
    assert isinstance(note, NoteMade) and note.text.startswith("NOT told of alarm: ")


def test_neither_secret_nor_address_is_in_what_is_kept_or_shown(tmp_path):
    hook = hooks()[0]
    told = Told(tmp_path, hook, lambda number: Unreachable("nobody") if number == 1 else Reply(200))
    told.say(OPENED)
    told.courier.step()
    everything = repr(hook) + repr(told.notes) + "".join(path.name + path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "T0KEN" not in everything and "AAAA" not in everything


def test_every_event_is_told_of_some_message_and_notes_are_told_of_none():
    assert all(EVENTS.values()) and kinds(NoteMade(id="n", text="t")) == []
    live = PipelineLive(id="l", pipeline="p", previous="", reference="r", base="p", gated=False, since=1, version="1", reason="started", **COMMON)
    choice = AskChoice(id="c", question="q", options=("approve", "decline"), default="decline", text="?", **COMMON)
    assert [kinds(live), kinds(choice)] == [["live changed"], ["question opened"]]


@pytest.mark.parametrize(("text", "says"), [
    ("webhook = 1", "write each webhook as a [[webhook]]"), ("[", "not valid TOML"), ('[[webhook]]\nname = "Big"', "name = 'Big'; expected 1 to 40 small letters"),
    ('[[webhook]]\nname = "a"\nurl = "example.org"\nsecret_env = "S"', "webhook 1 (a): url: 'example.org' is no address"),
    ('[[webhook]]\nname = "a"\nurl = "https://a"\nsecret_env = "NO"', "the environment variable NO is not set"),
    ('[[webhook]]\nname = "a"\nurl = "https://a"', "not by 0 of them"), ('[[webhook]]\nname = "a"\nurl = "https://a"\nsecret = "x"', "a secret is whsec_ and 24 to 64 bytes"),
    ('[[webhook]]\nname = "a"\nurl = "https://a"\nsecret_file = "none.txt"', "secret_file none.txt cannot be read"),
    ('[[webhook]]\nname = "a"\nurl = "https://a"\nsecret_env = "S"\nevents = ["alarms"]', "did you mean 'alarm'"),
    ('[[webhook]]\nname = "a"\nurl = "https://a"\nsecret_env = "S"\nevents = "alarm"', "events is a list of names"),
    ('[[webhook]]\nname = "a"\nurl = "https://a"\nsecret_env = "S"\nurls = ""', "has no key 'urls'; did you mean 'url'"),
    (2 * '[[webhook]]\nname = "a"\nurl = "https://a"\nsecret_env = "S"\n', "two webhooks are called 'a'"),
])  # fmt: skip
def test_a_file_that_cannot_be_used_says_where_and_why(text, says):
    with pytest.raises(HookError) as raised:
        from_toml(text, "mine.toml", environment={"S": SECRET})
    assert says in str(raised.value) and str(raised.value).startswith("mine.toml: ") and "AAAA" not in str(raised.value)


def test_a_secret_may_stand_in_a_file_beside(tmp_path):
    (tmp_path / "pager.secret").write_text(SECRET + "\n")
    (tmp_path / "hooks.toml").write_text('[[webhook]]\nname = "pager"\nurl = "https://a"\nsecret_file = "pager.secret"\n')
    assert load_hooks(tmp_path / "hooks.toml", {})[0].key == key_of(SECRET)
    with pytest.raises(HookError, match="cannot be read"):
        load_hooks(tmp_path / "none.toml", {})


def test_a_test_message_is_sent_to_each_webhook_and_verified_with_the_same_program(tmp_path):
    secret, run = new_secret(), CliRunner()
    with receiver(lambda number: (200 if number == 1 else 500, {})) as (url, got):
        (tmp_path / "hooks.toml").write_text("".join(f'[[webhook]]\nname = "{name}"\nurl = "{url}"\nsecret = "{secret}"\n' for name in ("one", "two")))
        tried = run.invoke(app, ["try", str(tmp_path / "hooks.toml")])
    assert tried.exit_code == 1 and tried.stdout == "one: taken (HTTP 200)\ntwo: NOT taken (HTTP 500)\n"
    _, headers, body = got[0]
    words = ["verify", "--id", headers["webhook-id"], "--timestamp", headers["webhook-timestamp"], "--signature", headers["webhook-signature"]]
    assert run.invoke(app, words, input=body, env={"WEBHOOK_SECRET": secret}).stdout == "genuine\n"
    forged = run.invoke(app, words, input=body + b" ", env={"WEBHOOK_SECRET": secret})
    assert forged.exit_code == 1 and "no signature fits" in forged.stderr
    assert run.invoke(app, words, input=body, env={"WEBHOOK_SECRET": ""}).exit_code == 2
    key_of(run.invoke(app, ["secret"]).stdout)


def test_a_signature_is_for_one_key_only():
    assert sign(key_of(new_secret()), "i", 1.0, b"") != sign(key_of(new_secret()), "i", 1.0, b"")
