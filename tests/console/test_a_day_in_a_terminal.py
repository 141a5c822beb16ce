"""From the first question to the undo, at a real terminal: by keys alone, through resizes, several consoles, and terminals that can do little."""

import base64
import re

import pytest

from agents.messages import Paused, PipelineLive, Resumed, UndoAsked
from tests.console.seat import Seat, pixels_of
from tests.console.test_commands import rules_in_force
from tests.console.test_terminal import with_clean_images

pytestmark = pytest.mark.slow  # each starts a program


def go_live(office):
    facts = {"previous": "digits-first", "reference": "r", "base": "digits-first", "gated": True, "since": 1300, "version": "2"}
    office.say(PipelineLive, pipeline="digits-1-filter", reason="filter for digits-1, provisional", **facts)


def test_a_whole_incident_is_answered_by_keys(office, sit):
    rules_in_force(office, labels={"harm": 9})
    seat = sit()
    office.ask_labels()
    seat.sees("1 of 4").press("71").sees("3 of 4").press("s0").sees("4 handed in")
    office.ask_choice()
    seat.sees("a approve").sees("q decide later").press("a").sees("digits-1/approve: approve")
    go_live(office)
    seat.sees("digits-1-filter is live").press("status\r").sees("digits-1-filter, since")
    seat.press("pause a visit\r").sees("remedies are paused").press("policy labels\r").sees("* harm = 9    (default 6)")
    seat.press("resume\r").sees("remedies go on").press("story\r").sees("ana chose approve")
    seat.press("undo\r").sees("bring digits-first back in place of digits-1-filter? y / n").press("n").sees("not undone")
    seat.press("undo\r").sees("y / n").press("y").sees("the pipeline before comes back")
    assert seat.press("\x04").end() == 0
    told = [type(one) for one in office.messages if isinstance(one, Paused | Resumed | UndoAsked)]
    assert told == [Paused, Resumed, UndoAsked]
    assert office.closed == {"digits-1/audit": "answered", "digits-1/approve": "answered"}
    assert "Traceback" not in seat.text


@pytest.mark.parametrize(("more", "keys", "undone"), [([], "n\r", 0), ([], "y\r", 1), (["--yes"], "", 1)])
def test_undo_as_a_command_of_its_own_asks_first_unless_told_not_to(office, more, keys, undone):
    go_live(office)
    seat = Seat("-m", "agents.console", "--state", str(office.state.folder), "--name", "ana", *more, "undo")
    if keys:
        seat.sees("bring digits-first back in place of digits-1-filter?").press(keys)
    assert seat.end() == (0 if undone else 1)
    assert ("the pipeline before comes back" if undone else "not undone") in seat.text
    assert sum(isinstance(one, UndoAsked) for one in office.messages) == undone


def test_the_screen_follows_the_size_of_the_window(office, sit):
    with_clean_images(office)
    seat = sit(COLORTERM="truecolor")
    office.ask_labels()
    seat.sees("1 of 4").sees("clean, alike:")
    seat.resize(120, 40).sees("▀" * 56, times=20)
    seat.resize(60, 24).sees("1 of 4").press("7").sees("2 of 4")
    lines = [line.rstrip() for line in seat.screen.display]
    assert max(map(len, lines)) <= 60
    assert any(line.startswith("▀" * 8) for line in lines)


def test_who_detaches_and_attaches_again_finds_the_question_where_it_was(office, sit):
    office.ask_labels()
    first = sit().press("7").sees("2 of 4").press("1").sees("3 of 4")
    assert first.press("\x04").end() == 0, "what was meant is handed in"
    second = Seat("-m", "agents.console", "--state", str(office.state.folder), "--name", "ana").sees("3 of 4")
    second.press("35").sees("2 handed in")
    assert [seq for seq, _ in office.taken] == [12, 15, 19, 23]
    assert second.press("\x1b[A\x1b[B\r").press("quit\r").end() == 0


def test_history_comes_back_with_the_arrow_keys_even_after_detaching(office, sit):
    first = sit()
    first.press("incidents\r").sees("records since 900").press("quit\r").end()
    second = sit()
    assert second.press("\x1b[A\x1b[A\r").sees("records since 900").press("quit\r").end() == 0


def test_three_consoles_at_once_hear_the_same(office, sit):
    seats = [sit() for _ in range(3)]
    seats[0].press("pause lunch\r")
    for seat in seats:
        seat.sees("ana has paused remedies: lunch")
    seats[2].press("resume\r")
    for seat in seats:
        seat.sees("ana lets remedies go on")


def test_a_terminal_that_can_do_nothing_is_read_line_by_line(office):
    office.ask_labels()
    seat = Seat("-m", "agents.console", "--state", str(office.state.folder), "--name", "ana", env={"TERM": "dumb"})
    seat.press("label 12 7\r").sees("7 for record 12: taken").press("status\r").sees("digits-first, since").press("quit\r")
    assert seat.end() == 0
    assert b"\x1b" not in seat.raw, "not one escape sequence"


def test_a_terminal_that_answers_gets_pixels(office, sit):
    with_clean_images(office)
    kitty = {b"\x1b[c": b"\x1b[?62c", b"\x1b[16t\x1b[c": b"\x1b_Gi=31;OK\x1b\\\x1b[6;16;8t\x1b[?62c"}
    seat = sit(answers=kitty)
    office.ask_labels()
    seat.sees("1 of 4").sees("record 12").sees("clean seven").press("7").sees("2 of 4").sees("record 15")
    pictures = re.findall(rb"\x1b_G[^;]*f=100[^;]*;[^\x1b]*\x1b\\(?:\x1b_Gm=[^\x1b]*\x1b\\)*", seat.raw)
    assert len(pictures) == 2
    shown = pixels_of(base64.b64decode(b"".join(re.findall(rb";([^\x1b]*)\x1b", pictures[0]))))
    height = len(shown)
    assert shown[height // 2, 5 * height // 28, 0] == 255, "the bar of record 12"
    assert "▀" not in seat.text
    assert "Traceback" not in seat.text


def test_a_silent_terminal_is_sent_no_question_that_it_could_print(office, sit):
    office.ask_labels()
    seat = sit()
    assert b"\x1b_G" not in seat.raw
    assert "Gi=31" not in seat.text
