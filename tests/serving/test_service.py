"""The service in memory: the contract, and what holds when threads meet."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.inference_contract import CAPACITY, InferenceContract, ready
from tests.serving.tiny import image, write_pipeline
from workflows.serving.log import Ring
from workflows.serving.service import Service
from workflows.serving.trust import CAP, LEVEL, NEIGHBOURS, SHRINKAGE, Trust


class TestService(InferenceContract):
    @pytest.fixture
    def inference(self):
        return Service(records=CAPACITY, images=CAPACITY, max_images=CAPACITY)


def test_a_log_too_small_for_one_request_is_refused_at_once():
    with pytest.raises(ValueError, match="between 1 and 10 here"):
        Service(records=10, images=20, max_images=11)


def test_the_time_of_a_record_is_the_clocks(tmp_path):
    service = ready(Service(clock=lambda: 1234.5), tmp_path)
    service.infer(image(0.1))
    assert service.records(0).time.tolist() == [1234.5]


def test_swapping_while_threads_ask_gives_every_answer_of_one_whole_pipeline_and_numbers_without_gaps(tmp_path):
    service = ready(Service(), tmp_path)
    service.load(write_pipeline(tmp_path / "second", "second", rotate=1))
    expected = {"first-1": [0], "second-1": [1]}
    wrong, seqs, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            answers = service.infer(image(0.1))
            seqs.append(int(answers.seqs[0]))
            if answers.labels.tolist() != expected[answers.version]:
                wrong.append(answers)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        service.activate("second")
        service.undo()
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sorted(seqs) == list(range(1, len(seqs) + 1))
    assert len(service.records(0, limit=50_000).seqs) == len(seqs)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 7), st.lists(st.integers(0, 7), max_size=12))
def test_a_ring_keeps_exactly_the_newest_rows(capacity, batches):
    ring, written = Ring(capacity, {"x": ((), np.int64), "y": ((2,), np.float32)}), []
    for size in batches:
        values = np.arange(min(size, capacity)) + 100 * len(written)
        assert ring.extend({"x": values, "y": np.stack([values, -values], 1)}) == len(written) + 1
        written += values.tolist()
        kept = written[-capacity:]
        assert (ring.first, ring.last) == (max(1, len(written) - capacity + 1), len(written))
        rows = ring.read(ring.first, ring.last)
        assert rows["x"].tolist() == kept
        assert rows["y"][:, 1].tolist() == [-v for v in kept]


def test_trust_is_the_ratio_of_mean_distances_to_the_nearest_latents_by_direction_and_in_spreads_of_a_class():
    rng = np.random.default_rng(0)
    classes, each = 4, CAP // 4
    labels = np.repeat(np.arange(classes), each)
    latents = (rng.normal(size=(classes, 5))[labels] + rng.normal(size=(len(labels), 5)) * [0.1, 1, 1, 5, 1]).astype(np.float32)
    points, predicted = rng.normal(size=(20, 5)).astype(np.float32), rng.integers(0, classes, 20)
    covariance = np.mean([np.cov(latents[labels == label].T, bias=True) for label in range(classes)], axis=0)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / 5 * np.eye(5)
    root = np.linalg.cholesky(np.linalg.inv(shrunk))
    level = LEVEL * np.median(np.linalg.norm(latents @ root, axis=1))

    def direction(vectors):
        longer = np.column_stack([vectors @ root, np.full(len(vectors), level)])
        return longer / np.linalg.norm(longer, axis=1, keepdims=True)

    expected = []
    for point, mine in zip(direction(points), predicted, strict=True):
        away = np.linalg.norm(direction(latents) - point, axis=1)
        mean = [np.sort(away[labels == label])[:NEIGHBOURS].mean() for label in range(classes)]
        other = min(mean[label] for label in range(classes) if label != mine)
        expected.append(other / (other + mean[mine]))
    np.testing.assert_allclose(Trust(latents, labels, classes)(points, predicted), expected, rtol=1e-3)


def test_trust_stays_in_bounds_where_classes_are_missing_or_points_coincide():
    latents = np.array([[0.0], [0.0], [2.0]], np.float32)
    trust = Trust(latents, np.array([0, 1, 1]), classes=3)
    points = np.array([[0.0], [2.0], [1.0]], np.float32)
    assert trust(points, np.array([0, 1, 2])).tolist() == [0.5, 1.0, 0.0]
    assert Trust(latents, np.array([0, 0, 0]), classes=3)(points, np.array([0, 0, 0])).tolist() == [1.0, 1.0, 1.0]
