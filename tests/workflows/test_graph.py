import pytest

from workflows.graph import Builder, GraphError, MessageEdge, as_networkx, walk


def two_steps(**first):
    return Builder("g", params={"seed": 0}).step("one", ["true"], outputs={"x": "text"}, **first).step("two", ["true"], inputs={"x": "text"})


def test_two_nodes_may_be_joined_by_several_edges():
    graph = (
        Builder("g").agent("a", starts=True, outputs={"x": "text"}).agent("b", inputs={"x": "text"})
        .data("a.x", "b.x").message("a", "b", "Hello", "Bye").build()
    )  # fmt: skip
    assert sorted(as_networkx(graph).get_edge_data("a", "b")[number]["kind"] for number in range(3)) == ["data", "message", "message"]
    assert graph.accepts("a", "b", "Hello") and not graph.accepts("b", "a", "Hello") and not graph.accepts("a", "b", "Other")


def test_the_nodes_of_nested_graphs_have_dotted_paths():
    inner = Builder("inner").step("work", ["true"]).build()
    assert [path for path, _ in walk(Builder("g").graph("all", inner).step("end", ["true"]).build())] == ["end", "all", "all.work"]


def test_a_fanned_out_step_gives_a_list():
    graph = Builder("g").step("train", ["true"], each={"seed": [1, 2]}, outputs={"m": "onnx"}).step("best", ["true"], inputs={"m": "list[onnx]"})
    graph.data("train.m", "best.m").build()


def inner():
    return Builder("inner", params={"seed": 0}, inputs={"a": "text"}, outputs={"b": "text"}).step(
        "work", ["true"], inputs={"a": "text"}, outputs={"b": "text"}
    ).data("inputs.a", "work.a").data("work.b", "outputs.b").build()  # fmt: skip


BAD = {
    "a name used twice": (lambda: two_steps().step("one", ["true"]), "'one' is used twice, for a step and for a step"),
    "a name used twice in two kinds": (lambda: two_steps().agent("one"), "'one' is used twice, for a step and for a agent"),
    "a reserved name": (lambda: two_steps().step("inputs", ["true"]), "stands for the graph's own ports"),
    "a name that no expression can hold": (lambda: two_steps().step("my-step", ["true"]), "use letters, digits and _"),
    "an unknown field": (lambda: two_steps(retrys=2), "no 'retrys'; did you mean 'retries'"),
    "an edge from nowhere": (lambda: two_steps().data("onee.x", "two.x"), "there is no 'onee'; did you mean 'one'"),
    "an edge to nowhere": (lambda: two_steps().data("one.x", "three.x"), "there is no 'three'"),
    "a missing output port": (lambda: two_steps().data("one.xx", "two.x"), "'one' has no output port 'xx'; did you mean 'x'"),
    "a missing input port": (lambda: two_steps().data("one.x", "two.y"), "'two' has no input port 'y'"),
    "an end without a port": (lambda: two_steps().data("one", "two.x"), "write NODE.PORT"),
    "a wrong type": (
        lambda: Builder("g").step("one", ["true"], outputs={"x": "csv"}).step("two", ["true"], inputs={"x": "text"}).data("one.x", "two.x"),
        "joins type 'csv' to 'text'",
    ),
    "an input that nothing feeds": (two_steps, "nothing feeds two.x"),
    "an input fed twice": (lambda: two_steps().step("z", ["true"], outputs={"x": "text"}).data("one.x", "two.x").data("z.x", "two.x"), "fed twice"),
    "an output that nothing feeds": (lambda: Builder("g", outputs={"m": "onnx"}).step("one", ["true"]), "nothing feeds the graph's output 'm'"),
    "a cycle": (
        lambda: Builder("g").step("a", ["true"], inputs={"x": "t"}, outputs={"y": "t"}).step("b", ["true"], inputs={"x": "t"}, outputs={"y": "t"})
        .data("a.y", "b.x").data("b.y", "a.x"), "circle: a -> b -> a",
    ),
    "a cycle by a condition": (
        lambda: Builder("g").step("a", ["true"], outputs={"y": "t"}, when="b.m > 0").step("b", ["true"], inputs={"x": "t"}).data("a.y", "b.x"), "circle",
    ),
    "no program": (lambda: Builder("g").step("one", []), "needs either command"),
    "a call that names no function": (lambda: Builder("g").step("one", "module.function"), "package.module:function"),
    "a function that is no step": (lambda: Builder("g").step("one", print), "@step"),
    "a port with the metrics' name": (lambda: Builder("g").step("one", ["true"], outputs={"metrics": "t"}), "metrics.json"),
    "a reference to no parameter": (lambda: Builder("g", params={"seed": 0}).step("one", ["true"], params={"s": "${sed}"}), "did you mean 'seed'"),
    "a parameter that JSON cannot hold": (lambda: Builder("g", params={"x": float("nan")}), "finite"),
    "a parameter of no kind": (lambda: Builder("g", params={"x": [1, {"y": None}]}), r"x\[1\].y is None"),
    "a fan-out over nothing": (lambda: Builder("g").step("one", ["true"], each={"seed": []}), "lists no values"),
    "a negative number of retries": (lambda: Builder("g").step("one", ["true"], retries=-1), "from 0 on"),
    "a condition that cannot be read": (lambda: Builder("g").step("one", ["true"]).step("b", ["true"], when="one.x >"), "cannot be read"),
    "a condition on no step": (lambda: Builder("g").step("one", ["true"]).step("b", ["true"], when="two.x > 1"), "there is no step 'two'"),
    "a condition on itself": (lambda: Builder("g").step("one", ["true"], when="one.x > 1"), "itself"),
    "a return function without a metric": (lambda: Builder("g").step("one", ["true"]).returns("q", "1 + 1"), "asks for no metric"),
    "a return function of no step": (lambda: Builder("g").step("evaluate", ["true"]).returns("q", "evaluat.x"), "did you mean 'evaluate'"),
    "a message to a step": (lambda: two_steps().data("one.x", "two.x").person("p").message("p", "one", "Go"), "'one' is a step"),
    "a message to nobody": (lambda: Builder("g").agent("checker", starts=True).message("checker", "cheker", "Go"), "did you mean 'checker'"),
    "a message twice": (lambda: Builder("g").agent("a", starts=True).agent("b").message("a", "b", "M", "M"), "there twice"),
    "an agent that no message reaches": (lambda: Builder("g").agent("a").agent("b").message("a", "b", "M"), "no message reaches the agent 'a'"),
    "a parameter that the inner graph has not": (lambda: Builder("g").graph("in", inner(), params={"sed": 1}), "did you mean 'seed'"),
    "an inner graph that nothing feeds": (lambda: Builder("g").graph("work", inner()), "nothing feeds work.a"),
    "an inner step that is not there": (
        lambda: Builder("g", inputs={"a": "text"}).graph("sub", inner()).data("inputs.a", "sub.a").returns("q", "sub.wrk.x"), "did you mean 'work'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "says"), BAD.values(), ids=BAD.keys())
def test_an_unsound_graph_is_refused_with_one_sentence_that_teaches(make, says):
    with pytest.raises(Exception, match=says) as raised:
        make().build()
    assert type(raised.value).__name__ in {"GraphError", "StepError"} and "\n" not in str(raised.value)


def test_agents_are_reached_from_people_from_services_and_from_agents_that_act_by_themselves():
    for add in (lambda g: g.person("p"), lambda g: g.service("p"), lambda g: g.agent("p", starts=True)):
        graph = add(Builder("g")).agent("a").agent("b").message("p", "a", "M").message("a", "b", "M").build()
        assert graph.messages[0] == MessageEdge(source="p", target="a", type="M")


def test_a_graph_cannot_be_changed_into_an_unsound_one():
    import msgspec

    graph = two_steps().data("one.x", "two.x").build()
    with pytest.raises(GraphError, match="nothing feeds"):
        msgspec.structs.replace(graph, data=())
