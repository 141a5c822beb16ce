"""Images drawn in a terminal: two pixels a character cell, one above the other, in colour or in shades."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

Drawing = Literal["colour", "shades", "ascii"]

# Brightness of the upper and the lower half of a cell, and the character that comes closest to it in the terminal's one colour.
SHADES: tuple[tuple[float, float, str], ...] = (
    (0.0, 0.0, " "), (0.25, 0.25, "░"), (0.5, 0.5, "▒"), (0.75, 0.75, "▓"), (1.0, 1.0, "█"), (1.0, 0.0, "▀"), (0.0, 1.0, "▄"),
)  # fmt: skip
GAP, LEAST = 3, 16  # columns between images that stand side by side, and of one of them, at least
RAMP = " .:-=+*#%@"
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def drawing_for(console: Console) -> Drawing:
    """How images can be drawn there: in colour from 256 colours up, else in shades, in plain ASCII where the encoding has no blocks.

    Fewer than 256 colours hold four greys at most; shades show more. `NO_COLOR` and `TERM=dumb` are seen by rich.
    """
    if not console.encoding.lower().replace("-", "").startswith("utf"):
        return "ascii"
    return "colour" if console.color_system in ("256", "truecolor") and not console.no_color else "shades"


def picture(image: NDArray[np.uint8], columns: int, rows: int, drawing: Drawing = "colour") -> Text:
    """Draw an image as large as it fits, pixels enlarged by a whole number, or shrunk by averaging when there is too little room.

    Parameters
    ----------
    image : uint8 [h, w] or [h, w, 3].
    columns, rows : room in character cells, at least 1 each. A cell is about twice as high as wide and holds two pixels.
    drawing : "colour" (upper half blocks with two colours; rich turns them into what the terminal has), "shades" or "ascii".

    Examples
    --------
    >>> diagonal = np.array([[255, 0], [0, 255]], np.uint8)
    >>> print(picture(diagonal, 2, 1, "shades").plain)
    ▀▄
    >>> print(picture(diagonal, 4, 2, "shades").plain)
    ██
      ██
    """
    pixels = _fit(image, columns, 2 * rows)
    if len(pixels) % 2:
        pixels = np.concatenate([pixels, np.zeros_like(pixels[:1])])
    upper, lower = pixels[::2], pixels[1::2]
    if drawing == "colour":
        return Text("\n").join(_coloured(above, below) for above, below in zip(upper, lower, strict=True))
    light = _brightness(pixels)
    shade = _blocks if drawing == "shades" else _ramp
    return Text("\n".join(shade(above, below) for above, below in zip(light[::2], light[1::2], strict=True)))


class Named(NamedTuple):
    """An image, uint8 [h, w] or [h, w, 3], and what to write below it."""

    name: str
    image: NDArray[np.uint8]


def side_by_side(named: Sequence[Named], columns: int, rows: int, drawing: Drawing = "colour") -> list[Table]:
    """Images of one size each, with their names below, as many beside one another as there is room for; the rest in further tables.

    >>> from rich import print
    >>> bar = np.array([[0, 255], [0, 255]], np.uint8)
    >>> for table in side_by_side([Named("12", bar), Named("15", bar)], 20, 2, "shades"):
    ...     print(table)
      ██   ██
      ██   ██
    12   15
    """
    if not named:
        return []
    room = max(min(columns, LEAST + GAP), columns // len(named)) - GAP  # each gets its share, but none less than can be made out
    drawn = [(picture(one.image, max(room, 1), rows, drawing), one.name) for one in named]
    wide = [max(len(text.plain.splitlines()[0]), min(len(name), room)) for text, name in drawn]
    tables: list[Table] = []
    start = 0
    while start < len(drawn):
        end = start + 1
        while end < len(drawn) and sum(wide[start : end + 1]) + GAP * (end - start) <= columns:
            end += 1
        table = Table.grid(padding=(0, GAP, 0, 0))
        for width in wide[start:end]:
            table.add_column(width=width, no_wrap=True)
        table.add_row(*(text for text, _ in drawn[start:end]))
        table.add_row(*(Text(name[:width], "dim") for (_, name), width in zip(drawn[start:end], wide[start:end], strict=True)))
        tables.append(table)
        start = end
    return tables


def row_table(row: NDArray[np.float32], features: Sequence[str], columns: int, rows: int) -> Text:
    """Write a row of a table, float32 [features], one feature a line: its name (with its unit) and its value; so many as there is room for.

    >>> print(row_table(np.array([36.5, 120], np.float32), ["temperature (°C)", "pulse"], 30, 5).plain)
    temperature (°C)  36.5
    pulse             120
    """
    names = [features[at] if at < len(features) else f"feature {at + 1}" for at in range(len(row))]
    wide = max(min(max(map(len, names)), columns - 12), 1)
    lines = [f"{name[:wide]:<{wide}}  {value:.6g}" for name, value in zip(names, row, strict=True)]
    if len(lines) > rows:
        lines = [*lines[: rows - 1], f"... and {len(lines) - rows + 1} more"]
    width = max(map(len, lines))
    return Text("\n".join([lines[0].ljust(width), *lines[1:]]))  # as wide as the widest: who lays it out goes by the first line


def _fit(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Enlarged or shrunk to at most `height` x `width` pixels, in proportion."""
    h, w = image.shape[:2]
    scale = min(width / w, height / h)
    if scale >= 1:
        return image.repeat(int(scale), axis=0).repeat(int(scale), axis=1)
    return _averaged(_averaged(image, max(1, int(h * scale)), axis=0), max(1, int(w * scale)), axis=1)


def _averaged(image: NDArray[np.uint8], length: int, axis: int) -> NDArray[np.uint8]:
    """`length` means over neighbouring pixels along an axis."""
    edges = np.arange(length + 1) * image.shape[axis] // length
    sums = np.add.reduceat(image.astype(np.float64), edges[:-1], axis=axis)
    counts = np.diff(edges).reshape([-1 if place == axis else 1 for place in range(image.ndim)])
    means: NDArray[np.uint8] = np.rint(sums / counts).astype(np.uint8)
    return means


def _brightness(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """[h, w] in [0, 1]. Spread over the image's own range: with so few shades a foggy image would else be one grey."""
    grey = pixels @ LUMA if pixels.ndim == 3 else pixels.astype(np.float64)
    low, high = grey.min(), grey.max()
    spread: NDArray[np.float64] = (grey - low) / (high - low) if high > low else grey / 255
    return spread


def _coloured(above: NDArray[np.uint8], below: NDArray[np.uint8]) -> Text:
    text = Text()
    for one, other in zip(above, below, strict=True):
        text.append("▀", Style(color=_colour(one), bgcolor=_colour(other)))
    return text


def _colour(pixel: NDArray[np.uint8]) -> Color:
    red, green, blue = (int(value) for value in np.broadcast_to(pixel, 3))
    return Color.from_rgb(red, green, blue)


def _blocks(above: NDArray[np.float64], below: NDArray[np.float64]) -> str:
    table = np.array([(top, bottom) for top, bottom, _ in SHADES])
    cells = np.stack([above, below], axis=1)
    nearest = ((cells[:, None] - table) ** 2).sum(axis=2).argmin(axis=1)
    return "".join(SHADES[place][2] for place in nearest)


def _ramp(above: NDArray[np.float64], below: NDArray[np.float64]) -> str:
    return "".join(RAMP[round(value * (len(RAMP) - 1))] for value in (above + below) / 2)
