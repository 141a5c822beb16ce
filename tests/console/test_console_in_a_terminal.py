"""The real program in a terminal of its own: keys in, and what a person sees on a screen of 80 columns and 24 rows."""

import re

import pytest

from tests.console.seat import Seat

pytestmark = pytest.mark.slow  # each starts a program

def test_images_are_shown_and_answered_by_keys(office, sit):
    seat = sit(COLORTERM="truecolor")
    office.ask_labels()
    seat.sees("1 of 4").sees("▀" * 28, times=14)
    assert "Your labels measure how often" in seat.text and "0 1 2 3 4 5 6 7 8 9  the class" in seat.text
    rows = [place for place, line in enumerate(seat.screen.display) if line.startswith("▀" * 28)]
    assert len(rows) == 14, "28 x 28 pixels are 28 columns in 14 rows"
    bright = {column for column in range(28) if seat.screen.buffer[rows[7]][column].fg == "ffffff"}
    assert bright == {4, 5, 6, 7}, "the bar of record 12"
    seat.press("7").sees("2 of 4").sees("7 for the last one (b takes it back)")
    seat.press("b").sees("1 of 4").sees("taken back: 7")
    seat.press("1").sees("2 of 4").press("x").sees("'x' is no key here")
    seat.press("3").sees("3 of 4").press("uu").sees("digits-1/audit: 4 handed in").sees("all answered")
    assert office.taken == [(12, 1), (15, 3), (19, None), (23, None)]
    assert seat.press("quit\r").end() == 0
    assert "detached; the cluster goes on" in seat.text and "Traceback" not in seat.text


def test_without_colour_images_are_drawn_in_shades(office, sit):
    office.ask_labels()
    seat = sit(NO_COLOR="1").sees("████", times=10).sees("? help")
    assert sum(line[4:8] == "████" for line in seat.screen.display) == 10, "a bar of 20 pixels"
    assert not re.search(rb"\x1b\[[0-9;]*[34]8;", seat.raw), "no colour is asked for"
    seat.press("7").sees("2 of 4")
    seat.press("\x03").sees("stays open; `label` goes back to it").sees("scanflow (1 question)>")
    assert seat.press("\x03").end() == 0
    assert office.taken == [] and office.closed == {} and "Traceback" not in seat.text


def test_two_people_at_two_terminals(office, sit):
    """Bob's answer moves Ana on; when the cluster ends, both are told."""
    ana, bob = sit(), sit()
    office.ask_labels()
    ana.sees("1 of 4")
    bob.sees("1 of 4").press("7").sees("2 of 4").press("3").sees("3 of 4")
    ana.sees("2 of 4").sees("somebody else has answered that one")
    bob.press("\x04").end()
    office.__exit__(None, None, None)
    try:
        assert ana.end() == 0
        assert "has stopped" in ana.text
    finally:
        office.__enter__()


PROGRAM = """
import pathlib, signal, sys, threading
import numpy as np
from agents.console import attend
from tests.console.office import Office
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands it on as ignored
    with Office(pathlib.Path(sys.argv[1]), {12: np.zeros((28, 28), np.uint8), 15: np.zeros((28, 28), np.uint8)}) as office:
        office.ask_labels()
        visitor = office.visitor()
        try:
            attend(visitor, until=lambda: bool(office.closed), name="console")
            print("attended", office.taken, flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        visitor.close()
"""


def test_a_cluster_attends_to_its_own_terminal(tmp_path):
    seat = Seat("-c", PROGRAM, str(tmp_path))
    seat.sees("1 of 2").press("73").sees("attended [(12, 7), (15, 3)]")
    assert seat.end() == 0


def test_a_second_ctrl_c_interrupts_the_cluster_that_has_this_terminal(tmp_path):
    seat = Seat("-c", PROGRAM, str(tmp_path))
    seat.sees("1 of 2").press("\x03").sees("scanflow (1 question)>").press("\x03").sees("interrupted")
    assert seat.end() == 0
