"""A graph as one SVG file that needs nothing else: no font, no style sheet, no script.

Data edges are solid and named after the type of their artefact, message edges dashed and named after the type of their message; nested
graphs are boxes around what they hold. Each kind of node has a shape and a colour of its own. Whatever a label leaves out is in the
element's title, which viewers show where the mouse rests.
"""

import unicodedata
from collections.abc import Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from workflows.drawing.colours import COLOURS, DATA, FAINT, INK, MESSAGE, PAPER
from workflows.drawing.layout import Course, Layout, Link, Point, Size, lay_out
from workflows.drawing.picture import Arrow, Kind, Picture, Shape, kinds, picture_of, plain, short
from workflows.graph import Graph

NAME, NOTE, LABEL = 14, 11, 11  # pixels
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
PAD, MARGIN, HEAD, CUT = 18.0, 24.0, 40.0, 18.0
NOTE_LENGTH = 34
WORDS = {"step": "step", "graph": "graph", "service": "service", "agent": "agent", "person": "person", "input": "input or output"}


class _Drawn(NamedTuple):
    """A shape that has been given its size; `inner`: the layout of what is inside, and where its upper left corner is."""

    size: Size
    inner: "tuple[Picture, dict[str, _Drawn], Layout, Point] | None" = None


def svg(graph: Graph, counts: Mapping[tuple[str, str, str], int] | None = None, *, used: bool = False) -> str:
    """The text of the file.

    `counts`: how often each message edge, by source, target and type, has been used; written beside its name. `used`: leave out all other
    message edges, and services that nobody has used.
    """
    picture = _counted(picture_of(graph), counts or {}, used=used)
    drawn, layout = _measure(picture)
    title = plain(picture.name)
    lines = [short(picture.description, 110)] * bool(plain(picture.description)) + [short(f"returns {picture.returns}", 110)] * bool(picture.returns)
    above = MARGIN + HEAD + 18 * len(lines)
    width = max(layout.size.width, text_width(title, 20), *(text_width(line, 12) for line in lines), _legend_width(picture)) + 2 * MARGIN
    height = above + layout.size.height + 64 + MARGIN
    corner = Point((width - layout.size.width) / 2, above)
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(title)} font-family="{FONT}" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f"<defs>{_head('data', DATA.line)}{_head('message', MESSAGE.line)}</defs>",
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        _text(title, MARGIN, MARGIN + 14, 20, weight=600, anchor="start"),
        *(_text(line, MARGIN, MARGIN + 36 + 18 * place, 12, fill=FAINT, anchor="start") for place, line in enumerate(lines)),
        *_draw(picture, drawn, layout, corner),
        *_legend(picture, height - MARGIN - 8),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _counted(picture: Picture, counts: Mapping[tuple[str, str, str], int], *, used: bool) -> Picture:
    arrows = []
    for arrow in picture.arrows:
        said = {kind: counts.get((arrow.source, arrow.target, kind), 0) for kind in arrow.labels}
        labels = tuple(f"{kind} × {count:,}" if count else kind for kind, count in said.items() if count or not used)
        if labels or arrow.kind == "data":
            arrows.append(arrow._replace(labels=labels if arrow.kind == "message" else arrow.labels))
    ends = {end for arrow in arrows for end in (arrow.source, arrow.target)}
    shapes = tuple(shape for shape in picture.shapes if not used or shape.kind != "service" or shape.id in ends)
    return picture._replace(arrows=tuple(arrows), shapes=shapes)


def text_width(text: str, size: float) -> float:
    """About how wide a text is, in pixels: fonts differ, so rather too much than too little.

    >>> round(text_width("evaluate", 10), 1), round(text_width("数据", 10), 1)
    (43.2, 20.0)
    """
    total = 0.0
    for one in text:
        if unicodedata.east_asian_width(one) in "WF":
            total += 1.0
        elif one in "iljtf.,:;'|!I()[]- ":
            total += 0.36
        elif one in "mwMW@%":
            total += 0.95
        else:
            total += 0.72 if one.isupper() else 0.0 if unicodedata.combining(one) else 0.6
    return total * size


# --- sizes ---------------------------------------------------------------------------------------------------------------


def _measure(picture: Picture) -> tuple[dict[str, _Drawn], Layout]:
    """How large each shape is, and where it goes."""
    drawn = {shape.id: _size(shape) for shape in picture.shapes}
    kind_of = {shape.id: shape.kind for shape in picture.shapes}
    links = []
    for arrow in picture.arrows:
        label = Size(max(text_width(text, LABEL) for text in arrow.labels), (LABEL + 3) * len(arrow.labels))
        (source, start), (target, finish) = _hold(arrow.source, drawn), _hold(arrow.target, drawn)
        if source == target:
            start = CUT / 2 if kind_of[source] == "agent" else 0.0  # where a hexagon's side is at that height
        links.append(Link(source, target, label, start, finish))
    top = [shape.id for shape in picture.shapes if shape.kind == "input"]
    bottom = [shape.id for shape in picture.shapes if shape.kind == "output"]
    return drawn, lay_out({name: one.size for name, one in drawn.items()}, links, picture.order, top, bottom)


def _hold(where: str, drawn: dict[str, _Drawn]) -> tuple[str, float | None]:
    """The shape of this level at which an arrow to `where` ends, and how far from its middle: a nested graph has its ports inside."""
    if where in drawn:
        return where, None
    holder = next(name for name in drawn if where.startswith(f"{name}."))
    inner = drawn[holder].inner
    assert inner is not None
    _, _, layout, corner = inner
    return holder, corner.x + layout.boxes[where].x - drawn[holder].size.width / 2


def _size(shape: Shape) -> _Drawn:
    head = text_width(shape.name, NAME) * 1.06
    if shape.inside is not None:
        inside, layout = _measure(shape.inside)
        caption = max(head, *(text_width(short(note, NOTE_LENGTH), NOTE) for note in shape.notes), 0.0) + PAD
        ports = [layout.boxes[one.id].x - inside[one.id].size.width / 2 for one in shape.inside.shapes if one.kind == "input"]
        tall = 10 + NAME + (NOTE + 5) * len(shape.notes)
        # What names the graph stands left of its inputs, beside which arrows come in; without inputs it stands above everything.
        corner = Point(max(PAD, PAD + caption - min(ports)), PAD) if ports else Point(PAD, PAD + tall)
        if ports:
            row = max(inside[one.id].size.height for one in shape.inside.shapes if one.kind == "input")
            corner = Point(corner.x, max(PAD, PAD + tall - row))
        width = max(corner.x + layout.size.width + PAD, caption + 2 * PAD)
        height = max(corner.y + layout.size.height + PAD, tall + 2 * PAD)
        return _Drawn(Size(width, height), (shape.inside, inside, layout, corner))
    wide = max(head, *(text_width(short(note, NOTE_LENGTH), NOTE) for note in shape.notes), 0.0)
    extra = {"agent": 52.0, "person": 56.0, "service": 48.0, "input": 40.0, "output": 40.0}.get(shape.kind, 28.0)
    if shape.kind in {"input", "output"}:
        return _Drawn(Size(head + extra, 28.0))
    return _Drawn(Size(max(wide + extra, 84.0), 26.0 + NAME + (NOTE + 4) * len(shape.notes)))


# --- drawing -------------------------------------------------------------------------------------------------------------


def _draw(picture: Picture, drawn: dict[str, _Drawn], layout: Layout, corner: Point) -> list[str]:
    parts = []
    for shape in picture.shapes:
        middle = layout.boxes[shape.id]
        parts += _shape(shape, drawn[shape.id], Point(corner.x + middle.x, corner.y + middle.y))
    for arrow, course in zip(picture.arrows, layout.courses, strict=True):
        parts.append(_arrow(arrow, _reached(arrow, course, drawn), corner))
    return parts


def _reached(arrow: Arrow, course: Course, drawn: dict[str, _Drawn]) -> Course:
    """The course drawn on through the edge of a nested graph to its port."""
    pairs = list(course.pairs)
    for where, place in ((arrow.source, 0), (arrow.target, -1)):
        if where in drawn:
            continue
        holder, _ = _hold(where, drawn)
        inner = drawn[holder].inner
        assert inner is not None
        _, inside, layout, within = inner
        half = inside[where].size.height / 2
        first, second = pairs[place]
        if place == 0:
            depth = drawn[holder].size.height - (within.y + layout.boxes[where].y + half)
            pairs[0] = (Point(first.x, first.y - depth), second)
        else:
            pairs[-1] = (first, Point(second.x, second.y + within.y + layout.boxes[where].y - half))
    return Course(tuple(pairs), course.label)


def _shape(shape: Shape, drawn: _Drawn, middle: Point) -> list[str]:
    colour, (width, height) = COLOURS[shape.kind], drawn.size
    x, y = middle.x - width / 2, middle.y - height / 2
    about = f"{shape.kind} {shape.id}" + "".join(f"\n{text}" for text in (*shape.notes, plain(shape.description)) if text)
    parts = [
        f'<g class="{shape.kind}" data-id={quoteattr(shape.id)}><title>{escape(about)}</title>',
        f'<g fill="{colour.fill}" stroke="{colour.line}" stroke-width="1.5">{_outline(shape, x, y, width, height)}</g>',
    ]
    if drawn.inner is not None:
        picture, inside, layout, within = drawn.inner
        parts.append(_text(shape.name, x + PAD, y + PAD + 8, NAME, weight=600, anchor="start"))
        parts += [
            _text(short(note, NOTE_LENGTH), x + PAD, y + PAD + 8 + (NOTE + 5) * (place + 1), NOTE, fill=FAINT, anchor="start")
            for place, note in enumerate(shape.notes)
        ]
        parts += _draw(picture, inside, layout, Point(x + within.x, y + within.y))
        return [*parts, "</g>"]
    if shape.kind in {"input", "output"}:
        return [*parts, _text(shape.name, middle.x, middle.y + 4, 12, style="italic"), "</g>"]
    shift = 12 if shape.kind == "person" else 0
    line = y + 14 + NAME * 0.78
    parts.append(_text(shape.name, middle.x + shift, line, NAME, weight=600))
    for place, note in enumerate(shape.notes):
        parts.append(_text(short(note, NOTE_LENGTH), middle.x + shift, line + (NOTE + 4) * (place + 1), NOTE, fill=FAINT))
    return [*parts, "</g>"]


def _outline(shape: Shape, x: float, y: float, width: float, height: float) -> str:
    match shape.kind:
        case "agent":
            cut = min(CUT, width / 4)
            points = [(x + cut, y), (x + width - cut, y), (x + width, y + height / 2), (x + width - cut, y + height), (x + cut, y + height),
                      (x, y + height / 2)]  # fmt: skip
            return _polygon(points)
        case "input" | "output":
            return _polygon([(x + 10, y), (x + width, y), (x + width - 10, y + height), (x, y + height)])
        case "service":
            return _rect(x, y, width, height, height / 2) + _rect(x + 4, y + 4, width - 8, height - 8, height / 2 - 4)
        case "person":
            cx, cy = x + 20, y + height / 2
            figure = f'<circle cx="{cx:.1f}" cy="{cy - 6:.1f}" r="5" fill="none"/>'
            figure += f'<path d="M{cx - 9:.1f} {cy + 11:.1f}a9 9 0 0 1 18 0z" fill="none"/>'
            return _rect(x, y, width, height, 12) + figure
        case "graph":
            return _rect(x, y, width, height, 4)
        case _:
            return _rect(x, y, width, height, 6)


def _arrow(arrow: Arrow, course: Course, corner: Point) -> str:
    dash = ' stroke-dasharray="6 4"' if arrow.kind == "message" else ""
    colour = (MESSAGE if arrow.kind == "message" else DATA).line
    (begin, _), *_ = course.pairs
    path = [f"M{corner.x + begin.x:.1f} {corner.y + begin.y:.1f}"]
    before = None
    for first, second in course.pairs:
        if before is not None:
            half = (first.y - before.y) / 2
            path.append(f"C{corner.x + before.x:.1f} {corner.y + before.y + half:.1f} {corner.x + first.x:.1f} {corner.y + first.y - half:.1f} "
                        f"{corner.x + first.x:.1f} {corner.y + first.y:.1f}")  # fmt: skip
        if abs(second.y - first.y) + abs(second.x - first.x) > 0.05:  # a line without length would turn the arrow's head
            path.append(f"L{corner.x + second.x:.1f} {corner.y + second.y:.1f}")
        before = second
    title = escape("\n".join(arrow.titles))
    x, y = corner.x + course.label.x, corner.y + course.label.y
    height = (LABEL + 3) * len(arrow.labels)
    wide = max(text_width(label, LABEL) for label in arrow.labels)
    texts = "".join(
        _text(label, x, y - height / 2 + (LABEL + 3) * place + LABEL - 0.5, LABEL, fill=colour) for place, label in enumerate(arrow.labels)
    )
    back = f'<g fill="{PAPER}" fill-opacity="0.88">{_rect(x - wide / 2 - 3, y - height / 2, wide + 6, height, 2)}</g>'
    line = f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.4"{dash} marker-end="url(#scanflow-{arrow.kind})"/>'
    return f'<g class="{arrow.kind}" data-edges="{len(arrow.titles)}"><title>{title}</title>{line}{back}{texts}</g>'


def _legend(picture: Picture, y: float) -> list[str]:
    """What the shapes mean; only those that there are."""
    x, parts = MARGIN, []
    for kind in _kinds(picture):
        word = WORDS[kind]
        outline = _outline(Shape("", "", kind), x, y - 9, 26, 18) if kind != "person" else _rect(x, y - 9, 26, 18, 5)
        colour = COLOURS[kind]
        parts.append(f'<g fill="{colour.fill}" stroke="{colour.line}" stroke-width="1.2">{outline}</g>')
        parts.append(_text(word, x + 34, y + 4, LABEL, fill=FAINT, anchor="start"))
        x += 34 + text_width(word, LABEL) + 22
    for edge, line, word in (("data", DATA, "artefact"), ("message", MESSAGE, "message")):
        if edge in _edges(picture):
            dash = ' stroke-dasharray="6 4"' if edge == "message" else ""
            parts.append(f'<path d="M{x:.1f} {y:.1f}h26" stroke="{line.line}" stroke-width="1.4"{dash} marker-end="url(#scanflow-{edge})"/>')
            parts.append(_text(word, x + 36, y + 4, LABEL, fill=FAINT, anchor="start"))
            x += 36 + text_width(word, LABEL) + 22
    return parts


def _legend_width(picture: Picture) -> float:
    return sum(56 + text_width(WORDS[kind], LABEL) for kind in _kinds(picture)) + 110 * len(_edges(picture))


def _kinds(picture: Picture) -> list[Kind]:
    """Those of the legend, where inputs and outputs are one."""
    return list(dict.fromkeys("input" if kind == "output" else kind for kind in kinds(picture)))


def _edges(picture: Picture) -> set[str]:
    inside = [_edges(shape.inside) for shape in picture.shapes if shape.inside is not None]
    return {arrow.kind for arrow in picture.arrows}.union(*inside)


def _head(kind: str, colour: str) -> str:
    return (f'<marker id="scanflow-{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse">'
            f'<path d="M0 1L10 5L0 9z" fill="{colour}"/></marker>')  # fmt: skip


def _polygon(points: list[tuple[float, float]]) -> str:
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _rect(x: float, y: float, width: float, height: float, radius: float) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}"/>'


def _text(text: str, x: float, y: float, size: float, *, fill: str = INK, weight: int = 400, anchor: str = "middle", style: str = "") -> str:
    more = (f' font-weight="{weight}"' if weight != 400 else "") + (f' font-style="{style}"' if style else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"{more}>{escape(text)}</text>'
