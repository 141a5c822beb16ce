"""Naming a corruption: right for known ones at any size and share, and honest about unknown ones."""

from dataclasses import replace

import numpy as np
import pytest

from models.naming.resemblance import NONE, UNLIKE_ANY, BadResemblanceError, Resemblance
from models.naming.signatures import Signatures
from models.naming.statistics import image_statistics
from scenarios.corruptions import catalogue, corrupt
from scenarios.datasets import load

KNOWN = ("shot_noise", "scale", "brightness", "translate", "stripe")


@pytest.fixture(scope="module")
def fresh():
    return load("digits", "test").images


@pytest.fixture(scope="module")
def known():
    return Resemblance.fit(load("digits", "train").images[:400], [catalogue()[name] for name in KNOWN])


def window(images, name, severity=None, seed=5):
    return corrupt(images, name, severity, seed=seed)


@pytest.mark.parametrize(("name", "severity"), [("shot_noise", 4), ("scale", 3), ("brightness", 2), ("translate", 4)])
def test_a_known_corruption_is_named_with_its_severity(known, fresh, name, severity):
    found = known.name(window(fresh[:100], name, severity))
    assert (found.name, found.nearest) == (name, name)
    assert found.severity == pytest.approx(severity, abs=0.2)
    assert found.confidence > 0.9 and found.share > 0.95


def test_a_corruption_without_degrees_has_no_severity(known, fresh):
    found = known.name(window(fresh[:100], "stripe"))
    assert (found.name, found.severity) == ("stripe", None)


@pytest.mark.parametrize("start", range(0, 500, 50))
def test_clean_records_are_called_none(known, fresh, start):
    found = known.name(fresh[start : start + 50])
    assert (found.name, found.severity, found.share) == (NONE, None, 0.0)


def test_of_two_sides_at_random_the_spread_tells_what_the_mean_cannot(known, fresh):
    """Translated images lie on average where clean ones do."""
    found = known.name(window(fresh[:100], "translate", 2))
    assert found.name == "translate" and found.severity == pytest.approx(2, abs=0.2)


def test_a_severity_between_two_known_ones_is_found(known, fresh):
    between = replace(catalogue()["shot_noise"], parameters=(18,))  # 25 and 12 photons at severities 2 and 3
    found = known.name(between(fresh[:100], seed=5))
    assert found.name == "shot_noise" and 2.1 < found.severity < 2.9


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_the_share_of_corrupted_records_is_found(known, fresh, share):
    count = round(200 * share)
    found = known.name(np.concatenate([window(fresh[:count], "brightness", 4), fresh[count:200]]))
    assert found.name == "brightness" and found.severity == pytest.approx(4, abs=0.2)
    assert found.share == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("name", ["fog", "canny_edges", "glass_blur", "rotate", "zigzag"])
def test_what_is_not_in_the_catalogue_is_unlike_any(known, fresh, name):
    found = known.name(window(fresh[:100], name))
    assert (found.name, found.severity) == (UNLIKE_ANY, None)
    assert found.confidence > 0.9 and found.nearest in {NONE, *KNOWN}


def test_probabilities_of_all_names_sum_to_one_and_the_answer_is_not_among_the_alternatives(known, fresh):
    for images in (fresh[:100], window(fresh[:100], "scale"), window(fresh[:100], "fog")):
        found = known.name(images)
        assert {found.name, *(name for name, _ in found.alternatives)} == {NONE, UNLIKE_ANY, *KNOWN}
        assert found.confidence + sum(p for _, p in found.alternatives) == pytest.approx(1)
        assert [p for _, p in found.alternatives] == sorted((p for _, p in found.alternatives), reverse=True)


def test_other_shares_of_the_classes_are_no_corruption(known):
    digits = load("digits", "test")
    assert known.name(digits.images[digits.labels < 5][:100]).name == NONE


def test_the_order_of_the_records_does_not_matter_and_they_are_left_as_they_were(known, fresh):
    images = window(fresh[:100], "scale")
    given = images.copy()
    first, second = known.name(images), known.name(images[::-1])
    assert (images == given).all()
    assert first.name == second.name and first.severity == pytest.approx(second.severity, abs=0.01)
    assert first.distance == pytest.approx(second.distance, rel=1e-3)


def test_an_equal_fit_names_equally_and_a_saved_one_too(tmp_path, fresh):
    clean = load("digits", "calibration").images
    one, other = (Resemblance.fit(clean, [catalogue()["stripe"], catalogue()["scale"]], seed=3) for _ in range(2))
    one.save(tmp_path / "naming.npz")
    loaded = Resemblance.load(tmp_path / "naming.npz")
    for images in (fresh[:60], window(fresh[:60], "scale", 2)):
        assert one.name(images) == other.name(images) == loaded.name(images)
    assert [path.name for path in tmp_path.iterdir()] == ["naming.npz"]


def test_colour_images_are_named_too():
    """Blots of random colour; brightness leaves the hue, noise does not."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 200, (400, 4, 4, 3), np.uint8)
    images = coarse.repeat(5, 1).repeat(5, 2)
    known = Resemblance.fit(images[:300], [catalogue()["brightness"], catalogue()["impulse_noise"]])
    assert known.name(window(images[300:], "impulse_noise", 3)).name == "impulse_noise"
    assert known.name(images[300:]).name == NONE


def test_images_of_another_size_are_refused_with_both_sizes(known):
    with pytest.raises(BadResemblanceError, match=r"\[5, 20, 20\].*\(28, 28, 1\)"):
        known.name(np.zeros((5, 20, 20), np.uint8))


def test_an_empty_window_is_refused(known, fresh):
    with pytest.raises(BadResemblanceError, match="at least one"):
        known.name(fresh[:0])


def test_images_that_are_not_bytes_are_refused(known, fresh):
    with pytest.raises(ValueError, match="expected uint8"):
        known.name(fresh[:10] / 255)


def test_too_few_clean_images_or_nothing_to_know_are_refused(fresh):
    with pytest.raises(ValueError, match="there are 50 clean images; give at least 200"):
        Resemblance.fit(fresh[:50])
    with pytest.raises(ValueError, match="no corruption to know"):
        Resemblance.fit(fresh, [])


def test_a_missing_and_a_damaged_file_are_told_apart(tmp_path):
    with pytest.raises(BadResemblanceError, match="there is no fit at"):
        Resemblance.load(tmp_path / "naming.npz")
    (tmp_path / "naming.npz").write_bytes(b"PK damaged")
    with pytest.raises(BadResemblanceError, match="is not a saved fit"):
        Resemblance.load(tmp_path / "naming.npz")


@pytest.mark.parametrize("shape", [(0, 28, 28), (3, 28, 28), (3, 20, 36), (3, 32, 32, 1), (3, 32, 32, 3)])
def test_statistics_are_finite_for_black_white_and_random_images_of_any_size(shape):
    for images in (np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), np.random.default_rng(0).integers(0, 256, shape, np.uint8)):
        rows = image_statistics(images)
        assert len(rows) == shape[0] and rows.dtype == np.float32 and np.isfinite(rows).all()


def test_more_records_bring_a_stranger_further_away_and_leave_a_known_window_near():
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(400, 5))
    signatures = Signatures.of([(NONE, 0), ("moved", 1)], [clean, clean + 3 * np.eye(5)[0]])
    off = {}
    for size in (20, 2000):
        rows = rng.normal(size=(size, 5))
        means = np.stack([signatures.describe(rows).mean(0), signatures.describe(rows + 2 * np.eye(5)[3]).mean(0)])
        off[size] = signatures.compare(means, np.full(2, size))[0].min(1)
    assert max(off[20][0], off[2000][0]) < 1 < off[20][1] < off[2000][1]
