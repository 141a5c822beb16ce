"""Own corruptions against files made by the authors' generator: bit for bit where that is possible, else by distribution."""

import numpy as np
import pytest
from scipy import stats

from scenarios.corruptions import corrupt
from scenarios.corruptions.mnist_c import lines
from scenarios.corruptions.mnist_c.geometry import warp
from scenarios.corruptions.mnist_c.motion_blur import kernel, offsets, smear
from scenarios.corruptions.published import load_reference
from scenarios.corruptions.rule import to_bytes

TURN = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
SLANT = np.array([[1, -np.sin(0.4)], [0, np.cos(0.4)]])
SLANT_OF_NEWER_SCIKIT_IMAGE = np.array([[1, np.tan(0.4)], [0, 1]])
OTHER_WAY = np.array([[1, -1], [-1, 1]])


@pytest.fixture(params=[500, pytest.param(4000, marks=pytest.mark.slow)], ids=["some", "all"])
def clean(clean, request):
    """Those that the reference files were made from: the first ones, which a wrong pixel or distribution would hardly escape, or all."""
    return clean[: request.param]


@pytest.fixture
def reference(data_folder, clean):
    return lambda name: load_reference(data_folder / "mnist_c", name)[0][: len(clean)]


def warped(images, *matrices):
    return np.stack([to_bytes(warp(images[..., None] / 255.0, matrix))[..., 0] for matrix in matrices])


def differences(candidates, images):
    """Largest difference of each image [n] to the candidate [k, n] that is nearest to it, and which one that is."""
    apart = np.abs(candidates.astype(np.int16) - images).max(axis=(2, 3))
    return apart.min(axis=0), apart.argmin(axis=0)


@pytest.mark.parametrize("name", ["stripe", "brightness", "scale", "canny_edges"])
def test_a_corruption_without_chance_equals_the_reference_bit_for_bit(name, clean, reference):
    assert np.array_equal(corrupt(clean, name, seed=0), reference(name))


def test_stripe_equals_the_published_images_bit_for_bit(data_folder, original):
    with np.load(data_folder / "mnist_c" / "stripe_real_sample.npz") as file:
        published, index = file["images"], file["test_index"]
    assert np.array_equal(corrupt(original("mnist", "test").images[index], "stripe", seed=0), published)


def test_every_rotated_reference_image_is_turned_one_way_or_the_other_bit_for_bit(clean, reference):
    apart, way = differences(warped(clean, TURN, TURN * OTHER_WAY), reference("rotate"))
    assert apart.max() == 0
    assert stats.binomtest(int(way.sum()), len(way)).pvalue > 1e-3


def test_every_translated_reference_image_is_moved_along_one_of_four_diagonals_bit_for_bit(clean, reference):
    framed = np.pad(clean, ((0, 0), (6, 6), (6, 6)))
    moved = np.stack([framed[:, 6 + down : 34 + down, 6 + right : 34 + right] for down in (-3, 3) for right in (-3, 3)])
    apart, way = differences(moved, reference("translate"))
    assert apart.max() == 0
    assert stats.chisquare(np.bincount(way, minlength=4)).pvalue > 1e-3


def test_the_reference_files_shear_as_newer_scikit_image_does(clean, reference):
    """They were made with a release whose shear is [[1, tan], [0, 1]]; the interpolation is the same, to the bit."""
    matrices = SLANT_OF_NEWER_SCIKIT_IMAGE, SLANT_OF_NEWER_SCIKIT_IMAGE * OTHER_WAY
    apart, _ = differences(warped(clean, *matrices), reference("shear"))
    assert apart.max() == 0


@pytest.mark.parametrize(("name", "matrix", "split", "found"), [("shear", SLANT, "test", 5), ("shear", SLANT, "train", 6), ("rotate", TURN, "test", 7)])
def test_published_fashion_mnist_c_images_are_found_among_own_ones(name, matrix, split, found, data_folder, original):
    """Shear is therefore [[1, -sin], [0, cos]]: the authors' own images equal that, to the bit, and none equals the newer one."""
    images = original("fashion-mnist", split).images[:100]
    with np.load(data_folder / "fashion_mnist_c" / f"{split}_first100.npz") as file:
        published = file["images"]
    apart, _ = differences(warped(images, matrix, matrix * OTHER_WAY), published)
    assert (apart == 0).sum() == found, name


@pytest.mark.parametrize(("name", "matrix"), [("rotate", TURN), ("shear", SLANT)])
def test_own_turned_and_sheared_images_go_one_way_or_the_other_at_random(name, matrix, clean):
    apart, way = differences(warped(clean, matrix, matrix * OTHER_WAY), corrupt(clean, name, seed=1))
    assert apart.max() == 0
    assert stats.binomtest(int(way.sum()), len(way)).pvalue > 1e-3


@pytest.mark.parametrize(("name", "drawings", "count"), [("zigzag", lines.zigzags, 250), ("dotted_line", lines.dotted_lines, 100)])
def test_every_scribbled_reference_image_carries_one_of_the_possible_lines_bit_for_bit(name, drawings, count, clean, reference):
    possible, scribbled = drawings(28, 28), reference(name)
    for image, expected in zip(clean[:count] / 255.0, scribbled[:count], strict=True):
        assert (to_bytes(image + possible) == expected).all(axis=(1, 2)).any()


def test_every_smeared_reference_image_is_smeared_at_one_of_the_possible_angles_bit_for_bit(clean, reference):
    # Whole-pixel steps change only where i * cos or i * sin passes a half, so one angle between any two such places shows them all.
    ratios = np.unique([(k + 0.5) / i for i in range(1, 21) for k in range(i)])
    corners = np.rad2deg(np.concatenate([np.arccos(ratios), np.arcsin(ratios)]))
    corners = np.unique(np.concatenate([[-45, 45], corners[corners < 45], -corners[corners < 45]]))
    angles = (corners[1:] + corners[:-1]) / 2
    kinds = np.unique(offsets(angles, 21).reshape(-1, 42), axis=0).reshape(-1, 21, 2)
    count = len(clean) // 40
    images, smeared = clean[:count], reference("motion_blur")[:count]
    candidates = np.stack([smear_at(images, steps) for steps in kinds])
    assert differences(candidates, smeared)[0].max() == 0


def smear_at(images, steps):
    smeared = smear(images[..., None] / 255.0, kernel(10, 3), steps)
    return to_bytes(np.round(smeared * 65_535) / 65_535)[..., 0]


def statistics_of(images):
    """Per image: mean, spread, share of black, roughness along rows and along columns, and the row and column of the ink's centre."""
    grey = images.astype(float)
    mass = grey.sum(axis=(1, 2)) + 1e-9
    yield "mean", grey.mean(axis=(1, 2))
    yield "spread", grey.std(axis=(1, 2))
    yield "black", (images == 0).mean(axis=(1, 2))
    yield "roughness along rows", np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
    yield "roughness along columns", np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2))
    yield "centre row", (grey.sum(axis=2) * np.arange(28)).sum(axis=1) / mass
    yield "centre column", (grey.sum(axis=1) * np.arange(28)).sum(axis=1) / mass


@pytest.mark.parametrize(
    "name", ["shot_noise", "impulse_noise", "glass_blur", "motion_blur", "rotate", "translate", "fog", "spatter", "dotted_line", "zigzag"]
)
def test_a_corruption_with_chance_is_distributed_as_the_reference(name, clean, reference):
    """Every statistic of up to 2000 images passes a Kolmogorov-Smirnov test, and ink per row and column agrees within 4.5 standard errors.

    Seventy tests in all, so each may be as rare as 1 in 10,000; the seed is fixed, so the outcome is, too.
    """
    own, expected = corrupt(clean[:2000], name, seed=11), reference(name)[:2000]
    for (what, ours), (_, theirs) in zip(statistics_of(own), statistics_of(expected), strict=True):
        assert stats.ks_2samp(ours, theirs, method="asymp").pvalue > 1e-4, what
    for axis in (1, 2):
        ours, theirs = own.mean(axis=axis), expected.mean(axis=axis)
        error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / len(ours)) + 0.02
        assert np.abs((ours.mean(axis=0) - theirs.mean(axis=0)) / error).max() < 4.5


def test_the_distribution_test_would_notice_a_wrong_severity(clean, reference):
    own, expected = corrupt(clean[:2000], "fog", 4, seed=11), reference("fog")[:2000]
    pairs = zip(statistics_of(own), statistics_of(expected), strict=True)
    assert min(stats.ks_2samp(ours, theirs, method="asymp").pvalue for (_, ours), (_, theirs) in pairs) < 1e-4
