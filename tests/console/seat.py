"""A person in front of a real terminal, with what they see."""

import re
import sys
import zlib
from pathlib import Path

import numpy as np
import pexpect
import pyte
import pytest

from agents.web.png import size_of
from tests.console.office import environment

ROOT = Path(__file__).resolve().parent.parent.parent


class Seat:
    """Somebody in front of a terminal."""

    def __init__(self, *arguments, env=None, answers=None):
        self.screen = pyte.Screen(80, 24)  # a terminal emulator: what it has been sent, as it would look
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._answers = dict(answers or {})  # what the terminal says when it is asked something, by the end of the question
        self._child = pexpect.spawn(sys.executable, list(arguments), cwd=str(ROOT), env=environment(**(env or {})), dimensions=(24, 80), timeout=30)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def sees(self, words, times=1):
        """Read on until these words stand on the screen."""
        while self.text.count(words) < times:
            try:
                data = self._child.read_nonblocking(4096, timeout=30)
            except (pexpect.EOF, pexpect.TIMEOUT) as error:
                pytest.fail(f"{words!r} did not appear ({type(error).__name__}); the screen:\n{self.text}")
            self._take(data)
        return self

    def _take(self, data):
        self.raw += data
        for question in [one for one in self._answers if self.raw.endswith(one)]:
            self._child.send(self._answers.pop(question))
        self._stream.feed(data if b"\x1b_" not in data else re.sub(rb"\x1b_.*?\x1b\\\\", b"", data, flags=re.DOTALL))

    def resize(self, columns, rows):
        """Drag the window's corner."""
        self.screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)
        return self

    def press(self, keys):
        self._child.send(keys)
        return self

    def end(self):
        """Exit status once the program has ended by itself."""
        while True:
            try:
                data = self._child.read_nonblocking(4096, timeout=30)
            except pexpect.EOF:
                break
            self._take(data)
        self._child.close()
        return self._child.exitstatus


def pixels_of(file):
    """Pixels uint8 [h, w, 3] of a PNG file as `agents.web.png` writes them, in colour."""
    width, height = size_of(file)
    data = zlib.decompress(file[file.index(b"IDAT") + 4 : file.index(b"IEND") - 8])
    return np.frombuffer(data, np.uint8).reshape(height, 1 + 3 * width)[:, 1:].reshape(height, width, 3)
