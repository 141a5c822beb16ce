"""A graph as Mermaid text, which GitHub, GitLab and many editors draw: data edges solid, message edges dashed, nested graphs as subgraphs."""

import re
from collections.abc import Iterator

from workflows.drawing.colours import COLOURS
from workflows.drawing.picture import KINDS, Picture, Shape, picture_of, plain, short
from workflows.graph import Graph

BRACKETS = {
    "step": ("[", "]"), "graph": ("[", "]"), "service": ("([", "])"), "agent": ("{{", "}}"), "person": ("((", "))"), "input": ("[/", "/]"),
    "output": ("[/", "/]"),
}  # fmt: skip
NOTE = 40  # characters of a note


def mermaid(graph: Graph) -> str:
    r"""The text of a flow chart.

    >>> from workflows.graph import Builder
    >>> graph = Builder("g").step("one", ["./a"], outputs={"x": "csv"}).step("two", ["./b"], inputs={"x": "csv"}).data("one.x", "two.x").build()
    >>> print("\n".join(mermaid(graph).splitlines()[:6]))
    ---
    title: "g"
    ---
    flowchart TB
        n0["one<br>./a"]
        n1["two<br>./b"]
    """
    picture = picture_of(graph)
    names = {shape.id: f"n{number}" for number, shape in enumerate(_all(picture))}
    lines = ["---", f'title: "{_title(picture)}"', "---", "flowchart TB", *_lines(picture, names, "    ")]
    for kind in KINDS:
        if members := [names[shape.id] for shape in _all(picture) if shape.kind == kind]:
            lines.append(f"    classDef {kind}_ fill:{COLOURS[kind].fill},stroke:{COLOURS[kind].line},color:#1a1a1a")
            lines.append(f"    class {','.join(members)} {kind}_")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text between Mermaid's quotes: what has a meaning there, or in the Markdown that it reads there, stands as a number.

    >>> escape('say "a|b"'), escape("1. first")
    ('say #34;a#124;b#34;', '1#46; first')
    """
    found = re.sub(r"[^\w ,:/=.()-]|_", lambda one: f"#{ord(one[0])};" if one[0] != "_" else "_", plain(text))
    return re.sub(r"^(\d*)([.)-])(?=\s|$)", lambda one: f"{one[1]}#{ord(one[2])};", found)


def _title(picture: Picture) -> str:
    """The title in the front matter, which is YAML in quotes."""
    text = picture.name + (f": {picture.description}" if picture.description else "") + (f" ({picture.returns})" if picture.returns else "")
    return plain(text).replace("\\", "\\\\").replace('"', '\\"')


def _all(picture: Picture) -> Iterator[Shape]:
    for shape in picture.shapes:
        yield shape
        if shape.inside is not None:
            yield from _all(shape.inside)


def _lines(picture: Picture, names: dict[str, str], indent: str) -> list[str]:
    lines = []
    for shape in picture.shapes:
        label = "<br>".join(escape(part) for part in (shape.name, *(short(note, NOTE) for note in shape.notes)))
        if shape.inside is not None:  # the title of a subgraph has one line only
            label = label.replace("<br>", ", ")
            lines += [f'{indent}subgraph {names[shape.id]}["{label}"]', *_lines(shape.inside, names, f"{indent}    "), f"{indent}end"]
        else:
            opening, closing = BRACKETS[shape.kind]
            lines.append(f'{indent}{names[shape.id]}{opening}"{label}"{closing}')
    for arrow in picture.arrows:
        stroke = "-->" if arrow.kind == "data" else "-.->"
        lines.append(f'{indent}{names[arrow.source]} {stroke}|"{"<br>".join(map(escape, arrow.labels))}"| {names[arrow.target]}')
    return lines
