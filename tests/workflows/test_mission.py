"""The workflows of the mission are sound graphs; a container makes the same artefacts as a process (benchmarks.mission compares all four)."""

from pathlib import Path

import numpy as np
import pytest

import workflows.mission
from workflows.engine import run
from workflows.graph_files import load
from workflows.mission.steps import sample
from workflows.plan import plan

GRAPHS = Path(next(iter(workflows.mission.__path__)))


@pytest.mark.parametrize("name", ["train", "inference", "fine_tune", "fit_filter"])
def test_each_workflow_is_a_sound_graph_with_a_return_function(name):
    graph = load(GRAPHS / f"{name}.toml")
    assert graph.name == name and graph.returns is not None
    assert plan(graph, {}).tasks


def test_the_images_to_measure_on_are_none_of_the_stream(tmp_path):
    seen, held = tmp_path / "seen", tmp_path / "held"
    sample(seen, held, dataset="digits", corruption="none", severity=3, seed=1, count=100)
    streamed, kept = ({image.tobytes() for image in np.load(path)["images"]} for path in (seen, held))
    assert len(streamed) == len(kept) == 100 and not streamed & kept
    np.testing.assert_array_equal(np.load(held)["images"], np.load(held)["clean"])


def go(name, state, runner, **given):
    result = run(load(GRAPHS / f"{name}.toml"), base=GRAPHS, state=state, runner=runner, given={f"inputs.{port}": path for port, path in given.items()})
    assert result.ok, result
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return go("train", tmp_path_factory.mktemp("process"), "process")


@pytest.mark.training
@pytest.mark.timeout(300)
def test_training_leaves_a_pipeline_that_inference_answers_with(trained, tmp_path):
    assert trained.value > 0.95
    clean, noisy = (
        run(load(GRAPHS / "inference.toml"), base=GRAPHS, state=tmp_path, params={"corruption": corruption},
            given={"inputs.pipeline": trained.artefact("train.pipeline")})
        for corruption in ("none", "impulse_noise")
    )  # fmt: skip
    assert clean.value > noisy.value
    assert len(np.load(noisy.artefact("infer.answers"))["labels"]) == 250


@pytest.mark.training
@pytest.mark.docker
@pytest.mark.timeout(600)
def test_a_container_makes_the_same_artefacts_as_a_process(trained, tmp_path):
    contained = go("train", tmp_path, "container")
    for task, outcome in trained.outcomes.items():
        assert contained.outcomes[task].digests == outcome.digests, task
