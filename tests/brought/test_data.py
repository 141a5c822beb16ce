"""Clean data in the forms that users have it in, read once, checked, and kept as splits."""

import numpy as np
import pytest
from PIL import Image

from scenarios.brought import Brought, gather
from scenarios.datasets import load
from scenarios.errors import DataError, ScenarioError
from scenarios.scenario import Segment
from scenarios.source import Source
from tests.brought.conftest import squares

SHAPE, CLASSES = (3, 12, 12), ("a", "b", "c", "d")


def silent(_text):
    return None


@pytest.fixture
def arrays(tmp_path):
    for name, count, seed in (("train", 210, 0), ("held_out", 120, 1)):
        images, labels = squares(count, seed)
        np.savez(tmp_path / f"{name}.npz", images=images, labels=labels)
    return Brought(train="train.npz", held_out="held_out.npz")


def test_arrays_become_three_splits_of_which_the_model_has_seen_the_first(arrays, tmp_path):
    said = []
    assert gather(arrays, tmp_path, tmp_path / "data" / "mine", SHAPE, CLASSES, said.append) == CLASSES
    splits = {split: load("mine", split, tmp_path / "data") for split in ("train", "calibration", "test")}
    assert [len(one) for one in splits.values()] == [210, 60, 60]
    images, labels = squares(210, 0)
    assert np.array_equal(splits["train"].images, images) and np.array_equal(splits["train"].labels, labels)
    together = {image.tobytes() for split in ("calibration", "test") for image in splits[split].images}
    assert together == {image.tobytes() for image in squares(120, 1)[0]}
    assert said == ["read 210 images that the model learned from and 120 that it never saw, of 4 classes, at 12x12 pixels in colour"]


def test_images_are_resized_to_what_the_model_takes(arrays, tmp_path):
    gather(arrays, tmp_path, tmp_path / "data" / "mine", (1, 16, 20), CLASSES, silent)
    assert load("mine", "test", tmp_path / "data").images.shape == (60, 16, 20)


def test_a_folder_for_each_class_names_the_classes_in_their_order(tmp_path):
    for part, count in (("train", 110), ("held-out", 60)):
        for value, name in enumerate(("cat", "dog")):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(np.full((20, 20, 3), 100 * value + 10, np.uint8)).save(tmp_path / part / name / f"{number}.png")
    data = Brought(train="train", held_out="held-out")
    assert gather(data, tmp_path, tmp_path / "data" / "pets", SHAPE, None, silent) == ("cat", "dog")
    kept = load("pets", "train", tmp_path / "data")
    assert kept.images.shape == (220, 12, 12, 3)
    assert set(zip(kept.images[:, 0, 0, 0].tolist(), kept.labels.tolist(), strict=True)) == {(10, 0), (110, 1)}
    # The model's outputs may stand in another order than the alphabet's.
    gather(data, tmp_path, tmp_path / "data" / "turned", SHAPE, ("dog", "cat"), silent)
    turned = load("turned", "train", tmp_path / "data")
    assert set(zip(turned.images[:, 0, 0, 0].tolist(), turned.labels.tolist(), strict=True)) == {(10, 1), (110, 0)}


def test_arrays_that_name_their_classes_are_taken_by_name_and_other_names_are_refused(tmp_path):
    for name, count, order in (("train", 210, "abcd"), ("held_out", 120, "dcba")):
        images, labels = squares(count, 0)
        np.savez(tmp_path / f"{name}.npz", images=images, labels=labels if order == "abcd" else 3 - labels, classes=list(order))
    data = Brought(train="train.npz", held_out="held_out.npz", drifted="held_out.npz")
    gather(data, tmp_path, tmp_path / "data" / "mine", SHAPE, ("b", "a", "c", "d"), silent)
    wanted = np.array([1, 0, 2, 3])[squares(210, 0)[1]]
    assert np.array_equal(load("mine", "train", tmp_path / "data").labels, wanted)
    wanted = {image.tobytes(): label for image, label in zip(squares(120, 0)[0], np.array([1, 0, 2, 3])[squares(120, 0)[1]], strict=True)}
    test = load("mine", "test", tmp_path / "data")
    assert [wanted[image.tobytes()] for image in test.images] == test.labels.tolist()
    with pytest.raises(DataError, match=r"train names the classes .* the deployment file has .* expected the same names"):
        gather(data, tmp_path, tmp_path / "data" / "other", SHAPE, ("a", "b", "c", "e"), silent)


def test_what_was_read_is_not_read_again_and_other_data_need_another_folder(arrays, tmp_path):
    into = tmp_path / "data" / "mine"
    gather(arrays, tmp_path, into, SHAPE, CLASSES, silent)
    (tmp_path / "train.npz").unlink()
    assert gather(arrays, tmp_path, into, SHAPE, CLASSES, silent) == CLASSES
    with pytest.raises(DataError, match="was read from other data, or for another input; give a new folder with --state"):
        gather(arrays, tmp_path, into, (3, 16, 16), CLASSES, silent)


def test_of_many_images_so_many_are_drawn(arrays, tmp_path):
    gather(Brought(train="train.npz", held_out="held_out.npz", most=205), tmp_path, tmp_path / "data" / "mine", SHAPE, CLASSES, silent)
    assert len(load("mine", "train", tmp_path / "data")) == 205


@pytest.mark.parametrize(
    ("data", "classes", "told"),
    [
        (dict(train="train.npz"), CLASSES, "needs train .* and held_out .*, or torchvision"),
        (dict(train="train.npz", held_out="nowhere"), CLASSES, "no folder of images and no .npz file at .*nowhere"),
        (dict(train="train.npz", held_out="held_out.npz"), None, "does not name its classes; write them down"),
        (dict(train="train.npz", held_out="held_out.npz"), ("a", "b"), "labels from 0 to 3; expected 0 to 1, for 2 classes"),
        (dict(train="train.npz", held_out="few.npz"), CLASSES, "held_out has 20 images; at least 100 are needed"),
        (dict(train="floats.npz", held_out="held_out.npz"), CLASSES, r"images are float64 .* expected uint8 .*; multiply by 255 and round"),
        (dict(train="unlabelled.npz", held_out="held_out.npz"), CLASSES, r"has the arrays \['images'\]; expected images, .* and labels"),
        (dict(train="short.npz", held_out="held_out.npz"), CLASSES, "labels are int64 .* expected a whole number for each of 20 images"),
        (dict(train="torn.npz", held_out="held_out.npz"), CLASSES, "is no npz file of plain arrays"),
        (dict(torchvision="CIFAR10", train="train.npz"), CLASSES, "torchvision beside train or held_out"),
        (dict(torchvision="Cifar"), CLASSES, "torchvision has no data set 'Cifar'"),
        (dict(torchvision="CIFAR10", root="nowhere"), CLASSES, r"cannot be read from .*nowhere \(there is no such folder\); download it first"),
        (dict(torchvision="CelebA", root="."), CLASSES, "torchvision's CelebA cannot be read"),
    ],
)
def test_data_that_cannot_be_used_are_refused_with_what_was_expected(arrays, tmp_path, data, classes, told):
    images, labels = squares(20, 2)
    np.savez(tmp_path / "few.npz", images=images, labels=labels)
    np.savez(tmp_path / "floats.npz", images=images / 255, labels=labels)
    np.savez(tmp_path / "unlabelled.npz", images=images)
    np.savez(tmp_path / "short.npz", images=images, labels=labels[:3])
    (tmp_path / "torn.npz").write_bytes(b"PK no more")
    with pytest.raises(DataError, match=told):
        gather(Brought(**data), tmp_path, tmp_path / "data" / "mine", SHAPE, classes, silent)


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "train" / "cat" / "torn.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"torn.png is no image that can be read"):
        gather(Brought(train="train", held_out="train"), tmp_path, tmp_path / "data" / "pets", SHAPE, None, silent)


def test_drifted_data_are_what_scenarios_call_drifted(arrays, tmp_path):
    np.savez(tmp_path / "drifted.npz", images=squares(40, 7)[0] // 2, labels=squares(40, 7)[1])
    data = Brought(train="train.npz", held_out="held_out.npz", drifted="drifted.npz")
    gather(data, tmp_path, tmp_path / "data" / "mine", SHAPE, CLASSES, silent)
    source = Source("mine", tmp_path / "data")
    segment = Segment(records=10, corruption="drifted")
    source.check(segment)
    images, _, changed = source.draw(segment, 0, 10, np.random.default_rng(0))
    known = {image.tobytes() for image in squares(40, 7)[0][0::2] // 2}
    assert changed.all() and {image.tobytes() for image in images} <= known


@pytest.mark.parametrize(
    ("segment", "told"),
    [
        (Segment(records=1, corruption="drifted"), "mine has no drifted data; name some in the deployment file"),
        (Segment(records=1, unknown_class="fashion-mnist"), "only letters can be their unknown class"),
    ],
)
def test_a_scenario_that_is_not_for_these_data_is_refused_at_once(arrays, tmp_path, segment, told):
    gather(arrays, tmp_path, tmp_path / "data" / "mine", SHAPE, CLASSES, silent)
    with pytest.raises(ScenarioError, match=told):
        Source("mine", tmp_path / "data").check(segment)
