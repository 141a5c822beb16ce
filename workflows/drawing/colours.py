"""One colour for each kind, told apart also by the colour-blind (Okabe and Ito 2008, jfly.uni-koeln.de/color); shapes differ as well."""

from typing import NamedTuple


class Colour(NamedTuple):
    """Of a line and of the area inside, and the nearest name that a terminal knows."""

    line: str
    fill: str
    terminal: str


COLOURS = {
    "step": Colour("#0072b2", "#e4f0f8", "blue"),
    "graph": Colour("#767676", "#f7f7f5", "white"),
    "service": Colour("#007a59", "#dcf2ea", "green"),
    "agent": Colour("#d55e00", "#fcebdd", "yellow"),
    "person": Colour("#a34d80", "#f8e6f0", "magenta"),
    "input": Colour("#767676", "#ffffff", "white"),
    "output": Colour("#767676", "#ffffff", "white"),
}
DATA, MESSAGE = Colour("#333333", "#333333", "default"), Colour("#9a4400", "#9a4400", "yellow")
INK, FAINT, PAPER = "#1a1a1a", "#595959", "#ffffff"
