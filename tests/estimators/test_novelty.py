"""A new class against a corruption: told apart by the pictures, at any share, and unsure where nothing has changed."""

import numpy as np
import pytest

from models.estimators.novelty import Looks
from scenarios.corruptions import catalogue, corrupt
from scenarios.datasets import load

UNSEEN = 4


@pytest.fixture(scope="module")
def digits():
    return load("digits", "train")


@pytest.fixture(scope="module")
def known(digits):
    return digits.images[digits.labels != UNSEEN]


@pytest.fixture(scope="module")
def looks(known):
    return Looks.fit(known[:600])


@pytest.fixture(scope="module")
def fresh():
    """Images of known classes and of the unseen one, none of which the fit has seen."""
    test = load("digits", "test")
    return test.images[test.labels != UNSEEN], test.images[test.labels == UNSEEN]


def usual(count, seed=0):
    """p-values of records that the model knows."""
    return 1 - np.random.default_rng(seed).random(count)


def window(changed, clean, share, count=100):
    """Images of which a share is changed, and the p-values of a monitor that finds the changed ones odd."""
    some = round(share * count)
    images = np.concatenate([np.resize(changed, (some, *changed.shape[1:])), clean[: count - some]])
    return images, np.concatenate([np.full(some, 0.01), usual(count - some)])


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_a_class_never_seen_is_new_content(looks, fresh, share):
    clean, unseen = fresh
    found = looks.judge(*window(unseen, clean, share))
    assert found.new_content > 0.95
    assert found.changed > found.spoiled + share / 2


@pytest.mark.parametrize("share", [0.4, 1.0])
@pytest.mark.parametrize("name", ["shot_noise", "fog", "rotate", "stripe", "zigzag"])
def test_a_corruption_is_not_new_content(looks, fresh, name, share):
    clean, _ = fresh
    found = looks.judge(*window(corrupt(clean[100:200], name, seed=3), clean, share))
    assert found.new_content < 0.05
    assert found.spoiled == pytest.approx(share, abs=0.15)


def test_a_slight_turn_to_either_side_is_seen(looks, fresh):
    """It takes both where the statistics lie and how far they are spread."""
    assert looks.spoiled(corrupt(fresh[0], "rotate", 1, seed=3)).mean() > 0.55


def test_over_clean_records_the_confidence_is_no_surer_than_chance(looks, fresh):
    """No more than about one clean window in twenty reaches 0.95."""
    clean, _ = fresh
    rng = np.random.default_rng(1)
    found = [looks.judge(clean[rng.choice(len(clean), 50)], usual(50, seed)) for seed in range(60)]
    assert np.mean([one.new_content > 0.95 for one in found]) <= 0.12
    assert np.mean([one.changed for one in found]) < 0.15 and np.mean([one.spoiled for one in found]) < 0.1


def test_more_records_make_it_surer(looks, fresh):
    clean, unseen = fresh
    few, many = (looks.judge(*window(unseen, clean, 0.3, count)).new_content for count in (20, 200))
    assert few < many


def test_a_corruption_that_was_not_learned_may_pass_for_new_content(known, fresh):
    """A known limit: who learns of noise alone takes shifted pictures for clean ones."""
    clean, _ = fresh
    narrow = Looks.fit(known[:400], [catalogue()["shot_noise"]])
    shifted = corrupt(clean[:100], "translate", 1, seed=3)
    assert narrow.judge(*window(shifted, clean, 1.0)).new_content > 0.95


def test_a_single_corruption_is_learned_too(known, fresh):
    clean, _ = fresh
    narrow = Looks.fit(known[:400], [catalogue()["shot_noise"]])
    assert narrow.spoiled(corrupt(clean, "shot_noise", seed=3)).mean() > 0.9
    assert narrow.spoiled(clean).mean() < 0.1


def test_the_same_fit_judges_the_same(known, fresh):
    clean, unseen = fresh
    chosen = [catalogue()[name] for name in ("shot_noise", "rotate")]
    first, second = (Looks.fit(known[:300], chosen, seed=5).judge(*window(unseen, clean, 0.5)) for _ in range(2))
    assert first == second


def test_colour_images_are_judged_too():
    rng = np.random.default_rng(0)
    ramp = np.linspace(40, 200, 16)[None, None, :, None] * np.ones((300, 16, 1, 3))
    clean = (ramp + rng.normal(0, 15, (300, 1, 1, 3)) + rng.normal(0, 3, (300, 16, 16, 3))).clip(0, 255).astype(np.uint8)
    looks = Looks.fit(clean[:250], [catalogue()[name] for name in ("impulse_noise", "rotate")])
    noisy = corrupt(clean[250:], "impulse_noise", seed=1)
    assert looks.judge(noisy, np.full(50, 0.01)).new_content < 0.05
    assert looks.judge(clean[250:], np.full(50, 0.01)).new_content > 0.95


@pytest.mark.parametrize("p_values", [np.full(49, 0.5), np.zeros(50), np.full(50, 1.5), np.full((50, 1), 0.5), np.full(50, np.nan)])
def test_p_values_that_do_not_fit_are_refused(looks, fresh, p_values):
    with pytest.raises(ValueError, match=r"one p-value in \(0, 1\] for each image"):
        looks.judge(fresh[0][:50], p_values)


def test_too_few_records_are_refused(looks, fresh):
    with pytest.raises(ValueError, match="at least 10 images"):
        looks.judge(fresh[0][:9], np.full(9, 0.5))


def test_a_fit_says_what_it_lacks(known):
    with pytest.raises(ValueError, match="give at least 200"):
        Looks.fit(known[:199])
    with pytest.raises(ValueError, match="no corruption to learn from"):
        Looks.fit(known[:300], [])
