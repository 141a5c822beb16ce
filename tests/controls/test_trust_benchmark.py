"""What the benchmark of trust counts: what is gained by handing on, accuracy by trust, and the score as it was published."""

import numpy as np
import pytest

from benchmarks.trust import Answered, curve, interval, published


def answered(right, trust):
    return Answered(np.array(right), {"trust": np.array(trust, np.float32)})


def test_handing_on_gains_the_wrong_answers_among_the_least_trusted():
    right = [False, True] + [True] * 36 + [False] * 2
    assert answered(right, np.linspace(0, 1, 40)).gain("trust") == pytest.approx(1 / 40)
    assert answered(right, np.linspace(1, 0, 40)).gain("trust") == pytest.approx(2 / 40)
    assert answered(right, np.zeros(40)).gain("random") == pytest.approx(0.05 * 3 / 40)


def test_auroc_is_how_often_a_right_answer_is_trusted_more_and_ties_count_half():
    assert answered([True, True, False, False], [0.9, 0.3, 0.3, 0.1]).auroc("trust") == pytest.approx(3.5 / 4)
    assert answered([True, True], [0.1, 0.2]).auroc("trust") is None


def test_a_curve_goes_from_the_least_trusted_up_over_all_answers_together():
    found = curve([answered([False] * 10, np.linspace(0, 0.4, 10)), answered([True] * 10, np.linspace(0.5, 1, 10))])
    assert found["accuracy"] == [0] * 5 + [1] * 5
    assert found["trust"] == sorted(found["trust"])


def test_the_published_score_is_the_ratio_to_the_nearest_latent_and_leaves_out_what_lies_alone():
    rng = np.random.default_rng(0)
    near, far = rng.normal(0, 0.1, (20, 2)), rng.normal(10, 0.1, (20, 2))
    near[0] = 9.0  # of the first class by its label, amid the second one
    latents, labels = np.concatenate([near, far]).astype(np.float32), np.repeat([0, 1], 20)
    point, said = np.array([[9.0, 9.0]], np.float32), np.array([0])
    assert published(latents, labels, left_out=0.0)(point, said)[0] == pytest.approx(1.0)
    assert published(latents, labels)(point, said)[0] < 0.2


def test_an_interval_over_seeds_is_students_and_one_seed_has_none():
    mean, half = interval([1.0, 2.0, 3.0])
    assert (mean, half) == (2.0, pytest.approx(4.303 / 3**0.5))
    assert np.isnan(interval([1.0])[1])
