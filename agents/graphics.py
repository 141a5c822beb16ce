r"""Real pixels in terminals that can show them: kitty's graphics protocol, iTerm2's inline images and sixel.

A terminal is believed only when it answers. It is first asked what every terminal is asked (DA1); only one that answers that is asked the
rest, so none that knows no such question prints it as garbage. Inside tmux and screen, which pass pictures on only when told to, in
NO_COLOR and where the variable SCANFLOW_PICTURES says `blocks`, pictures are made of characters (`agents.pictures`).

Protocols: kitty, https://sw.kovidgoyal.net/kitty/graphics-protocol; iTerm2, https://iterm2.com/documentation-images.html; sixel, DEC STD 070
"""

import base64
import os
import re
import select
import time
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.pictures import GAP, Named
from agents.web.png import png

Protocol = Literal["kitty", "iterm", "sixel"]

SETTING = "SCANFLOW_PICTURES"  # blocks, or a protocol for who knows better
ATTRIBUTES = b"\x1b[c"  # DA1: what are you? Parameter 4 of the answer is sixel
KITTY = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
NAME = b"\x1b[>q"  # XTVERSION
CELL = b"\x1b[16t"  # pixels of a character cell
WIPE = b"\r\x1b[K"
TIMEOUT = 0.3  # seconds for an answer; one over a slow line may be missed, and blocks are drawn
CHUNK = 4096  # characters of base64 in one of kitty's commands
ROWS = 12  # character rows of a picture
PRINTS_APC = ("Apple_Terminal",)  # answers DA1, but prints kitty's question


class Graphics(NamedTuple):
    """What a terminal can do: a protocol, and its cells' width and height in pixels."""

    protocol: Protocol
    cell: tuple[int, int] = (8, 16)


def understood(answer: bytes) -> Graphics | None:
    r"""What a terminal's answer to all questions says that it can do, if anything.

    >>> understood(b"\x1b_Gi=31;OK\x1b\\\x1b[6;20;10t\x1b[?62;c")
    Graphics(protocol='kitty', cell=(10, 20))
    >>> understood(b"\x1bP>|WezTerm 2024\x1b\\\x1b[?62;4;c").protocol, understood(b"\x1b[?62;4c").protocol, understood(b"\x1b[?6c")
    ('iterm', 'sixel', None)
    """
    size = re.search(rb"\x1b\[6;(\d+);(\d+)t", answer)
    cell = (int(size[2]), int(size[1])) if size and int(size[1]) and int(size[2]) else (8, 16)
    if re.search(rb"\x1b_Gi=31;OK", answer):
        return Graphics("kitty", cell)
    if re.search(rb"\x1bP>\|(iTerm2|WezTerm)", answer):
        return Graphics("iterm", cell)
    attributes = re.search(rb"\x1b\[\?([\d;]*)c", answer)
    if attributes and b"4" in attributes[1].split(b";")[1:]:
        return Graphics("sixel", cell)
    return None


def may_be_asked(environ: Mapping[str, str]) -> bool:
    """Whether a terminal with these variables is asked at all."""
    term = environ.get("TERM", "")
    inside = "TMUX" in environ or "STY" in environ or term.startswith(("screen", "tmux"))
    plain = term in ("", "dumb", "linux") or environ.get("NO_COLOR") or environ.get("TERM_PROGRAM") in PRINTS_APC
    return not inside and not plain


def graphics_of(keyboard: int, screen: int, environ: Mapping[str, str] = os.environ) -> Graphics | None:
    """What the terminal behind these two file descriptors can do; nothing where it does not say. Takes at most three times `TIMEOUT`."""
    setting = environ.get(SETTING, "")
    if setting in ("kitty", "iterm", "sixel"):
        return Graphics(setting)  # type: ignore[arg-type]  # one of the three
    if setting or not may_be_asked(environ):
        return None
    try:
        import termios
        import tty
    except ImportError:  # no such terminals there
        return None
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard, termios.TCSADRAIN)  # without echo: the answer is not for the person
        if not _ask(keyboard, screen, ATTRIBUTES, TIMEOUT):
            return None
        answer = _ask(keyboard, screen, KITTY + NAME + CELL + ATTRIBUTES, 2 * TIMEOUT)
        os.write(screen, WIPE)
        return understood(answer)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _ask(keyboard: int, screen: int, question: bytes, patience: float) -> bytes:
    """The answer up to that to DA1, which comes last; nothing when it does not come in time."""
    os.write(screen, question)
    answer, until = b"", time.monotonic() + patience
    while not re.search(rb"\x1b\[\?[\d;]*c", answer):
        ready, _, _ = select.select([keyboard], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return b""
        answer += os.read(keyboard, 4096)
    return answer


def shown(named: Sequence[Named], graphics: Graphics, columns: int) -> str:
    r"""What to write at the beginning of a line so that images stand side by side, their names below, and the cursor on the line after them.

    As many as fit are shown; the first always is.
    """
    width, height = graphics.cell
    tiles: list[NDArray[np.uint8]] = []
    names = ""
    across = 0
    for one in named:
        h, w = one.image.shape[:2]
        cells = max(1, min(round(ROWS * height * w / h / width), columns))
        if across and across + GAP + cells > columns:
            break
        gap = GAP if across else 0
        tiles += [np.zeros((ROWS * height, gap * width, 3), np.uint8), _resized(one.image, ROWS * height, cells * width)]
        names += " " * gap + one.name[:cells].ljust(cells)
        across += gap + cells
    # Room first, so that the terminal scrolls before it draws; then back up, and down again from where it began, wherever it left the cursor.
    picture = _written(np.concatenate(tiles, axis=1), graphics, across)
    return "\n" * ROWS + f"\x1b[{ROWS}A\x1b7{picture}\x1b8\x1b[{ROWS}B\r{names.rstrip()}\n"


def _written(pixels: NDArray[np.uint8], graphics: Graphics, columns: int) -> str:
    if graphics.protocol == "sixel":
        return sixel(pixels)
    file = png(pixels)
    data = base64.b64encode(file).decode()
    if graphics.protocol == "iterm":
        return f"\x1b]1337;File=inline=1;size={len(file)};width={columns};height={ROWS};preserveAspectRatio=0;doNotMoveCursor=1:{data}\x07"
    parts = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    heads = [f"a=T,f=100,q=2,C=1,c={columns},r={ROWS},", *[""] * (len(parts) - 1)]
    more = [1] * (len(parts) - 1) + [0]
    return "".join(f"\x1b_G{head}m={left};{part}\x1b\\" for head, left, part in zip(heads, more, parts, strict=True))


def sixel(pixels: NDArray[np.uint8]) -> str:
    r"""Pixels uint8 [h, w, 3] as sixels, in 6 x 6 x 6 colours.

    >>> sixel(np.zeros((6, 3, 3), np.uint8))
    '\x1bP0;1q"1;1;3;6#0;2;0;0;0#0!3~-\x1b\\'
    """
    height, width = pixels.shape[:2]
    indices = (np.rint(pixels / 51.0).astype(np.int64) @ np.array([36, 6, 1])).astype(np.int64)
    used = np.unique(indices)
    palette = "".join(f"#{index};2;{20 * (index // 36)};{20 * (index // 6 % 6)};{20 * (index % 6)}" for index in used.tolist())
    bands: list[str] = []
    for top in range(0, height, 6):
        band = indices[top : top + 6]
        bits = 1 << np.arange(len(band))[:, None]
        lines = [f"#{index}{_runs(((band == index) * bits).sum(axis=0))}" for index in np.unique(band).tolist()]
        bands.append("$".join(lines) + "-")
    return f'\x1bP0;1q"1;1;{width};{height}{palette}{"".join(bands)}\x1b\\'


def _runs(columns: NDArray[np.int64]) -> str:
    """Columns of six pixels as characters; runs of more than two are written once, with their length."""
    edges = np.flatnonzero(np.diff(columns)) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.concatenate([starts, [len(columns)]]))
    written = ((chr(63 + int(columns[start])), int(length)) for start, length in zip(starts, lengths, strict=True))
    return "".join(f"!{length}{mark}" if length > 2 else mark * length for mark, length in written)


def _resized(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """[height, width, 3], each pixel from the nearest one: enlarged images keep crisp pixels."""
    h, w = image.shape[:2]
    rows, columns = np.arange(height) * h // height, np.arange(width) * w // width
    pixels = image[rows][:, columns]
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
