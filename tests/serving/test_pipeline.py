"""A pipeline folder is checked whole before it answers, and answers by the rule of filter, gate and adapted classifier."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from models.pipeline import Manifest, Pipeline, PipelineError, Route, write_manifest
from tests.serving.tiny import CLASSES, image, write_pipeline


def labels(pipeline, *brightness):
    return pipeline.run(np.concatenate([image(b) for b in brightness])).logits.argmax(1).tolist()


def test_a_plain_pipeline_gives_the_classifiers_answer_and_routes_nothing(tmp_path):
    output = Pipeline.load(write_pipeline(tmp_path)).run(np.concatenate([image(0.1), image(0.9)]))
    assert output.logits.argmax(1).tolist() == [0, 2]
    assert not output.routed.any()
    np.testing.assert_allclose(output.latent[:, 0], [0.1, 0.9], rtol=1e-5)
    assert output.early.shape == (2, 2)


def test_a_filter_without_a_gate_is_applied_to_every_image_and_the_monitor_still_sees_the_raw_one(tmp_path):
    output = Pipeline.load(write_pipeline(tmp_path, remedy="filter")).run(np.concatenate([image(0.1), image(0.9)]))
    assert output.logits.argmax(1).tolist() == [2, 0]
    assert output.routed.all()
    np.testing.assert_allclose(output.latent[:, 0], [0.1, 0.9], rtol=1e-5)
    np.testing.assert_allclose(output.final_latent[:, 0], [0.9, 0.1], rtol=1e-4)


def test_behind_a_gate_only_images_that_score_above_the_threshold_take_the_other_path(tmp_path):
    gated = Pipeline.load(write_pipeline(tmp_path, remedy="filter", gate_threshold=0.7))
    assert labels(gated, 0.1, 0.5, 0.9) == [0, 1, 0]
    assert gated.run(np.concatenate([image(0.1), image(0.9)])).routed.tolist() == [False, True]
    assert labels(gated, 0.1, 0.1) == [0, 0]


def test_an_adapted_classifier_answers_instead_of_the_first_one(tmp_path):
    adapted = Pipeline.load(write_pipeline(tmp_path, remedy="adapted"))
    assert labels(adapted, 0.1, 0.5, 0.9) == [1, 2, 0]


def test_an_answer_does_not_depend_on_the_images_beside_it(tmp_path):
    gated = Pipeline.load(write_pipeline(tmp_path, remedy="filter", gate_threshold=0.7))
    batch = np.random.default_rng(0).random((16, 1, 8, 8), np.float32)
    batch[::3] = 0.9
    alone = np.concatenate([gated.run(batch[i : i + 1]).logits for i in range(16)])
    np.testing.assert_allclose(gated.run(batch).logits, alone, rtol=1e-5)


def write_routes(folder, *routes):
    """A pipeline that has files for both kinds of route, and these routes, oldest first."""
    write_pipeline(folder, remedy="adapted")
    write_pipeline(folder, remedy="filter", gate_threshold=0.7)
    write_manifest(folder, name="first", version="1", input=(1, 8, 8), classes=CLASSES, routes=routes)
    return folder


ADAPTED = Route(gate="gate.onnx", gate_threshold=0.3, adapted="adapted.onnx", drift="drift0")
FILTER = Route(gate="gate.onnx", gate_threshold=0.7, filter="filter.onnx", drift="drift1")


def test_of_several_routes_the_newest_that_takes_an_image_answers_it(tmp_path):
    output = Pipeline.load(write_routes(tmp_path, ADAPTED, FILTER)).run(np.concatenate([image(b) for b in (0.1, 0.6, 0.9)]))
    assert output.logits.argmax(1).tolist() == [0, 2, 0]
    assert output.routed.tolist() == [False, True, True]
    np.testing.assert_allclose(output.final_latent[:, 0], [0.1, 0.6, 0.1], rtol=1e-4)  # only the brightest was filtered


def test_a_gate_in_doubt_gives_both_answers_their_part(tmp_path):
    """Even odds for the brightness 0.5, to which the classifier says "middle" and the adapted one "bright"."""
    soft = Route(gate="gate.onnx", gate_threshold=0.51, gate_even=0.5, adapted="adapted.onnx", drift="drift0")
    pipeline = Pipeline.load(write_routes(tmp_path, soft))
    images = np.concatenate([image(b) for b in (0.48, 0.52)])
    output, first = pipeline.run(images), Pipeline.load(write_pipeline(tmp_path / "plain")).run(images)
    assert output.logits.argmax(1).tolist() == [1, 2]
    assert output.routed.tolist() == pipeline.takes(output.early, output.latent).tolist() == [False, True]
    probability = np.exp(output.logits)
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(probability[:, 1] / probability[:, 2], [1, 1], atol=0.1)  # close to even odds
    far = Route(gate="gate.onnx", gate_threshold=9.0, gate_even=9.0, adapted="adapted.onnx", drift="drift0")
    kept = Pipeline.load(write_routes(tmp_path / "far", far)).run(images)
    np.testing.assert_array_equal(kept.logits, first.logits)  # a gate that is sure leaves the first answer as it was, bit for bit


def test_a_route_whose_images_all_go_to_a_newer_one_answers_none(tmp_path):
    output = Pipeline.load(write_routes(tmp_path, FILTER, ADAPTED)).run(np.concatenate([image(b) for b in (0.1, 0.6, 0.9)]))
    np.testing.assert_allclose(output.final_latent[:, 0], [0.1, 0.6, 0.9], rtol=1e-4)


def test_the_oldest_route_may_lack_a_gate_and_then_answers_what_no_newer_one_takes(tmp_path):
    pipeline = Pipeline.load(write_routes(tmp_path, Route(adapted="adapted.onnx"), FILTER))
    assert labels(pipeline, 0.1, 0.9) == [1, 0]
    assert pipeline.run(image(0.1)).routed.all()
    assert not pipeline.manifest.gated


def test_with_several_routes_an_answer_does_not_depend_on_the_images_beside_it(tmp_path):
    pipeline = Pipeline.load(write_routes(tmp_path, ADAPTED, FILTER))
    batch = np.concatenate([image(b) for b in (0.9, 0.1, 0.6, 0.5, 0.9, 0.2)])
    alone = np.concatenate([pipeline.run(batch[i : i + 1]).logits for i in range(len(batch))])
    np.testing.assert_allclose(pipeline.run(batch).logits, alone, rtol=1e-5)


def test_a_manifest_from_before_there_were_routes_is_read_as_one_with_one_route(tmp_path):
    folder = write_routes(tmp_path, FILTER)
    manifest = json.loads((folder / "manifest.json").read_text())
    old = manifest.pop("routes")[0]
    del old["drift"], old["gate_even"]
    (folder / "manifest.json").write_text(json.dumps(manifest | old))
    read = Pipeline.load(folder)
    assert read.manifest.routes == (Route(gate="gate.onnx", gate_threshold=0.7, filter="filter.onnx"),)
    assert labels(read, 0.1, 0.9) == [0, 0]
    plain = manifest | dict.fromkeys(("gate", "gate_threshold", "filter", "adapted"))
    assert Manifest.parse(json.dumps(plain).encode()).routes == ()


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((1, 8, 8), np.float32), r"float32 \[1, 8, 8\]"),
        (np.zeros((1, 1, 8, 9), np.float32), r"\[1, 1, 8, 9\]"),
        (np.zeros((1, 1, 8, 8)), "float64"),
        (np.zeros((0, 1, 8, 8), np.float32), "n >= 1"),
    ],
)
def test_images_of_another_shape_or_dtype_are_refused_with_what_was_expected(tmp_path, images, said):
    with pytest.raises(PipelineError, match=said):
        Pipeline.load(write_pipeline(tmp_path)).run(images)


def test_a_changed_file_is_refused_by_its_digest(tmp_path):
    folder = write_pipeline(tmp_path)
    file = folder / "classifier.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(PipelineError, match=r"'classifier.onnx' of pipeline 'first' is damaged"):
        Pipeline.load(folder)


def test_a_missing_file_is_named(tmp_path):
    folder = write_pipeline(tmp_path)
    (folder / "reference.npz").unlink()
    with pytest.raises(PipelineError, match=r"lacks 'reference.npz'"):
        Pipeline.load(folder)


def test_a_folder_without_a_manifest_is_no_pipeline(tmp_path):
    with pytest.raises(PipelineError, match="is no pipeline folder"):
        Pipeline.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classifier": "../x.onnx"}, "a plain name"),
        ({"input": [8, 8]}, r"expected \[channels, height, width\]"),
        ({"routes": {}}, "expected a list"),
        ({"routes": [{"gate": "gate.onnx"}]}, "objects with the keys"),
        ({"routes": [asdict(FILTER) | {"gate_threshold": None}]}, r"of routes\[0\] go together"),
        ({"routes": [asdict(FILTER) | {"gate_threshold": "high"}]}, "expected a number"),
        ({"routes": [asdict(FILTER) | {"gate_even": "so"}]}, "expected a number, or null for a gate that gives all or nothing"),
        ({"routes": [asdict(FILTER) | {"filter": None}]}, r"routes\[0\] leads to a filter or an adapted classifier"),
        ({"routes": [asdict(FILTER) | {"filter": "mine.onnx"}]}, r"routes\[0\].filter is 'mine.onnx', which has no digest"),
        ({"routes": [asdict(ADAPTED), asdict(FILTER) | {"gate": None, "gate_threshold": None}]}, r"routes\[1\] has no gate"),
        ({"classes": ["one"]}, "two or more"),
        ({"colour": "blue"}, r"unknown keys \['colour'\]"),
        ({"files": {"classifier.onnx": "0"}}, "64 hexadecimal"),
        ({"name": ""}, "1 to 128"),
    ],
)
def test_a_bad_manifest_is_refused_with_the_key_and_what_is_allowed(tmp_path, change, said):
    folder = write_routes(tmp_path, ADAPTED, FILTER)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(PipelineError, match=said):
        Pipeline.load(folder)


def test_a_classifier_whose_outputs_do_not_fit_the_classes_is_found_at_load(tmp_path):
    folder = write_pipeline(tmp_path)
    write_manifest(folder, name="first", version="1", input=(1, 8, 8), classes=("a", "b"))
    with pytest.raises(PipelineError, match=r"gives logits float32 \[2, 3\] for two images; expected float32 \[2, 2\]"):
        Pipeline.load(folder)


def test_a_file_that_is_no_onnx_model_is_refused(tmp_path):
    folder = write_pipeline(tmp_path)
    (folder / "classifier.onnx").write_bytes(b"not a model")
    write_manifest(folder, name="first", version="1", input=(1, 8, 8), classes=("a", "b", "c"))
    with pytest.raises(PipelineError, match="no ONNX model"):
        Pipeline.load(folder)


def test_a_manifest_cannot_be_written_before_its_files(tmp_path):
    with pytest.raises(PipelineError, match=r"write .*classifier.onnx before its manifest"):
        write_manifest(tmp_path, name="first", version="1", input=(1, 8, 8), classes=("a", "b"))
