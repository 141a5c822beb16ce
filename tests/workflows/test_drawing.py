import itertools
import re
import sys
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from tests.workflows.test_graph_files import graphs
from workflows.__main__ import app
from workflows.drawing.layout import GAP, Link, Size, lay_out
from workflows.drawing.mermaid import escape, mermaid
from workflows.drawing.picture import picture_of
from workflows.drawing.svg import svg
from workflows.drawing.terminal import show, terminal
from workflows.graph import Builder, walk
from workflows.graph_files import save

SVG = "{http://www.w3.org/2000/svg}"


def nested():
    inner = Builder("inner", inputs={"raw": "folder"}, outputs={"clean": "npz"}).step("load", ["./load"], inputs={"raw": "folder"}, outputs={"clean": "npz"})
    inner = inner.data("inputs.raw", "load.raw").data("load.clean", "outputs.clean").build()
    return (
        Builder("g", "what it is for", inputs={"raw": "folder"}, outputs={"model": "onnx"}).graph("prepare", inner)
        .step("train", ["./train"], inputs={"data": "npz"}, outputs={"model": "onnx", "log": "csv"}).service("live", inputs={"model": "onnx", "log": "csv"})
        .agent("watcher").person("expert").data("inputs.raw", "prepare.raw").data("prepare.clean", "train.data").data("train.model", "live.model", "outputs.model")
        .data("train.log", "live.log").message("live", "watcher", "RecordsRead").message("watcher", "expert", "AskLabels").message("expert", "watcher", "LabelGiven")
        .message("watcher", "watcher", "Tick").returns("quality", "train.accuracy").build()
    )  # fmt: skip


def edges(graph):
    """How many edges a graph has, with those of the graphs inside."""
    inner = [node.graph for _, node in walk(graph) if getattr(node, "graph", None) is not None]
    return sum(len(one.data) + len(one.messages) for one in (graph, *inner))


def drawn(text):
    """Of an SVG: the kind of each node by its id, and the title of each arrow."""
    root = ET.fromstring(text)
    nodes = {one.get("data-id"): one.get("class") for one in root.iter(f"{SVG}g") if one.get("data-id")}
    arrows = [(one.get("class"), one.find(f"{SVG}title").text) for one in root.iter(f"{SVG}g") if one.get("data-edges")]
    return nodes, arrows


@settings(max_examples=60)
@given(graphs())
def test_an_svg_is_well_formed_and_shows_each_node_and_each_edge_of_any_graph_once(graph):
    nodes, arrows = drawn(svg(graph))
    ports = {name for name, kind in nodes.items() if kind in {"input", "output"}}
    assert set(nodes) - ports == {path for path, _ in walk(graph)}
    titles = [line for _, title in arrows for line in title.split("\n")]
    assert len(titles) == len(set(titles)) == edges(graph)


@settings(max_examples=60)
@given(graphs())
def test_mermaid_and_the_terminal_show_each_node_and_each_arrow_of_any_graph(graph):
    def arrows(picture):
        return [*picture.arrows, *(arrow for shape in picture.shapes if shape.inside for arrow in arrows(shape.inside))]

    wanted = arrows(picture_of(graph))
    text = mermaid(graph)
    assert len(re.findall(r"^ +n\d+ (?:-->|-\.->)\|\"[^\"|]+\"\| n\d+$", text, re.MULTILINE)) == len(wanted)
    assert len(re.findall(r'^ +(?:subgraph )?n\d+[\[({]+/?"[^"]+"/?[\])}]+$', text, re.MULTILINE)) == len(list(walk(graph)))
    lines = terminal(graph).splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    assert sum("▶" in line for line in lines) >= len(wanted)  # a description may have one too


def test_a_line_for_the_terminal_is_as_long_as_it_looks_there():
    lines = terminal(Builder("g", "e\u0301 " * 50).step("one", ["./a"]).build()).splitlines()
    assert max(cell_len(line) for line in lines) <= 80 < max(len(line) for line in lines)


def test_nodes_and_edges_of_each_kind_are_told_apart():
    nodes, arrows = drawn(svg(nested()))
    assert nodes == {
        "inputs.raw": "input", "prepare": "graph", "prepare.inputs.raw": "input", "prepare.load": "step", "prepare.outputs.clean": "output", "train": "step",
        "live": "service", "watcher": "agent", "expert": "person", "outputs.model": "output",
    }
    assert ("data", "train.model -> live.model (onnx)\ntrain.log -> live.log (csv)") in arrows and ("message", "watcher -> watcher (Tick)") in arrows
    text = svg(nested())
    dashed = re.findall(r'<g class="(\w+)" data-edges="\d+"><title>[^<]*</title><path [^>]*stroke-dasharray', text)
    assert set(dashed) == {"message"} and len(dashed) == 4


def test_an_svg_needs_nothing_from_outside():
    text = svg(nested())
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script|<style|@import|href", text)


def test_mermaid_nests_graphs_and_draws_messages_dashed():
    text = mermaid(nested())
    assert "subgraph n" in text and '-.->|"AskLabels"|' in text and '-->|"onnx<br>csv"|' in text
    assert '[/"raw<br>folder"/]' in text and '(["live"])' in text and '{{"watcher"}}' in text and '(("expert"))' in text


@given(st.text())
def test_nothing_that_stands_between_mermaids_quotes_can_end_them_or_start_something(text):
    assert not re.search(r'["|<>\[\]{}`%\\\n]|^\d+[.)](\s|$)|^-(\s|$)', escape(text))


def test_a_terminal_without_unicode_gets_plain_signs(tmp_path):
    with (tmp_path / "out").open("w", encoding="ascii", errors="strict") as file:
        show(nested(), Console(file=file, width=80))
    text = (tmp_path / "out").read_text()
    assert "# train" in text and "-- onnx, csv --> live" in text and ".. Tick ..> watcher" in text


boxes = st.dictionaries(st.sampled_from("abcdefghij"), st.builds(Size, st.integers(10, 200), st.integers(10, 80)), min_size=1)


@settings(max_examples=50)
@given(boxes, st.data())
def test_no_box_covers_another_and_no_label_covers_a_box_or_another_label(sizes, data):
    name = st.sampled_from(sorted(sizes))
    links = [Link(*pair, Size(w, h)) for *pair, w, h in data.draw(st.lists(st.tuples(name, name, st.integers(5, 90), st.integers(5, 40)), max_size=12))]
    layout = lay_out(sizes, links)
    placed = [(layout.boxes[one], size) for one, size in sizes.items()]
    placed += [(course.label, link.label) for link, course in zip(links, layout.courses, strict=True) if link.source != link.target]
    for (one, first), (two, second) in itertools.combinations(placed, 2):
        apart = abs(one.x - two.x) >= (first.width + second.width) / 2 - 1e-6 or abs(one.y - two.y) >= (first.height + second.height) / 2 - 1e-6
        assert apart
    for middle, size in placed:
        assert middle.x - size.width / 2 >= -1e-6 and middle.x + size.width / 2 <= layout.size.width + 1e-6


def test_what_depends_stands_beneath_and_a_chain_is_a_straight_line():
    layout = lay_out(dict.fromkeys("abc", Size(50, 20)), [Link("a", "b", Size(10, 10)), Link("b", "c", Size(10, 10)), Link("c", "a", Size(10, 10))])
    a, b, c = (layout.boxes[one] for one in "abc")
    assert a.y < b.y < c.y  # the third link, which closes the circle, points upwards
    start, finish = layout.courses[2].pairs[0][0], layout.courses[2].pairs[-1][1]
    assert start.y > finish.y and GAP > 0


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    save(nested(), tmp_path / "g.toml")
    return lambda *arguments: CliRunner().invoke(app, ["draw", "g.toml", *arguments])


def test_the_command_draws_in_the_form_that_the_outputs_name_ends_with(call, tmp_path):
    assert "■ train" in call().stdout
    assert call("--output", "g.svg").exit_code == 0 and (tmp_path / "g.svg").read_text().startswith("<svg ")
    assert call("--output", "g.mmd").exit_code == 0 and "flowchart TB" in (tmp_path / "g.mmd").read_text()
    assert call("--format", "mermaid").stdout == (tmp_path / "g.mmd").read_text()


@pytest.mark.parametrize(("arguments", "says"), [
    (["--format", "svgg"], "did you mean 'svg'"), (["--output", "g.png"], "say --format mermaid, svg or terminal"), (["--output", "none/g.svg"], "cannot be written"),
])
def test_what_cannot_be_drawn_is_refused_in_one_line(call, arguments, says):
    done = call(*arguments)
    assert done.exit_code == 2 and says in done.stderr and done.stderr.count("\n") == 1
