"""Where shapes and arrows go: layers from top to bottom, after Sugiyama, Tagawa and Toda (1981).

Each shape is put one layer beneath those that lead to it; a label of an arrow gets a place in a layer of its own, so that no text covers
another; within the layers the order is the one, of those that repeated sorting by the neighbours' places brings forth, with the fewest
crossings; the places themselves are the closest to the neighbours' that leave the order and the gaps (a regression under constraints,
solved by pooling adjacent violators). Pure arithmetic, so the same graph always looks the same.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import networkx as nx

GAP, LIFT = 26.0, 22.0  # between neighbours in a layer, and between layers
LOOP = 34.0  # what an arrow from a box to itself needs beside its text
SWEEPS, STRAIGHTENING = 12, 4


class Size(NamedTuple):
    """Width and height of a box."""

    width: float
    height: float


class Link(NamedTuple):
    """An arrow to be placed: `label` is the size of its text; `start` and `finish`: how far from the middle of its boxes it begins and ends.

    Where these are None, several links of one box are spread over its side. Of a link from a box to itself `start` is how far inside it begins.
    """

    source: str
    target: str
    label: Size
    start: float | None = None
    finish: float | None = None


class Point(NamedTuple):
    """A place; y grows downwards."""

    x: float
    y: float


class Course(NamedTuple):
    """How an arrow runs: straight between the two points of each pair, in a bow from one pair to the next; `label`: the middle of its text."""

    pairs: tuple[tuple[Point, Point], ...]
    label: Point


class Cell(NamedTuple):
    """A place in layer `rank` that link `number` needs, for its label or to pass."""

    label: bool
    number: int
    rank: int


Spot = str | Cell  # what stands in a layer: a box, by its name, or a cell


class Layout(NamedTuple):
    """The middle of each box, the course of each link, and the size of it all."""

    boxes: dict[str, Point]
    courses: list[Course]
    size: Size


def lay_out(boxes: Mapping[str, Size], links: Sequence[Link], order: Iterable[tuple[str, str]] = (), top: Iterable[str] = (),
            bottom: Iterable[str] = ()) -> Layout:  # fmt: skip
    """Place boxes and links.

    Parameters
    ----------
    boxes : the size of each.
    links : in order of importance: where they run in a circle, the later one points upwards.
    order : pairs of which the first is placed above the second.
    top, bottom : boxes of the first and of the last layer.
    """
    loops = [link for link in links if link.source == link.target]
    ranks, upwards = _rank(boxes, links, list(order), set(top), set(bottom))
    grid = _Grid(boxes, ranks, loops)
    chains: dict[int, list[Cell]] = {}
    for number, link in enumerate(links):
        if link.source != link.target:
            chains[number] = grid.chain(number, link, reverse=number in upwards)
    grid.sort()
    grid.settle(list(chains.values()))
    return grid.layout(links, chains, upwards)


def _rank(
    boxes: Mapping[str, Size], links: Sequence[Link], order: Sequence[tuple[str, str]], top: set[str], bottom: set[str],
) -> tuple[dict[str, int], set[int]]:  # fmt: skip
    """The layer of each box, of which every other one is left to labels; and which links point upwards."""
    down: nx.DiGraph[str] = nx.DiGraph()
    down.add_nodes_from(boxes)
    upwards = set()
    for number, link in enumerate(links):
        if link.source == link.target:
            continue
        if down.has_edge(link.target, link.source) or (not down.has_edge(link.source, link.target) and nx.has_path(down, link.target, link.source)):
            upwards.add(number)
        else:
            down.add_edge(link.source, link.target)
    for first, second in order:
        if not nx.has_path(down, second, first):
            down.add_edge(first, second)
    ranks: dict[str, int] = {}
    topological = list(nx.topological_sort(down))
    for box in topological:
        ranks[box] = max((ranks[one] + 2 for one in down.predecessors(box)), default=0)
    for box in reversed(topological):  # what nothing leads to stands just above what it leads to, not far away at the top
        if down.out_degree(box) and not down.in_degree(box) and box not in top:
            ranks[box] = min(ranks[one] for one in down.successors(box)) - 2
    last = max(ranks.values(), default=0)
    if top and any(ranks[box] == 0 for box in ranks if box not in top):
        ranks = {box: 0 if box in top else rank + 2 for box, rank in ranks.items()}
        last += 2
    for box in bottom:
        ranks[box] = last + (2 if any(ranks[one] == last for one in ranks if one not in bottom) else 0)
    return ranks, upwards


class _Grid:
    """Layers of cells: boxes, labels (by the number of their link), and the places where long links pass (number and layer)."""

    def __init__(self, boxes: Mapping[str, Size], ranks: Mapping[str, int], loops: Sequence[Link]) -> None:
        self._boxes, self._ranks = boxes, ranks
        self._size: dict[Spot, Size] = {box: size for box, size in boxes.items()}  # noqa: C416 - its keys are of a wider type
        for loop in loops:  # room for it on the right, and for balance on the left
            width = boxes[loop.source].width + 2 * (LOOP + loop.label.width)
            self._size[loop.source] = Size(max(width, self._size[loop.source].width), boxes[loop.source].height)
        self._layers: list[list[Spot]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
        self._above: dict[Spot, list[tuple[Spot, float, float]]] = {box: [] for box in boxes}  # neighbour, its offset, own offset
        self._below: dict[Spot, list[tuple[Spot, float, float]]] = {box: [] for box in boxes}
        self._x: dict[Spot, float] = {}
        for box, rank in ranks.items():
            self._layers[rank].append(box)

    def chain(self, number: int, link: Link, *, reverse: bool) -> list[Cell]:
        """Put in the cells that a link needs between its boxes; they are returned from top to bottom."""
        upper, lower = (link.target, link.source) if reverse else (link.source, link.target)
        first, last = self._ranks[upper], self._ranks[lower]
        middle = first + 1 + (last - first - 2) // 4 * 2
        cells: list[Cell] = []
        for rank in range(first + 1, last):
            cell = Cell(rank == middle, number, rank)
            self._size[cell] = Size(link.label.width + 12, link.label.height) if rank == middle else Size(2, 0)
            self._layers[rank].append(cell)
            self._above[cell], self._below[cell] = [], []
            cells.append(cell)
        starts = (link.finish, link.start) if reverse else (link.start, link.finish)
        row: list[Spot] = [upper, *cells, lower]
        for place, (one, two) in enumerate(itertools.pairwise(row)):
            from_one = (starts[0] or 0.0) if place == 0 else 0.0
            from_two = (starts[1] or 0.0) if place == len(row) - 2 else 0.0
            self._below[one].append((two, from_two, from_one))
            self._above[two].append((one, from_one, from_two))
        return cells

    def sort(self) -> None:
        """Find an order of each layer with few crossings."""
        best, fewest = [list(layer) for layer in self._layers], self._crossings()
        for sweep in range(SWEEPS):
            if not fewest:
                break
            downwards = sweep % 2 == 0
            near = self._above if downwards else self._below
            layers = self._layers[1:] if downwards else self._layers[-2::-1]
            for layer in layers:
                places = {cell: place for others in self._layers for place, cell in enumerate(others)}
                wanted = {cell: _mean([places[one] + 1e-4 * at for one, at, _ in near[cell]], places[cell]) for cell in layer}
                layer.sort(key=wanted.__getitem__)
            if (now := self._crossings()) < fewest:
                best, fewest = [list(layer) for layer in self._layers], now
        self._layers = best

    def _crossings(self) -> int:
        count = 0
        for layer, below in itertools.pairwise(self._layers):
            places = {cell: place for place, cell in enumerate(below)}
            ends = [place for cell in layer for place in sorted(places[one] for one, *_ in self._below[cell])]
            count += _inversions(ends)
        return count

    def settle(self, chains: Sequence[Sequence[Cell]]) -> None:
        """Find the places within the layers."""
        for layer in self._layers:
            x = 0.0
            for cell in layer:
                self._x[cell] = x + self._size[cell].width / 2
                x += self._size[cell].width + GAP
        for sweep in range(SWEEPS):
            sides = [self._above, self._below] if sweep >= SWEEPS - 2 else [self._above] if sweep % 2 == 0 else [self._below]
            for layer in self._layers if sweep % 2 == 0 else self._layers[::-1]:
                wanted = []
                for cell in layer:
                    near = [self._x[one] + at - own for side in sides for one, at, own in side[cell]]
                    wanted.append(_mean(near, self._x[cell]))
                self._place(layer, wanted, 4.0)
        for _ in range(STRAIGHTENING):
            straight: dict[Spot, float] = {cell: _mean([self._x[one] for one in cells], 0.0) for cells in chains for cell in cells}
            for layer in self._layers:
                self._place(layer, [straight.get(cell, self._x[cell]) for cell in layer], 0.5)

    def _place(self, layer: Sequence[Spot], wanted: Sequence[float], weight: float) -> None:
        """Place the cells of a layer, those of links with this weight."""
        widths = [self._size[cell].width for cell in layer]
        weights = [weight if isinstance(cell, Cell) else 1.0 for cell in layer]
        for cell, x in zip(layer, _apart(wanted, widths, weights), strict=True):
            self._x[cell] = x

    def layout(self, links: Sequence[Link], chains: Mapping[int, list[Cell]], upwards: set[int]) -> Layout:
        """Put it all together; the upper left corner is 0, 0."""
        left = min((self._x[cell] - self._size[cell].width / 2 for cell in self._x), default=0.0)
        bands, y = [], 0.0
        for rank, layer in enumerate(self._layers):
            tall = max((self._size[cell].height for cell in layer), default=0.0)
            bands.append((y, y + tall))
            y += tall + (LIFT if rank % 2 or tall else 0.0)
        boxes = {box: Point(self._x[box] - left, sum(bands[rank]) / 2) for box, rank in self._ranks.items()}
        starts = self._spread(links, chains, upwards)
        courses = []
        for number, link in enumerate(links):
            if number not in chains:
                courses.append(self._loop(boxes[link.source], link))
                continue
            up = number in upwards
            upper, lower = (link.target, link.source) if up else (link.source, link.target)
            one, two = starts[number]
            begin, finish = boxes[upper], boxes[lower]
            rank_a, rank_b = self._ranks[upper], self._ranks[lower]
            pairs = [(Point(begin.x + one, begin.y + self._boxes[upper].height / 2), Point(begin.x + one, bands[rank_a][1]))]
            for cell in chains[number]:
                x = self._x[cell] - left
                pairs.append((Point(x, bands[cell.rank][0]), Point(x, bands[cell.rank][1])))
                if cell.label:
                    label = Point(x, sum(bands[cell.rank]) / 2)
            pairs.append((Point(finish.x + two, bands[rank_b][0]), Point(finish.x + two, finish.y - self._boxes[lower].height / 2)))
            if up:
                pairs = [(second, first) for first, second in reversed(pairs)]
            courses.append(Course(tuple(pairs), label))
        width = max((self._x[cell] - left + self._size[cell].width / 2 for cell in self._x), default=0.0)
        return Layout(boxes, courses, Size(width, bands[-1][1] if bands else 0.0))

    def _spread(self, links: Sequence[Link], chains: Mapping[int, list[Cell]], upwards: set[int]) -> dict[int, tuple[float, float]]:
        """How far from the middle each link leaves its upper and reaches its lower box."""
        found: dict[int, list[float]] = {number: [0.0, 0.0] for number in chains}
        sides: dict[tuple[str, int], list[tuple[float, int]]] = {}
        for number, cells in chains.items():
            link = links[number]
            pairs = [(link.source, link.start), (link.target, link.finish)]
            for side, (box, fixed) in enumerate(reversed(pairs) if number in upwards else pairs):
                if fixed is not None:
                    found[number][side] = fixed
                else:
                    sides.setdefault((box, side), []).append((self._x[cells[0 if side == 0 else -1]], number))
        for (box, side), many in sides.items():
            step = min(18.0, 0.6 * self._boxes[box].width / max(len(many) - 1, 1))
            for place, (_, number) in enumerate(sorted(many)):
                found[number][side] = step * (place - (len(many) - 1) / 2)
        return {number: (one, two) for number, (one, two) in found.items()}

    def _loop(self, middle: Point, link: Link) -> Course:
        size = self._boxes[link.source]
        x, reach = middle.x + size.width / 2 - (link.start or 0.0), size.height / 4
        pairs = (
            (Point(x, middle.y - reach), Point(x + 4, middle.y - reach)), (Point(x + 22, middle.y), Point(x + 22, middle.y)),
            (Point(x + 4, middle.y + reach), Point(x, middle.y + reach)),
        )  # fmt: skip
        return Course(pairs, Point(x + 28 + link.label.width / 2, middle.y))


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _inversions(values: Sequence[int]) -> int:
    """How many pairs stand in the wrong order."""
    if len(values) < 2:
        return 0
    size = max(values) + 2
    tree, count = [0] * size, 0
    for seen, value in enumerate(values):
        at, smaller = value + 1, 0
        while at:
            smaller += tree[at]
            at -= at & -at
        count += seen - smaller
        at = value + 1
        while at < size:
            tree[at] += 1
            at += at & -at
    return count


def _apart(wanted: Sequence[float], widths: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The places closest to the wanted ones, in this order and without overlap.

    >>> _apart([5, 0, 100], [10, 10, 10], [1, 1, 1])
    [-15.5, 20.5, 100.0]
    """
    offsets = [0.0]
    for one, two in itertools.pairwise(widths):
        offsets.append(offsets[-1] + (one + two) / 2 + GAP)
    blocks: list[list[float]] = []  # mean, weight, count
    for place, offset, weight in zip(wanted, offsets, weights, strict=False):
        blocks.append([place - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, weight_, count = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * weight_) / (before[1] + weight_)
            before[1] += weight_
            before[2] += count
    means = [mean for mean, _, count in blocks for _ in range(int(count))]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
