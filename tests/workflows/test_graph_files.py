import keyword

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.graph import Builder, GraphError
from workflows.graph_files import load, read, save, write

names = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True).filter(
    lambda name: name not in {"inputs", "outputs", "metrics"} and not keyword.iskeyword(name)  # a keyword cannot be asked for in an expression
)
types = st.sampled_from(["text", "onnx", "list[onnx]", "any"])
ports = st.dictionaries(names, types, max_size=3)
values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5,
)  # fmt: skip
params = st.dictionaries(st.text(min_size=1), values.filter(lambda value: not (isinstance(value, str) and value.startswith("${"))), max_size=3)
environments = st.sampled_from([
    {}, {"image": "a:1", "cpus": 0.5, "gpus": 1}, {"dockerfile": "b/Dockerfile", "memory": 1 << 30, "network": "bridge"},
    {"requirements": ["a==1", "b"], "base": "c", "memory": "1.5 GB", "mounts": [{"source": "d", "target": "/d"}]}, {"requirements": "r.txt"},
])  # fmt: skip


@st.composite
def graphs(draw, deep=True):
    made = Builder(draw(names), draw(st.text()), params=draw(params) | {"seed": draw(values)})
    used, open_ports = set(), []
    for name in draw(st.lists(names, max_size=5, unique=True)):
        used.add(name)
        kind = draw(st.sampled_from(["step", "service", "agent", "person", *(["graph"] if deep else [])]))
        if kind == "graph":
            made.graph(name, draw(graphs(deep=False)), description=draw(st.text()), each={})
            continue
        if kind != "step":
            fields = {"starts": True} if kind == "agent" else {}
            getattr(made, kind)(name, description=draw(st.text()), inputs=draw(ports), outputs=draw(ports), **fields)
            continue
        outputs = draw(ports)
        wanted = {f"in{number}": kind for number, (_, kind) in enumerate(open_ports)}
        made.step(
            name, draw(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1, max_size=3)),
            inputs=wanted, outputs=outputs, params={key: value for key, value in draw(params).items() if key != "lr"} | {"s": "${seed}"}, environment=draw(environments), cache=draw(st.booleans()), retries=draw(st.integers(0, 9)),
            timeout=draw(st.floats(0, 1e9)), each=draw(st.sampled_from([{}, {"lr": [1, 2.5, "x"]}])),
        )  # fmt: skip
        for number, (source, _) in enumerate(open_ports):
            made.data(source, f"{name}.in{number}")
        fanned = made._nodes["steps"][name].each
        open_ports += [(f"{name}.{port}", f"list[{kind}]" if fanned else kind) for port, kind in outputs.items()]
        if draw(st.booleans()):
            made.returns("quality", f"{name}.accuracy - 1")
    agents = list(made._nodes["agents"])
    for source, target in draw(st.lists(st.tuples(st.sampled_from(agents), st.sampled_from(agents)), unique=True)) if agents else []:
        made.message(source, target, draw(names))
    return made.build()


@pytest.mark.parametrize("form", ["toml", "yaml"])
def test_what_is_written_is_read_back_equal(form):
    @settings(max_examples=40)
    @given(graphs())
    def holds(graph):
        assert read(write(graph, form), form) == graph

    holds()


def test_a_file_says_only_what_is_not_the_default():
    text = write(Builder("g").step("one", ["true"], outputs={"x": "t"}).step("two", ["true"], inputs={"x": "t"}).data("one.x", "two.x").build())
    assert text == (
        'name = "g"\ndata = [\n  { from = "one.x", to = "two.x" },\n]\n\n'
        '[steps.one]\noutputs = { x = "t" }\ncommand = ["true"]\n\n[steps.two]\ninputs = { x = "t" }\ncommand = ["true"]\n'
    )


BAD = {
    "an unknown key": ('name = "g"\n[stepps.one]\ncommand = ["true"]', "no key 'stepps'; did you mean 'steps'"),
    "an unknown key of a step": ('name = "g"\n[steps.one]\ncomand = ["true"]', "steps.one has no key 'comand'; did you mean 'command'"),
    "an unknown key of an edge": ('name = "g"\ndata = [{ form = "a.b", to = "c.d" }]', r"data\[0\] has no key 'form'; did you mean 'from'"),
    "a wrong type": ('name = "g"\n[steps.one]\ncommand = "true"', "Expected `array`"),
    "no name": ("[steps.one]\ncommand = ['true']", "missing required field `name`"),
    "no TOML": ("name = ", "not valid TOML"),
    "a name used twice": ('name = "g"\n[steps.one]\ncommand = ["true"]\n[steps.one]\ncommand = ["true"]', "twice"),
    "a name used twice in two kinds": ('name = "g"\n[steps.one]\ncommand = ["true"]\n[people.one]\n', "used twice, for a step and for a person"),
}


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_with_its_name_and_what_to_write(text, says):
    with pytest.raises(GraphError, match="my file: ") as raised:
        read(text, name="my file")
    raised.match(says)


def test_yaml_with_a_name_used_twice_is_refused_and_not_the_last_taken():
    with pytest.raises(GraphError, match="'one' is used twice"):
        read("name: g\nsteps:\n  one: {command: [a]}\n  one: {command: [b]}", "yaml")


def test_a_nested_graph_lies_in_a_file_of_its_own(tmp_path):
    inner = Builder("inner", outputs={"m": "onnx"}).step("train", ["true"], outputs={"m": "onnx"}).data("train.m", "outputs.m").build()
    (tmp_path / "parts").mkdir()
    save(inner, tmp_path / "parts" / "inner.yaml")
    save(Builder("g").graph("make", "parts/inner.yaml").service("live", inputs={"m": "onnx"}).data("make.m", "live.m").build(), tmp_path / "g.toml")
    assert load(tmp_path / "g.toml").graphs["make"].graph == inner


def test_ports_of_a_nested_file_are_checked_when_it_is_loaded(tmp_path):
    save(Builder("inner").step("train", ["true"]).build(), tmp_path / "inner.toml")
    save(Builder("g").graph("make", "inner.toml").service("live", inputs={"m": "x"}).data("make.m", "live.m").build(), tmp_path / "g.toml")
    with pytest.raises(GraphError, match=r"g\.toml.*'make' has no output port 'm'"):
        load(tmp_path / "g.toml")


def test_a_graph_that_holds_itself_is_refused(tmp_path):
    save(Builder("g").graph("again", "g.toml").build(), tmp_path / "g.toml")
    with pytest.raises(GraphError, match="cannot be a node of itself"):
        load(tmp_path / "g.toml")


@pytest.mark.parametrize(("name", "says"), [("g.json", "ends with .toml"), ("none.toml", "cannot be read")])
def test_a_file_that_is_no_graph_is_refused(tmp_path, name, says):
    with pytest.raises(GraphError, match=says):
        load(tmp_path / name)
