import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scenarios.corruptions import catalogue, corrupt
from scenarios.datasets import load

NAMES = list(catalogue())
GRADED = [name for name, one in catalogue().items() if len(one.parameters) > 1]
RANDOM = [name for name, one in catalogue().items() if one.random]


def test_the_catalogue_has_the_fifteen_of_mnist_c_in_the_published_order():
    assert NAMES == [
        "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate", "brightness", "translate", "stripe", "fog",
        "spatter", "dotted_line", "zigzag", "canny_edges",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(3, 28, 28), (2, 32, 32), (2, 20, 36), (2, 33, 17), (0, 28, 28)])
def test_any_height_and_width_comes_back_as_it_went_in(name, shape):
    images = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    before = images.copy()
    result = corrupt(images, name, seed=3)
    assert result.shape == shape and result.dtype == np.uint8
    assert np.array_equal(images, before), "the images handed in were changed"


@pytest.mark.parametrize("name", [name for name, one in catalogue().items() if one.colour])
def test_colour_images_stay_colour_images_and_grey_ones_in_colour_look_as_grey_ones(name):
    grey = load("digits", "test").images[:4]
    colour = np.repeat(grey[..., None], 3, axis=3)
    result = corrupt(colour, name, seed=3)
    assert result.shape == colour.shape and result.dtype == np.uint8
    if "noise" not in name:  # noise is drawn for every channel
        assert np.abs(result[..., 0].astype(int) - corrupt(grey, name, seed=3)).max() <= 1


def test_a_corruption_for_grey_images_refuses_colour():
    with pytest.raises(ValueError, match=r"canny_edges is defined for grey images .* \[2, 32, 32, 3\]"):
        corrupt(np.zeros((2, 32, 32, 3), np.uint8), "canny_edges", seed=0)


def test_brightness_keeps_hue_and_saturation():
    red = np.full((1, 2, 2, 3), (100, 50, 0), np.uint8)
    assert corrupt(red, "brightness", 2, seed=0)[0, 0, 0].tolist() == [151, 75, 0]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_images_and_another_seed_others(name):
    images = load("digits", "test").images[:20]
    first = corrupt(images, name, seed=5)
    assert np.array_equal(first, corrupt(images, name, seed=5))
    assert np.array_equal(first, corrupt(images, name, seed=6)) != catalogue()[name].random


@pytest.mark.parametrize("name", RANDOM)
def test_each_image_gets_its_own_draw(name):
    same = np.repeat(load("digits", "test").images[:1], 40, axis=0)
    assert len(np.unique(corrupt(same, name, seed=0), axis=0)) > 1


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"shot_noise"}))  # how much a Poisson draw takes from the generator depends on its mean
def test_images_of_one_batch_do_not_bleed_into_each_other(name):
    images = load("digits", "test").images[:6]
    others = images.copy()
    others[3:] = 255 - others[3:]
    assert np.array_equal(corrupt(images, name, seed=2)[:3], corrupt(others, name, seed=2)[:3])


@pytest.mark.parametrize("name", GRADED)
def test_a_higher_severity_changes_images_more(name):
    images = load("digits", "test").images[:200].astype(int)
    harm = [np.abs(corrupt(images.astype(np.uint8), name, severity, seed=4) - images).mean() for severity in (1, 2, 3, 4, 5)]
    if name == "spatter":  # published so: from 3 to 4 the drops get smaller while their rims get wider
        assert harm[0] < harm[4]
    elif name == "fog":  # published so: from 3 to 4 only its roughness changes
        assert harm[0] < harm[1] < harm[2] < harm[4]
    elif name == "glass_blur":  # published so: severity 2 has one round and severity 3 has three, 4 two again, at larger shifts
        assert harm[0] < harm[2] < harm[4]
    else:
        assert harm == sorted(harm)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(GRADED)))
def test_a_corruption_without_degrees_takes_any_severity_alike(name):
    images = load("digits", "test").images[:5]
    assert np.array_equal(corrupt(images, name, 1, seed=0), corrupt(images, name, 5, seed=0))


@pytest.mark.parametrize("name", NAMES)
def test_without_a_severity_the_published_one_is_used(name):
    images = load("digits", "test").images[:5]
    assert np.array_equal(corrupt(images, name, seed=0), corrupt(images, name, catalogue()[name].published, seed=0))


def test_none_is_an_unchanged_copy(noise_images):
    result = corrupt(noise_images, "none", seed=0)
    assert np.array_equal(result, noise_images) and result is not noise_images


def test_a_misspelt_corruption_is_answered_with_the_nearest_one():
    with pytest.raises(ValueError, match=r"no corruption 'motion_blurr'. Did you mean 'motion_blur'\?"):
        corrupt(np.zeros((1, 28, 28), np.uint8), "motion_blurr", seed=0)


@pytest.mark.parametrize("severity", [0, 6, -1, 2.5])
def test_a_severity_outside_one_to_five_is_refused(severity):
    with pytest.raises(ValueError, match="fog has severities 1 to 5"):
        corrupt(np.zeros((1, 28, 28), np.uint8), "fog", severity, seed=0)


@pytest.mark.parametrize("images", [np.zeros((1, 28, 28)), np.zeros((28, 28), np.uint8), np.zeros((1, 28, 28, 1), np.uint8)])
def test_images_of_another_dtype_or_shape_are_refused(images):
    with pytest.raises(ValueError, match="Expected uint8 images"):
        corrupt(images, "fog", seed=0)


@settings(max_examples=60, deadline=None)
@given(
    images=hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(12, 40), st.integers(12, 40))),
    name=st.sampled_from(sorted(set(NAMES) - {"fog"})),  # its map of 65,536 values per image is checked above
    severity=st.integers(1, 5),
    seed=st.integers(0, 2**40),
)
def test_no_image_size_severity_or_seed_breaks_a_corruption(images, name, severity, seed):
    result = corrupt(images, name, severity, seed=seed)
    assert result.shape == images.shape and result.dtype == np.uint8
    assert np.array_equal(result, corrupt(images, name, severity, seed=seed))


def test_a_stripe_turns_the_outer_quarters_negative():
    result = corrupt(np.zeros((1, 4, 32), np.uint8), "stripe", seed=0)[0, 0]
    assert result.tolist() == [255] * 8 + [0] * 16 + [255] * 8


def test_lines_reach_from_side_to_side_in_wide_images():
    black = np.zeros((50, 20, 60), np.uint8)
    for name, first, last in (("dotted_line", 2, 59), ("zigzag", 2, 58)):
        inked = np.flatnonzero(corrupt(black, name, seed=0).max(axis=(0, 1)))
        assert (inked[0], inked[-1]) in {(first, last - 1), (first, last - 2)}, name


@pytest.mark.parametrize("shape", [(5, 28, 28), (5, 32, 40)])
def test_canny_edges_are_those_of_scikit_image(shape):
    feature = pytest.importorskip("skimage.feature")
    from scipy.ndimage import gaussian_filter

    images = gaussian_filter(np.random.default_rng(0).random(shape), (0, 2, 2))
    images = ((images - images.min()) / np.ptp(images) * 255).astype(np.uint8)
    expected = np.stack([feature.canny(image / 255.0) for image in images])
    assert expected.any()
    assert np.array_equal(corrupt(images, "canny_edges", seed=0) == 255, expected)
