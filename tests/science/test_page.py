"""The tables of the science page, and what the benchmark does next: from rows made up here."""

import json
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import typer

from benchmarks.common.incident import World
from benchmarks.science import __main__ as science
from benchmarks.science import page


def row(corruption="fog", seed=0, **more):
    scores = {"drift": 0.9, "clean": 0.99}
    return {
        "dataset": "mnist", "corruption": corruption, "seed": seed, "as_is": 0.5, "after": 0.95, "oracle": 1.0, "estimate": 0.52, "detected_after": 5,
        "clean_before": 0.99, "clean_after": 0.988, "labels_used": 26, "chosen": "fine_tune", "state": "verified",
        "loop_without_teaching": {"after": 0.9}, "prepared": {"nothing": {"drift": 0.5}, "simulate": {"drift": 0.96}},
        "remedies": {"fine_tune": {"0": {"drift": 0.8, "clean": 0.99}, "20": scores}}, "random_picks": {"fine_tune": {"drift": 0.85}, "transfer": {"drift": 0.6}},
        "controls": {}, "code": "c", "seconds": 1.0, "seconds_apart": 1.0,
    } | more


def written(tmp_path, rows, *tables):
    (tmp_path / "science_mnist.json").write_text(json.dumps(rows))
    text = "\n".join(f"<!-- mnist: {table} -->\nold\n<!-- end -->" for table in tables)
    return page.filled(text, tmp_path)


def test_a_corruption_has_one_line_with_means_of_seeds_and_each_outcome(tmp_path):
    text = written(tmp_path, [row(), row(seed=1, after=0.85, state="undone"), row("shear", as_is=0.99, oracle=0.99, state="harmless")], "by corruption")
    assert "old" not in text
    assert "| fog | 0.500 | 0.520 | 5, 5 | 0.900 ± 0.050 | 0.900 | 1.000 | 0.80 | 0.0020 | 26 | fine-tune, undone |" in text
    assert "| - | 0.0020 | 26 | harmless |" in text  # next to nothing to gain, so no gap to close


def test_what_was_asked_stands_beside_what_was_measured_with_its_interval_over_seeds(tmp_path):
    text = written(tmp_path, [row(), row(seed=1, after=0.85)], "must hold")
    assert "| gap closed | at least 0.97 | 0.8000 ± 0.1960 |" in text
    assert "| error of the estimate without labels | at most 0.03 | 0.0200 ± 0.0000 |" in text
    assert "| chosen teaching samples against random picks, fine-tune | more than 0 | 0.0500 ± 0.0000 |" in text


def test_rows_and_corruptions_that_end_below_as_is_are_named(tmp_path):
    text = written(tmp_path, [row(after=0.4), row("cifar10_c/snow", after=0.9)], "must hold")
    assert "| corruptions that end below as is | none | fog (single runs: fog seed 0) |" in text


def test_controls_that_were_run_for_some_rows_stand_beside_the_loop_on_these(tmp_path):
    tent = {"TENT": {"drift": 0.7, "clean": 0.8}}
    text = written(tmp_path, [row(controls=tent), row(seed=1, after=0.6)], "controls", "by remedy")
    assert "| TENT, one pass (1 rows) | 0.700 | 0.950 | 0.8000 |" in text
    assert "| never act | 0.500 | 0.775 | 0.9900 |" in text
    assert "| fine-tune | 0.800 | 0.900 | 0.9900 |" in text


def test_the_page_says_what_the_results_say():
    assert page.filled(page.PAGE.read_text(encoding="utf-8")) == page.PAGE.read_text(encoding="utf-8")


def test_a_row_is_measured_on_where_label_counts_or_controls_are_missing():
    assert science._lacks(None, (), controlled=False)
    assert not science._lacks(row(), (0, 20), controlled=False)
    assert science._lacks(row(), (0, 20, 50), controlled=False)
    assert science._lacks(row(), (0, 20), controlled=True)
    assert not science._lacks(row(controls={"TENT": {}}), (), controlled=True)


def test_a_world_is_complete_when_all_of_its_parts_are():
    worlds = [World("mnist", name, 0, {}, None) for name in ("fog", "shear")]
    parts = {Future(): world for world in (worlds[0], worlds[0], worlds[1])}
    first, second, other = parts
    other.set_result({})
    complete = science._completed(parts)
    assert next(complete) is worlds[1]
    second.set_result({})
    first.set_result({})
    assert list(complete) == [worlds[0]]


@pytest.mark.parametrize("labels", ["x", "-1", "1.5"])
def test_label_counts_that_are_no_numbers_are_refused(labels):
    with pytest.raises(typer.BadParameter, match="expected whole numbers"):
        science._numbers(labels)


def test_a_run_measures_what_is_missing_by_fresh_processes_for_every_few_worlds(monkeypatch, tmp_path):
    crews = []

    def crew(processes, context, **more):
        assert not more, "an executor that replaces its own workers can wait for ever"
        crews.append(context)
        return ThreadPoolExecutor(processes)

    def measure(world, _counts, _row):
        return {key: value for key, value in row(world.corruption, world.seed).items() if key not in ("oracle", "controls", "seconds_apart")}

    monkeypatch.setattr(science, "ProcessPoolExecutor", crew)
    monkeypatch.setattr(science, "first_model", lambda *_world: None)
    monkeypatch.setattr(science, "measure", measure)
    monkeypatch.setattr(science, "measure_apart", lambda _world, *, controls: {"oracle": 1.0, "controls": {"TENT": controls}, "seconds_apart": 1.0})
    monkeypatch.setattr(science, "report", lambda _rows, _file: None)
    monkeypatch.setattr(science, "code_digest", lambda: "c")
    monkeypatch.setattr(science, "BATCH", 2)
    file = tmp_path / "science_mnist.json"
    file.write_text(json.dumps([row("fog", controls={"TENT": {}})]))
    worlds = [World("mnist", name, 0, {}, None) for name in ("fog", "shear", "scale", "stripe")]
    science.run(worlds, (), 1, file, 2, again=False)
    assert len(crews) == 2  # fog is there already
    assert science.read(file)[0]["corruption"] == "fog"
    assert {one["corruption"] for one in science.read(file)} == {"fog", "shear", "scale", "stripe"}
