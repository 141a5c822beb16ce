"""What every `Inference` must do, whoever implements it. Subclass with a fixture `inference` (empty, `CAPACITY` records and images)."""

import numpy as np
import pytest

from models.pipeline import PipelineError
from tests.serving.tiny import image, write_pipeline
from workflows.inference import BadImages, CursorAhead, NoPipeline, NothingToUndo, PipelineConflict, UnknownPipeline

CAPACITY = 8


def ready(inference, tmp_path, **how):
    name = inference.load(write_pipeline(tmp_path / how.get("name", "first"), **how))
    inference.activate(name)
    return inference


class InferenceContract:
    """Sentences of behaviour, run over every implementation."""

    def test_without_a_pipeline_nothing_is_answered(self, inference):
        with pytest.raises(NoPipeline, match="load one and activate it"):
            inference.infer(image(0.1))
        assert inference.pipelines() == ()
        assert inference.stats().last == 0

    def test_each_answer_carries_label_probabilities_trust_version_and_record_number(self, inference, tmp_path):
        ready(inference, tmp_path)
        answers = inference.infer(np.concatenate([image(0.1), image(0.9), image(0.6)]))
        assert answers.labels.tolist() == [0, 2, 1]
        assert answers.seqs.tolist() == [1, 2, 3]
        assert answers.version == "first-1"
        assert answers.routed.tolist() == [False] * 3
        np.testing.assert_allclose(answers.probabilities.sum(1), 1, rtol=1e-6)
        assert answers.trust[0] > 0.95
        assert 0.5 < answers.trust[2] < answers.trust[0]
        assert answers.trust.dtype == answers.probabilities.dtype == np.float32

    def test_behind_a_gate_trust_is_of_the_image_as_it_was_answered_and_not_as_it_came(self, inference, tmp_path):
        ready(inference, tmp_path, remedy="filter", gate_threshold=0.7)
        answers = inference.infer(np.concatenate([image(0.1), image(0.9)]))  # the filter turns bright into dark
        assert answers.labels.tolist() == [0, 0]
        assert answers.trust.min() > 0.95

    def test_uint8_images_are_answered_like_the_same_images_as_floats(self, inference, tmp_path):
        ready(inference, tmp_path)
        pixels = np.random.default_rng(0).integers(0, 256, (4, 1, 8, 8), np.uint8)
        a, b = inference.infer(pixels), inference.infer(pixels.astype(np.float32) / np.float32(255))
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-5)
        kept = inference.images(np.arange(1, 9)).images
        np.testing.assert_array_equal(kept[:4], pixels[:, 0])
        np.testing.assert_array_equal(kept[4:], pixels[:, 0])

    def test_records_say_what_was_answered_and_what_the_monitor_needs(self, inference, tmp_path):
        ready(inference, tmp_path, remedy="filter", gate_threshold=0.7)
        answers = inference.infer(np.concatenate([image(0.1), image(0.9)]))
        records = inference.records(0)
        assert (records.first, records.last, records.lost) == (1, 2, None)
        assert records.seqs.tolist() == [1, 2]
        assert records.label.tolist() == answers.labels.tolist() == [0, 0]
        assert records.version.tolist() == ["first-1", "first-1"]
        assert records.routed.tolist() == [False, True]
        np.testing.assert_allclose(records.latent[:, 0], [0.1, 0.9], rtol=1e-5)
        assert records.early.shape == (2, 2)
        assert records.logits.shape == (2, 3)
        assert records.time.dtype == np.float64

    def test_a_reader_goes_on_from_where_it_stopped(self, inference, tmp_path):
        ready(inference, tmp_path).infer(image(0.1, count=5))
        first = inference.records(0, limit=2)
        assert first.seqs.tolist() == [1, 2]
        assert inference.records(first.last).seqs.tolist() == [3, 4, 5]
        nothing = inference.records(5)
        assert (nothing.first, nothing.last, nothing.lost, len(nothing.seqs)) == (6, 5, None, 0)

    def test_a_reader_of_few_records_may_have_them_spread_over_all_there_are(self, inference, tmp_path):
        ready(inference, tmp_path).infer(image(0.1, count=7))
        records = inference.records(0, limit=3, spread=True)
        assert (records.first, records.last, records.every, records.seqs.tolist()) == (1, 6, 3, [3, 6])
        records = inference.records(6, limit=3, spread=True)
        assert (records.first, records.last, records.every, records.seqs.tolist()) == (7, 7, 1, [7])
        assert (len(inference.records(7, spread=True).seqs), inference.records(7, spread=True).last) == (0, 7)

    def test_a_reader_that_fell_behind_is_told_exactly_which_records_it_lost(self, inference, tmp_path):
        ready(inference, tmp_path).infer(image(0.1, count=5))
        assert inference.records(0).last == 5
        inference.infer(image(0.9, count=8))
        inference.infer(image(0.9, count=3))
        records = inference.records(5)
        assert records.lost == (6, 8)
        assert records.seqs.tolist() == list(range(9, 17))

    def test_a_reader_ahead_of_the_log_is_told_that_it_began_anew(self, inference):
        with pytest.raises(CursorAhead, match="start from 0"):
            inference.records(7)

    def test_only_images_still_in_the_ring_are_given_in_the_order_asked(self, inference, tmp_path):
        ready(inference, tmp_path)
        for brightness in (0.1, 0.2, 0.3):
            inference.infer(image(brightness, count=4))
        got = inference.images(np.array([12, 4, 5, 99, 0]))
        assert got.seqs.tolist() == [12, 5]
        assert got.images.shape == (2, 8, 8)
        assert got.images.dtype == np.uint8
        assert got.images[:, 0, 0].tolist() == [76, 51]

    def test_colour_images_come_back_with_channels_last(self, inference, tmp_path):
        ready(inference, tmp_path, shape=(3, 8, 6))
        pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 6), np.uint8)
        inference.infer(pixels)
        np.testing.assert_array_equal(inference.images(np.array([1, 2])).images, pixels.transpose(0, 2, 3, 1))

    @pytest.mark.parametrize(
        ("images", "said"),
        [
            (np.zeros((1, 1, 8, 9), np.float32), r"shape \[1, 1, 8, 9\]; expected \[n, 1, 8, 8\]"),
            (np.zeros((8, 8), np.float32), r"expected \[n, 1, 8, 8\]"),
            (np.zeros((1, 1, 8, 8)), "float64; expected float32"),
            (np.zeros((0, 1, 8, 8), np.float32), "0 images; expected between 1 and 8"),
            (np.zeros((9, 1, 8, 8), np.float32), "9 images; expected between 1 and 8"),
            (np.full((1, 1, 8, 8), np.nan, np.float32), "NaN"),
            (np.full((1, 1, 8, 8), np.inf, np.float32), "NaN or infinite"),
            (np.full((1, 1, 8, 8), 255, np.float32), r"from 255 to 255; expected float32 in \[0, 1\]"),
        ],
    )
    def test_bad_images_are_refused_with_what_was_expected_and_make_no_record(self, inference, tmp_path, images, said):
        ready(inference, tmp_path)
        with pytest.raises(BadImages, match=said):
            inference.infer(images)
        assert inference.records(0).last == 0
        assert inference.stats().rejected == 1
        assert inference.infer(image(0.1)).seqs.tolist() == [1]

    def test_a_loaded_pipeline_answers_only_once_it_is_activated(self, inference, tmp_path):
        ready(inference, tmp_path)
        inference.load(write_pipeline(tmp_path / "second", "second", rotate=1))
        assert inference.pipelines() == (("first", True), ("second", False))
        assert inference.infer(image(0.1)).version == "first-1"
        inference.activate("second")
        answers = inference.infer(image(0.1))
        assert (answers.version, answers.labels.tolist()) == ("second-1", [1])
        assert inference.records(0).version.tolist() == ["first-1", "second-1"]
        assert (inference.stats().active, inference.stats().previous) == ("second", "first")

    def test_undo_goes_back_step_by_step_and_then_says_that_there_is_nothing(self, inference, tmp_path):
        ready(inference, tmp_path)
        ready(inference, tmp_path, name="second")
        ready(inference, tmp_path, name="third")
        assert inference.undo() == "second"
        assert inference.undo() == "first"
        with pytest.raises(NothingToUndo, match="activate one by name"):
            inference.undo()
        assert inference.infer(image(0.1)).version == "first-1"

    def test_activating_the_active_pipeline_changes_nothing(self, inference, tmp_path):
        ready(inference, tmp_path).activate("first")
        with pytest.raises(NothingToUndo):
            inference.undo()

    def test_loading_the_same_folder_twice_is_one_load_but_another_of_the_same_name_is_refused(self, inference, tmp_path):
        folder = write_pipeline(tmp_path / "first")
        assert inference.load(folder) == inference.load(folder) == "first"
        assert inference.pipelines() == (("first", False),)
        with pytest.raises(PipelineConflict, match="give this one its own name"):
            inference.load(write_pipeline(tmp_path / "other", "first", version="2", rotate=1))

    def test_a_damaged_pipeline_is_refused_and_the_active_one_stays(self, inference, tmp_path):
        ready(inference, tmp_path)
        folder = write_pipeline(tmp_path / "second", "second")
        (folder / "classifier.onnx").write_bytes(b"damaged")
        with pytest.raises(PipelineError, match="is damaged"):
            inference.load(folder)
        assert inference.pipelines() == (("first", True),)

    def test_a_pipeline_for_other_images_does_not_fit_a_log_in_use(self, inference, tmp_path):
        ready(inference, tmp_path)
        with pytest.raises(PipelineConflict, match="Start another deployment"):
            inference.load(write_pipeline(tmp_path / "colour", "colour", shape=(3, 8, 8)))

    def test_the_active_pipeline_cannot_be_unloaded_and_another_one_can(self, inference, tmp_path):
        ready(inference, tmp_path)
        ready(inference, tmp_path, name="second")
        with pytest.raises(PipelineConflict, match="'second' is the active pipeline"):
            inference.unload("second")
        inference.unload("first")
        assert inference.pipelines() == (("second", True),)
        with pytest.raises(NothingToUndo):
            inference.undo()

    @pytest.mark.parametrize("act", ["activate", "unload", "shadow"])
    def test_an_unknown_pipeline_is_named_together_with_those_that_exist(self, inference, tmp_path, act):
        ready(inference, tmp_path)
        arguments = ["nobody", np.array([1])] if act == "shadow" else ["nobody"]
        with pytest.raises(UnknownPipeline, match=r"'nobody' is loaded; loaded are \['first'\]"):
            getattr(inference, act)(*arguments)

    def test_a_shadow_answers_old_images_with_another_pipeline_and_makes_no_record(self, inference, tmp_path):
        ready(inference, tmp_path).infer(np.concatenate([image(0.1), image(0.5), image(0.9)]))
        inference.load(write_pipeline(tmp_path / "second", "second", rotate=1))
        shadow = inference.shadow("second", np.array([1, 3, 77]))
        assert shadow.seqs.tolist() == [1, 3]
        assert shadow.labels.tolist() == [1, 0]
        assert (shadow.confidence > 0.5).all()
        assert shadow.seconds_per_image > 0
        assert inference.stats().last == 3
        assert inference.stats().active == "first"
