"""A pipeline folder is checked whole before it answers, and answers by the rule of filter, gate and adapted classifier."""

import json

import numpy as np
import pytest

from models.pipeline import Pipeline, PipelineError, write_manifest
from tests.serving.tiny import image, write_pipeline


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
        ({"gate": "gate.onnx"}, "gate"),
        ({"classes": ["one"]}, "two or more"),
        ({"colour": "blue"}, r"unknown keys \['colour'\]"),
        ({"files": {"classifier.onnx": "0"}}, "64 hexadecimal"),
        ({"name": ""}, "1 to 128"),
    ],
)
def test_a_bad_manifest_is_refused_with_the_key_and_what_is_allowed(tmp_path, change, said):
    folder = write_pipeline(tmp_path)
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
