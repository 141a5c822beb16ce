"""What holds for every corruption of the benchmarks beside MNIST-C, and how namesakes are told apart."""

import functools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from scenarios.corruptions import catalogue, corrupt
from scenarios.scenario import ScenarioError, load_scenario

OTHERS = {**catalogue("fashion_mnist_c"), **catalogue("cifar10_c")}
TURNS = ("fashion_mnist_c/turn_left", "fashion_mnist_c/turn_right")
SCENARIO = 'name = "mine"\n[[segment]]\nrecords = 10\ncorruption = "{}"\n'


@functools.cache
def pictures(count, height=32, width=32, *, colour=True):
    """Smooth uint8 pictures [n, h, w, 3] or [n, h, w] with a little of every grey value in each."""
    shape = (count, height, width, 3) if colour else (count, height, width)
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=shape), (0, 2, 2, 0) if colour else (0, 2, 2), mode="wrap")
    axes = tuple(range(1, len(shape)))
    low, high = smooth.min(axis=axes, keepdims=True), smooth.max(axis=axes, keepdims=True)
    return ((smooth - low) / (high - low) * 255).astype(np.uint8)


def fitting(name, count):
    return pictures(count, colour=name.startswith("cifar"))


def test_plain_names_are_those_of_mnist_c_and_the_others_are_named_with_their_benchmark():
    assert list(catalogue("all")) == [*catalogue(), *catalogue("fashion_mnist_c"), *catalogue("cifar10_c")]
    assert catalogue("mnist_c") == catalogue() and not any("/" in name for name in catalogue())
    assert all(name == one.name for name, one in catalogue("all").items())
    assert {one.family for one in catalogue("cifar10_c").values()} == {"cifar10-c"}
    images = pictures(3, 28, 28, colour=False)
    assert not np.array_equal(corrupt(images, "fog", seed=0), corrupt(images, "cifar10_c/fog", seed=0))


def test_an_unknown_benchmark_is_answered_with_the_nearest_one():
    with pytest.raises(ValueError, match=r"no benchmark 'cifar_c'. Did you mean 'cifar10_c'\? Use one of: mnist_c, fashion_mnist_c, cifar10_c, all"):
        catalogue("cifar_c")


MISSPELT = [
    ("frog", "'fog'"), ("cifar10_c/frog", "'cifar10_c/fog'"), ("cifar10/snow", "'cifar10_c/snow'"), ("snow", "'cifar10_c/snow'"),
    ("mnist_c/fog", "'fog'"), ("cifar10_c/rotate", "'rotate' or 'fashion_mnist_c/rotate'"), ("nonne", "'none'"),
    ("contrast", "'fashion_mnist_c/contrast' or 'cifar10_c/contrast'"), ("fashion_mnist_c/turnleft", "'fashion_mnist_c/turn_left'"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "meant"), MISSPELT)
def test_a_misspelt_name_is_answered_with_the_right_one_of_the_right_benchmark(word, meant, tmp_path):
    told = rf"no corruption '{word}'\. Did you mean {meant}\? .*none, shot_noise, .*; or cifar10_c/ with gaussian_noise"
    with pytest.raises(ValueError, match=told):
        corrupt(pictures(1), word, seed=0)
    file = tmp_path / "mine.toml"
    file.write_text(SCENARIO.format(word))
    with pytest.raises(ScenarioError, match=rf"line 4, \[segment 1\], key 'corruption': There is {told}"):
        load_scenario(file)


def test_every_name_may_stand_in_a_scenario(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n' + "".join(f'[[segment]]\nrecords = 10\ncorruption = "{name}"\n' for name in catalogue("all")))
    assert [segment.kind for segment in load_scenario(file).segment] == list(catalogue("all"))


SHAPES = [(2, 32, 32, 3), (2, 28, 28), (1, 20, 36), (2, 33, 17, 3), (0, 32, 32), (0, 32, 32, 3)]


@pytest.mark.parametrize("name", OTHERS)
def test_any_height_and_width_comes_back_as_it_went_in(name):
    for shape in SHAPES:
        one, colour = OTHERS[name], len(shape) == 4
        images = pictures(*shape[:3], colour=colour).copy() if shape[0] else np.zeros(shape, np.uint8)
        before = images.copy()
        if (colour and not one.colour) or (not colour and not one.grey):
            with pytest.raises(ValueError, match=r"is defined for (grey|colour) images"):
                corrupt(images, name, seed=3)
        elif name in TURNS and shape[1] != shape[2]:
            with pytest.raises(ValueError, match="needs square images"):
                corrupt(images, name, seed=3)
        else:
            result = corrupt(images, name, seed=3)
            assert result.shape == shape and result.dtype == np.uint8
        assert np.array_equal(images, before), "the images handed in were changed"


@pytest.mark.parametrize("name", [name for name, one in OTHERS.items() if one.colour and one.grey])
def test_grey_images_in_colour_look_as_grey_ones(name):
    grey = pictures(4, colour=False)
    result = corrupt(np.repeat(grey[..., None], 3, axis=3), name, seed=3).astype(int)
    if "noise" in name:  # noise is drawn for every channel
        return
    if name in {"cifar10_c/frost", "cifar10_c/spatter"}:  # ice, water and mud have colours; grey images get their luminance
        result = result @ [[0.299], [0.587], [0.114]]
    # JPEG stores luminance for colour images in another way than grey; and what is cut to whole levels twice may lose one each time.
    assert np.abs(result[..., 0] - corrupt(grey, name, seed=3)).max() <= 2


@pytest.mark.parametrize("name", OTHERS)
def test_the_same_seed_gives_the_same_images_and_another_seed_others(name):
    images = fitting(name, 8)
    first = corrupt(images, name, seed=5)
    assert np.array_equal(first, corrupt(images, name, seed=5))
    assert np.array_equal(first, corrupt(images, name, seed=6)) != OTHERS[name].random


@pytest.mark.parametrize("name", [name for name, one in OTHERS.items() if one.random])
def test_each_image_gets_its_own_draw(name):
    assert len(np.unique(corrupt(np.repeat(fitting(name, 1), 20, axis=0), name, seed=0), axis=0)) > 1


@pytest.mark.parametrize("name", [name for name in OTHERS if "shot_noise" not in name])  # how much a Poisson draw takes depends on its mean
def test_images_of_one_batch_do_not_bleed_into_each_other(name):
    images = fitting(name, 6)
    others = images.copy()
    others[3:] = 255 - others[3:]
    assert np.array_equal(corrupt(images, name, seed=2)[:3], corrupt(others, name, seed=2)[:3])


@pytest.mark.parametrize("name", OTHERS)
def test_without_a_severity_the_published_one_is_used(name):
    assert not name.startswith("cifar10_c") or OTHERS[name].published == 5
    images = fitting(name, 3)
    assert np.array_equal(corrupt(images, name, seed=0), corrupt(images, name, OTHERS[name].published, seed=0))


AS_IN_MNIST_C = ("shot_noise", "impulse_noise", "motion_blur", "shear", "scale", "rotate", "brightness")
UNEVEN = {  # severities that are published so that harm grows along them; of the others, none has to
    "fashion_mnist_c/glass_blur": (1, 3, 5),  # as MNIST-C's: severity 2 has one round, 3 has three and 4 has two
    "fashion_mnist_c/saturate": (3, 4, 5),  # 1 and 2 darken, and darken more
    "cifar10_c/glass_blur": (3, 5),  # 1 to 3 have one round and 4 and 5 two, with a small and a large blur
    "cifar10_c/frost": (1, 2, 5),  # 4 keeps less of the picture than 3 and adds as much ice, so brightness evens out
    "cifar10_c/elastic_transform": (),  # the pull gets weaker while the dents get finer
    "cifar10_c/motion_blur": (1, 2, 3, 5),  # from 3 to 4 only the smear's tail, which weighs next to nothing, gets longer
    "cifar10_c/spatter": (1, 2, 3),  # water up to here, then mud
    "cifar10_c/saturate": (3, 4, 5),  # 1 and 2 fade, and fade more
}


def test_seven_of_fashion_mnist_c_are_those_of_mnist_c():
    """So how they grow with severity is tested there."""
    for name in AS_IN_MNIST_C:
        theirs, ours = catalogue()[name], OTHERS[f"fashion_mnist_c/{name}"]
        assert (theirs.rule, theirs.parameters, theirs.published) == (ours.rule, ours.parameters, ours.published)


OWN = [name for name, one in OTHERS.items() if len(one.parameters) > 1 and name.removeprefix("fashion_mnist_c/") not in AS_IN_MNIST_C]


@pytest.mark.parametrize("name", OWN)
def test_a_higher_severity_changes_images_more(name):
    images = fitting(name, 30)
    severities = UNEVEN.get(name, (1, 2, 3, 4, 5))
    harm = [np.abs(corrupt(images, name, severity, seed=4).astype(int) - images).mean() for severity in severities]
    assert harm == sorted(set(harm))
