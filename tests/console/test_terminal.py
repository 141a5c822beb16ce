"""The conversation at a terminal, in this process: keys from a pipe, nothing drawn."""

import asyncio
import io
from types import SimpleNamespace

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from agents.doors.gallery import Neighbour
from agents.graphics import Graphics
from agents.messages import PipelineLive, PolicySet, UndoAsked
from agents.reception import ReceptionError
from agents.screens import moment
from agents.terminal import Terminal
from tests.console.office import Office
from workflows.serving.wire import WireError


class Talk:
    """A terminal and who sits there: a list of (when, what to do), looked at each time the terminal asks whether it is over."""

    def __init__(self, office):
        self.office, self.printed = office, io.StringIO()
        self.steps, self.graphics = [], None
        self.visitor = office.visitor()

    def when(self, condition, act):
        self.steps.append((condition, act))
        return self

    def type(self, keys):
        """When the terminal is read."""
        return self.when(lambda: self.reading, lambda: self.keyboard.send_text(keys))

    @property
    def reading(self):
        app = self.terminal._app
        return app is not None and app.is_running

    @property
    def waiting(self):
        gate = self.terminal._gate
        return gate is not None and gate.is_running

    @property
    def typed(self):
        return self.terminal._prompt.default_buffer.text

    @property
    def labelling(self):
        return self.reading and self.terminal._keys is not None

    def run(self):
        with create_pipe_input() as self.keyboard, create_app_session(input=self.keyboard, output=DummyOutput()):
            console = Console(file=self.printed, width=79, color_system=None)
            self.terminal = Terminal(self.visitor, "ana", over=self._over, console=console, graphics=self.graphics)
            try:
                return asyncio.run(self.terminal.run())
            finally:
                self.visitor.close()

    def _over(self):
        if not self.steps:
            return "nothing more to do"
        condition, act = self.steps[0]
        if condition():
            self.steps.pop(0)
            act()
        return None


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("agents.terminal.POLL", 0.01)


@pytest.fixture
def talk(office):
    return Talk(office)


def test_a_question_takes_the_terminal_and_is_answered_by_keys(office, talk):
    talk.when(lambda: talk.reading, office.ask_labels)
    talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("7b1sun"))
    talk.when(lambda: office.closed, lambda: None)
    assert talk.run() == "over"
    assert office.taken == [(12, 1), (15, None), (19, None), (23, -1)] and office.closed == {"digits-1/audit": "answered"}
    printed = talk.printed.getvalue()
    assert "question digits-1/audit: 4 images to label" in printed and "4 handed in" in printed
    assert "taken from ana" not in printed and "ana says" not in printed, "what was just typed is no news"


def test_a_question_that_is_settled_early_says_so(state, images):
    with Office(state, images, enough=2) as office:
        talk = Talk(office)
        talk.when(lambda: talk.reading, office.ask_labels)
        talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("733"))
        talk.when(lambda: office.closed and not talk.labelling, lambda: None)
        talk.run()
    assert office.taken == [(12, 7), (15, 3)] and "2 handed in; settled early" in talk.printed.getvalue()


def test_a_key_that_was_meant_for_a_question_that_has_closed_answers_no_other(state, images):
    with Office(state, images, enough=2) as office:
        talk = Talk(office)
        talk.when(lambda: talk.reading, office.ask_labels)
        talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("733"))
        talk.when(lambda: office.closed, lambda: office.ask_labels("digits-1/teaching"))
        talk.when(lambda: talk.waiting, lambda: talk.keyboard.send_text("11"))  # still typing, faster than the screen
        talk.when(lambda: talk.waiting, lambda: talk.keyboard.send_text("\r"))
        talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("s"))
        talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("q"))
        talk.when(lambda: not talk.labelling, lambda: None)
        talk.run()
    assert [label for _, label in office.taken] == [7, 3, None]


def test_a_cluster_that_ends_takes_the_terminal_back_before_the_next_question_has_begun(state, images):
    with Office(state, images, enough=2) as office:
        talk = Talk(office)
        talk.when(lambda: talk.reading, office.ask_labels)
        talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("733"))
        talk.when(lambda: office.closed, lambda: office.ask_labels("digits-1/teaching"))
        talk.when(lambda: talk.waiting, lambda: None)
        assert talk.run() == "over"


def test_an_unsure_that_comes_second_is_refused_and_the_rest_goes_on(state, images):
    with Office(state, images, rival={12: "1"}) as office:
        talk = Talk(office)
        talk.when(lambda: talk.reading, office.ask_labels)
        talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("u"))
        talk.when(lambda: talk.terminal._keys.held, lambda: talk.keyboard.send_text("3"))
        talk.when(lambda: "record 12 has an answer already: 1" in talk.terminal._keys.note, lambda: talk.keyboard.send_text("55"))
        talk.when(lambda: office.closed and not talk.labelling, lambda: None)
        talk.run()
    assert office.taken == [(12, 1), (15, 3), (19, 5), (23, 5)] and "3 handed in" in talk.printed.getvalue()


def test_an_answer_that_comes_second_is_compared_with_the_first(state, images):
    with Office(state, images, rival={12: "1"}) as office:
        talk = Talk(office)
        talk.when(lambda: talk.reading, office.ask_labels)
        talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("73155"))
        talk.when(lambda: office.closed and not talk.labelling, lambda: None)
        talk.run()
    assert office.taken == [(12, 1), (15, 3), (19, 1), (23, 5)] and office.board.status().compared == 1
    assert "ana and bob disagree on record 12: the answer of bob holds" in talk.printed.getvalue()


def test_an_expected_change_closes_the_question(office, talk):
    office.ask_labels()
    talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("7ey"))
    talk.when(lambda: office.closed and not talk.labelling, lambda: None)
    talk.run()
    assert office.closed == {"digits-1/audit": "expected"} and office.taken == []


def test_leaving_a_question_keeps_it_open_and_label_goes_back(office, talk):
    office.ask_labels()
    talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("7q"))
    talk.when(lambda: office.taken and talk.reading and not talk.labelling, lambda: talk.keyboard.send_text("label\r"))
    talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("315"))
    talk.when(lambda: office.closed, lambda: None)
    talk.run()
    assert office.taken == [(12, 7), (15, 3), (19, 1), (23, 5)] and "stays open; `label` goes back to it" in talk.printed.getvalue()


def test_a_question_waits_while_a_command_is_typed(office, talk):
    """Else the s of status would skip an image."""
    talk.type("stat")
    talk.when(lambda: talk.terminal._prompt.default_buffer.text == "stat", office.ask_labels)
    talk.when(lambda: talk.terminal._questions and not talk.labelling, lambda: talk.keyboard.send_text("us\r"))
    talk.when(lambda: talk.labelling, lambda: None)
    talk.run()
    assert office.taken == [] and "deployment   digits" in talk.printed.getvalue() and "`label` goes there" in talk.printed.getvalue()


def test_a_choice_takes_one_key(office, talk):
    talk.when(lambda: talk.reading, office.ask_choice)
    talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("3f"))
    talk.when(lambda: office.closed and not talk.labelling, lambda: None)
    talk.run()
    printed = talk.printed.getvalue()
    assert "ana chose fine_tune" in printed and "CHOSEN; fits, utility +0.451" in printed and "I would apply filter" in printed


def test_somebody_else_may_choose_first(office, talk):
    office.ask_choice()
    other = office.visitor()
    talk.when(lambda: talk.labelling, lambda: other.answer("digits-1/approve", "decline", "bob"))
    talk.when(lambda: not talk.labelling, lambda: None)
    talk.run()
    other.close()
    assert "somebody else has chosen" in talk.printed.getvalue() and "bob chose decline" in talk.printed.getvalue()


@pytest.mark.parametrize(("keys", "ending"), [("quit\r", "left"), ("\x04", "left"), ("\x03", "interrupted")])
def test_leaving_the_console(office, talk, keys, ending):
    talk.type(keys).when(lambda: False, lambda: None)
    assert talk.run() == ending


def test_ctrl_d_leaves_the_console_from_a_question_and_hands_in_what_was_meant(office, talk):
    office.ask_labels()
    talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("7"))
    talk.when(lambda: talk.terminal._keys.held, lambda: talk.keyboard.send_text("\x04")).when(lambda: False, lambda: None)
    assert talk.run() == "left"
    assert office.taken == [(12, 7)] and office.closed == {} and len(office.board.questions()) == 1


def test_ctrl_c_leaves_labelling_and_only_a_second_one_the_console(office, talk):
    office.ask_labels()
    office.ask_choice()
    talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("7"))
    talk.when(lambda: talk.terminal._keys.held, lambda: talk.keyboard.send_text("\x03"))
    talk.when(lambda: talk.reading and not talk.labelling, lambda: talk.keyboard.send_text("\x03")).when(lambda: False, lambda: None)
    assert talk.run() == "interrupted"
    assert office.taken == [] and len(office.board.questions()) == 2
    assert "digits-1/audit stays open; `label` goes back to it; 7 for the last one was not handed in" in " ".join(talk.printed.getvalue().split())


def test_ctrl_c_between_two_questions_goes_to_the_prompt(state, images):
    with Office(state, images, enough=2) as office:
        talk = Talk(office)
        talk.when(lambda: talk.reading, office.ask_labels)
        talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("733"))
        talk.when(lambda: office.closed, lambda: office.ask_labels("digits-1/teaching"))
        talk.when(lambda: talk.waiting, lambda: talk.keyboard.send_text("\x03"))
        talk.type("quit\r").when(lambda: False, lambda: None)
        assert talk.run() == "left"


@pytest.mark.parametrize(("key", "undone"), [("y", True), ("n", False), ("\r", False), ("\x03", False)])
def test_undo_at_the_prompt_is_confirmed_first(office, talk, key, undone):
    office.say(PipelineLive, pipeline="digits-1-filter", previous="digits-first", reference="r", base="digits-first", gated=True, since=9, version="2", reason="it helps")
    talk.type("undo\r").when(lambda: talk.waiting, lambda: talk.keyboard.send_text(key))
    talk.when(lambda: "undone" in talk.printed.getvalue() or "comes back" in talk.printed.getvalue(), lambda: None)
    assert talk.run() == "over"
    assert any(isinstance(message, UndoAsked) for message in office.messages) == undone


def test_tab_completes_commands_records_and_sections(office, talk):
    office.say(PolicySet, "system", "", policy={"labels": {"harm": 6}, "harm": {"tolerance": 0.01}})
    office.ask_labels()
    talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("q"))
    talk.when(lambda: talk.reading and not talk.labelling, lambda: talk.keyboard.send_text("pol\t"))
    talk.when(lambda: talk.typed == "policy", lambda: talk.keyboard.send_text(" lab\t"))
    talk.when(lambda: talk.typed == "policy labels", lambda: talk.keyboard.send_text("\r"))
    talk.when(lambda: "[labels]" in talk.printed.getvalue(), lambda: talk.keyboard.send_text("sh\t"))
    talk.when(lambda: talk.typed == "show", lambda: talk.keyboard.send_text(" 2\t"))
    talk.when(lambda: talk.typed == "show 23", lambda: talk.keyboard.send_text("\r"))
    talk.when(lambda: "record 23" in talk.printed.getvalue(), lambda: None)
    talk.run()
    assert "tolerance" not in talk.printed.getvalue()


def test_a_second_question_waits_until_the_first_is_answered(office, talk):
    office.ask_labels()
    talk.when(lambda: talk.labelling, office.ask_choice)
    talk.when(lambda: len(talk.terminal._questions) == 2, lambda: talk.keyboard.send_text("7777"))
    talk.when(lambda: talk.labelling and talk.terminal._keys.question.kind == "choice", lambda: talk.keyboard.send_text("a"))
    talk.when(lambda: len(office.closed) == 2, lambda: None)
    talk.run()
    assert len(office.taken) == 4 and "digits-1/audit: 4 handed in" in talk.printed.getvalue()


def test_unknown_commands_and_refusals_do_not_end_it(office, talk):
    talk.type("storry\r").type("story digits-9\r").type("\r")
    assert talk.run() == "over"
    printed = talk.printed.getvalue()
    assert "did you mean story?" in printed and "no incident 'digits-9'" in printed


def test_a_cluster_that_stops_answering_ends_it(office, talk):
    talk.visitor._wire.timeout = 0.1
    talk.when(lambda: talk.reading, office._front.close).when(lambda: False, lambda: None)
    with pytest.raises(WireError, match="gave no reply"):
        talk.run()


def test_a_cluster_that_ends_takes_the_terminal_back_from_a_question(office, talk):
    office.ask_labels()
    talk.when(lambda: talk.labelling, lambda: None)
    assert talk.run() == "over" and talk.terminal.reason == "nothing more to do"


def test_who_attaches_late_sees_the_newest_events_and_completes_names(office, talk):
    for _ in range(30):
        office.live()
    talk.when(lambda: talk.terminal._incidents, lambda: None)
    talk.run()
    assert talk.printed.getvalue().count("is live from") == 8 and talk.terminal._incidents == ["digits-1"]


def test_news_tells_when_it_happened_not_when_it_is_shown(office, talk):
    office.ahead = -3 * 86_400.0
    office.live("digits-of-old")
    then = moment(office.messages[-1].time, now=0.0)
    talk.when(lambda: "digits-of-old" in talk.printed.getvalue(), lambda: None)
    talk.run()
    assert f"{then} digits-of-old is live" in " ".join(talk.printed.getvalue().split())


def with_clean_images(office, found=None):
    """Have the front desk know a clean image that is like each one; `found` notes for which."""

    def neighbours(_pipeline, image, _count):
        (found if found is not None else []).append(int(image.argmax()))
        return (Neighbour(3, "seven", 0.5, 255 - image),)

    office.reception.gallery = SimpleNamespace(neighbours=neighbours)


def test_clean_images_are_found_for_the_image_and_for_the_next_one_ahead(office, talk):
    found = []
    with_clean_images(office, found)
    office.ask_labels()
    talk.when(lambda: len(found) == 2, lambda: talk.keyboard.send_text("7"))
    talk.when(lambda: len(found) == 3, lambda: None)
    talk.run()
    assert found == [int(image.argmax()) for image in list(office.images.values())[:3]], "each once, in the order in which they are asked about"


def test_a_terminal_with_pixels_gets_each_image_once_above_the_keys_with_its_clean_one(office, talk):
    with_clean_images(office)
    talk.graphics = Graphics("kitty")
    office.ask_labels()
    drawn = lambda: talk.printed.getvalue().count("a=T,f=100")  # noqa: E731 - asked again and again
    talk.when(lambda: drawn() == 1, lambda: talk.keyboard.send_text("x7"))
    talk.when(lambda: drawn() == 2, lambda: talk.keyboard.send_text("b"))
    talk.when(lambda: drawn() == 3, lambda: talk.keyboard.send_text("q"))
    talk.type("show 12 15\r").when(lambda: drawn() == 4, lambda: None)
    talk.run()
    printed = talk.printed.getvalue()
    names = [line.rpartition("\r")[2].split() for line in printed.split("\n") if "\r" in line and "record" in line]
    assert names == [["record", "12", "clean", "seven"], ["record", "15", "clean", "seven"], ["record", "12", "clean", "seven"], ["record", "12", "record", "15"]]


def test_images_without_clean_ones_are_labelled_all_the_same(office, talk):
    def broken(*_):
        raise ReceptionError("the clean images cannot be had")

    office.reception.gallery = SimpleNamespace(neighbours=broken)
    office.ask_labels()
    talk.when(lambda: talk.labelling, lambda: talk.keyboard.send_text("7777")).when(lambda: office.closed, lambda: None)
    assert talk.run() == "over"
    assert len(office.taken) == 4
