"""Pixels in a terminal: only one that answers is believed, and one that does not is not sent anything that it could print."""

import base64
import os
import pty
import re
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.graphics import ATTRIBUTES, CELL, KITTY, NAME, ROWS, WIPE, Graphics, graphics_of, may_be_asked, shown, sixel, understood
from agents.pictures import Named
from agents.web.png import size_of
from tests.console.seat import pixels_of

XTERM = {"TERM": "xterm-256color"}
ALL = KITTY + NAME + CELL + ATTRIBUTES


class FakeTerminal:
    """The other end of a terminal: gives each of these answers when its question has come."""

    def __init__(self, answers):
        self.answers, self.asked = dict(answers), b""
        self._here, self.there = pty.openpty()
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self):
        while True:
            try:
                self.asked += os.read(self._here, 4096)
            except OSError:
                return
            for question in [one for one in self.answers if self.asked.endswith(one)]:
                os.write(self._here, self.answers.pop(question))

    def close(self):
        os.close(self.there)
        os.close(self._here)


@pytest.fixture
def asked(monkeypatch):
    """What a terminal with these answers is found to be able to do, and what it was sent."""
    monkeypatch.setattr("agents.graphics.TIMEOUT", 0.05)

    def ask(answers, environ=XTERM):
        terminal = FakeTerminal(answers)
        try:
            return graphics_of(terminal.there, terminal.there, environ), terminal.asked
        finally:
            terminal.close()

    return ask


def test_a_terminal_that_answers_is_asked_what_it_can_do_and_any_trace_is_wiped(asked):
    found, sent = asked({ATTRIBUTES: b"\x1b[?62c", ALL: b"\x1b_Gi=31;OK\x1b\\\x1b[6;18;9t\x1b[?62c"})
    assert found == Graphics("kitty", (9, 18))
    assert sent.startswith(ATTRIBUTES + ALL)
    assert (ATTRIBUTES + ALL + WIPE).startswith(sent)


def test_a_terminal_that_does_not_answer_gets_one_question_that_every_terminal_knows(asked):
    assert asked({}) == (None, ATTRIBUTES)


def test_a_terminal_that_only_says_what_it_is_draws_blocks(asked):
    assert asked({ATTRIBUTES: b"\x1b[?6c", ALL: b"\x1b[?6c"})[0] is None


@pytest.mark.parametrize("environ", [
    XTERM | {"TMUX": "/tmp/tmux-0"}, XTERM | {"STY": "1"}, {"TERM": "screen-256color"}, {"TERM": "dumb"}, {}, XTERM | {"NO_COLOR": "1"},
    XTERM | {"TERM_PROGRAM": "Apple_Terminal"}, XTERM | {"SCANFLOW_PICTURES": "blocks"},
])  # fmt: skip
def test_where_no_answer_could_be_trusted_nothing_is_sent(asked, environ):
    assert asked({ATTRIBUTES: b"\x1b[?62;4c", ALL: b"\x1b[?62;4c"}, environ) == (None, b"")


def test_a_person_may_name_the_protocol(asked):
    assert asked({}, {"TERM": "screen", "SCANFLOW_PICTURES": "sixel"}) == (Graphics("sixel"), b"")


def test_an_empty_no_color_asks_for_nothing():
    assert may_be_asked(XTERM | {"NO_COLOR": ""})


@pytest.mark.parametrize("answer", [b"", b"\x1b[?c", b"\x1b[?64;1;22c", b"\x1b_Gi=31;EINVAL\x1b\\\x1b[?62;22c", b"\x1bP>|xterm(390)\x1b\\\x1b[?64c", b"\x1b[6;0;0t\x1b[?1c"])
def test_answers_that_promise_nothing(answer):
    assert understood(answer) is None


BAR = np.zeros((28, 28), np.uint8)
BAR[:, 4:8] = 255
NAMED = [Named("record 12", BAR), Named("clean 7", BAR), Named("clean 1", 255 - BAR)]


def test_kitty_gets_one_picture_in_pieces_that_takes_the_room_made_for_it():
    written = shown(NAMED, Graphics("kitty", (8, 16)), 80)
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", written)
    file = base64.b64decode("".join(data for _, data in pieces))
    columns, rows = (int(re.search(rf"\b{key}=(\d+)", pieces[0][0])[1]) for key in "cr")
    assert (columns, rows) == (3 * 24 + 2 * 3, ROWS)
    assert size_of(file) == (8 * columns, 16 * rows)
    assert all(len(data) <= 4096 for _, data in pieces)
    assert written.startswith("\n" * ROWS + f"\x1b[{ROWS}A")
    assert written.rpartition("\r")[2].split() == ["record", "12", "clean", "7", "clean", "1"]


def test_only_what_fits_stands_beside_the_image():
    written = shown(NAMED, Graphics("kitty", (8, 16)), 60)
    assert "clean 7" in written
    assert "clean 1" not in written
    assert "c=51," in written


def test_iterm_gets_a_file_with_its_size():
    written = shown(NAMED[:1], Graphics("iterm"), 80)
    size, data = re.search(r"\x1b\]1337;File=inline=1;size=(\d+);width=24;height=12;.*:([A-Za-z0-9+/=]+)\x07", written).groups()
    assert len(base64.b64decode(data)) == int(size)


def decoded(text):
    """Sixels as pixels, [h, w, 3]; in percent."""
    width, height = map(int, re.search(r'"1;1;(\d+);(\d+)', text).groups())
    pixels = np.full((height + 6, width, 3), -1)
    palette = {int(one[0]): tuple(map(int, one[1:])) for one in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", text)}
    body = re.sub(r"#\d+;2;\d+;\d+;\d+", "", text.partition('"')[2])
    top = at = 0
    colour = (0, 0, 0)
    for index, run, mark in re.findall(r"#(\d+)|(?:!(\d+))?([?-~$-])", body[re.match(r"[\d;]+", body).end() : -2]):
        if index:
            colour = palette[int(index)]
        elif mark == "$":
            at = 0
        elif mark == "-":
            top, at = top + 6, 0
        else:
            for bit in range(6):
                if (ord(mark) - 63) >> bit & 1:
                    pixels[top + bit, at : at + int(run or 1)] = colour
            at += int(run or 1)
    return pixels[:height]


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_sixels_say_each_pixel_once_in_the_nearest_of_216_colours(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    assert np.array_equal(decoded(sixel(pixels)), 20 * np.rint(pixels / 51.0).astype(int))


def test_a_colour_image_keeps_its_colours_in_the_picture():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 200
    written = shown([Named("record 1", image)], Graphics("kitty"), 80)
    file = base64.b64decode("".join(re.findall(r"\x1b_G[^;]*;([^\x1b]*)\x1b\\", written)))
    assert pixels_of(file)[0, 0].tolist() == [200, 0, 0]
