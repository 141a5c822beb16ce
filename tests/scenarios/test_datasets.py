import gzip
import hashlib
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from scenarios import idx
from scenarios.datasets import DATASETS, DataError, data_root, fetch, load, to_float


def test_the_digits_need_no_folder_and_split_into_1000_297_and_500():
    parts = [load("digits", split, root=None) for split in ("train", "calibration", "test")]
    assert [len(part) for part in parts] == [1000, 297, 500]
    for part in parts:
        assert part.images.shape[1:] == (28, 28) and part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64 and set(part.labels.tolist()) == set(range(10))
        assert part.classes == tuple("0123456789")


def test_the_digits_are_split_the_same_way_for_ever():
    labels = np.concatenate([load("digits", split).labels for split in ("train", "calibration", "test")])
    assert hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest() == "8f61c6ae4453aea8033f7988709f515385c78535e9045787ba7303d2271e5cd1"


def test_no_digit_is_in_two_splits():
    rows = [{image.tobytes() for image in load("digits", split).images} for split in ("train", "calibration", "test")]
    assert not rows[0] & rows[1] and not rows[0] & rows[2] and not rows[1] & rows[2]


def test_images_of_a_data_set_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        load("digits", "test").images[0] = 0


def test_an_unknown_data_set_or_split_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match=r"no data set 'minst'. Did you mean 'mnist'\? Use one of: digits, mnist, fashion-mnist, cifar10"):
        load("minst", "test")
    with pytest.raises(DataError, match=r"no split 'valid'.*train, calibration, test"):
        load("digits", "valid")


def test_the_data_folder_comes_from_the_environment_or_is_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SCANFLOW_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("SCANFLOW_DATA")
    assert data_root().parts[-2:] == (".cache", "scanflow")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_mnist_family_is_read_from_gz_files_in_a_folder_that_is_not_written_to(name, data_folder, original):
    before = sorted(path.name for path in (data_folder / "MNIST" / "raw").iterdir())
    calibration, test = original(name, "calibration"), load(name, "test", data_folder)
    assert calibration.images.shape == test.images.shape == (10_000, 28, 28)
    assert np.bincount(test.labels).tolist() == ([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009] if name == "mnist" else [1000] * 10)
    assert sorted(path.name for path in (data_folder / "MNIST" / "raw").iterdir()) == before


def test_calibration_images_are_no_training_images(original):
    train, calibration = original("mnist", "train"), original("mnist", "calibration")
    assert len(train) == 50_000
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in calibration.images}


def test_unpacked_idx_files_are_read_as_the_packed_ones(tmp_path, data_folder, original):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for kind in ("images-idx3", "labels-idx1"):
        packed = data_folder / "MNIST" / "raw" / f"t10k-{kind}-ubyte.gz"
        (raw / f"t10k-{kind}-ubyte").write_bytes(gzip.decompress(packed.read_bytes()))
    assert np.array_equal(load("mnist", "test", tmp_path).images, original("mnist", "test").images)


@pytest.fixture
def mnist_copy(tmp_path, data_folder):
    """A folder with a writable copy of MNIST's two test files."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copyfile(data_folder / "MNIST" / "raw" / f"t10k-{kind}-ubyte.gz", raw / f"t10k-{kind}-ubyte.gz")
    return tmp_path


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda good: gzip.compress(good[:-1], 1), r"holds 7840015 bytes unpacked, and 7840016 were expected"),
        (lambda good: gzip.compress(b"\0\0\x08\x01" + good[4:], 1), r"begins with 2049, and an idx file of images with 2051"),
        (lambda good: gzip.compress(good[:-1] + b"\x01", 1), r"its md5 is \w{32} unpacked, and the published one 2646ac64"),
        (lambda good: gzip.compress(good, 1)[:-100], r"cannot be read"),
        (lambda _: b"<html>not found</html>", r"cannot be read"),
    ],
    ids=["short", "wrong kind", "wrong pixel", "cut off", "a web page"],
)
def test_a_damaged_idx_file_is_named_with_its_fault_and_what_to_do(mnist_copy, damage, fault):
    path = mnist_copy / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(gzip.decompress(path.read_bytes())))
    with pytest.raises(DataError, match=rf"t10k-images-idx3-ubyte.gz is damaged: .*{fault}.*Delete it"):
        load("mnist", "test", mnist_copy)


def test_missing_files_that_cannot_be_downloaded_are_named_with_how_to_get_them(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(datasets=SimpleNamespace(MNIST=no_network)))
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz is missing, and .*no network.*SCANFLOW_DATA.*digits"):
        load("mnist", "test", tmp_path)


def test_missing_files_are_downloaded_once_by_torchvision(mnist_copy, tmp_path_factory, monkeypatch):
    calls = []

    def download(root, *, download):
        calls.append(download)
        shutil.copytree(mnist_copy / "MNIST", idx.MNIST.folder(empty).parent, dirs_exist_ok=True)

    empty = tmp_path_factory.mktemp("empty")
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(datasets=SimpleNamespace(MNIST=download)))
    assert len(load("mnist", "test", empty)) == len(load("mnist", "test", empty)) == 10_000
    assert calls == [True]


@pytest.fixture
def offline(monkeypatch):
    """torchvision where there is no network; what it was asked for is listed."""
    asked = []

    def no_network(name):
        def ask(*_, **__):
            asked.append(name)
            raise RuntimeError("Error downloading a.gz:\nTried https://a.example/a.gz, got:\n<urlopen error no route>\n")

        return ask

    sets = SimpleNamespace(**{name: no_network(name) for name in ("MNIST", "FashionMNIST", "CIFAR10")})
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(datasets=sets))
    return asked


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_what_is_missing_is_downloaded_before_it_is_needed_and_said_in_a_line(name, tmp_path, offline):
    said = []
    with pytest.raises(DataError) as refused:
        fetch(name, said.append, tmp_path)
    assert said == [f"downloading {name} into {tmp_path}"]
    sentence = str(refused.value)
    assert "is missing, and torchvision could not download it (<urlopen error no route>)" in sentence
    assert "\n" not in sentence and "Delete it" not in sentence and "digits needs no files" in sentence
    assert len(sentence.replace(str(tmp_path), "/home/somebody/.cache/scanflow")) <= 4 * 100


def test_what_is_there_is_not_downloaded_and_nothing_is_said(tmp_path, data_folder, offline):
    (tmp_path / "cifar10").mkdir()
    for name, root in (("digits", tmp_path), ("mnist", data_folder), ("fashion-mnist", data_folder), ("cifar10", tmp_path)):
        fetch(name, pytest.fail, root)
    assert offline == []


def test_a_single_missing_file_is_noticed_before_it_is_needed(mnist_copy, offline):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is missing"):
        fetch("mnist", lambda _text: None, mnist_copy)  # which has the test files


def test_a_damaged_cifar10_folder_is_to_be_deleted(tmp_path, offline):
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match=r"cifar-10-batches-py is damaged or incomplete .*Delete it"):
        load("cifar10", "test", tmp_path)


def test_an_unknown_data_set_is_not_looked_for():
    with pytest.raises(DataError, match=r"no data set 'cat'\. Use one of: digits"):
        fetch("cat", pytest.fail)


def write_cifar(folder, train=20_000, test=10_000):
    folder.mkdir()
    for name, count in (("train_first", train), ("test", test)):
        images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 32, 32, 3))
        np.savez_compressed(folder / f"{name}.npz", images=images, labels=(np.arange(count) % 10).astype(np.uint8))


def test_cifar10_npz_files_give_15000_5000_and_10000_images(tmp_path):
    write_cifar(tmp_path / "cifar10")
    train, calibration, test = (load("cifar10", split, tmp_path) for split in ("train", "calibration", "test"))
    assert train.images.shape == (15_000, 32, 32, 3)
    assert calibration.images[0, 0, 0, 0] == 15_000 % 256 and len(calibration) == 5000
    assert test.classes[3] == "cat" and test.labels.dtype == np.int64


def test_a_cifar10_folder_with_too_few_images_says_how_many_it_found(tmp_path):
    write_cifar(tmp_path / "cifar10", train=200)
    with pytest.raises(DataError, match=r"train\*.npz with at least 20000 images is missing \(train_first.npz holds 200 images\)"):
        load("cifar10", "train", tmp_path)


def test_a_damaged_cifar10_file_is_named(tmp_path):
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "test.npz").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(DataError, match=r"test.npz is damaged"):
        load("cifar10", "test", tmp_path)


@pytest.mark.slow
def test_a_damaged_torchvision_folder_of_cifar10_is_named(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match=r"cifar-10-batches-py is damaged or incomplete"):
        load("cifar10", "test", tmp_path)


def test_to_float_refuses_what_is_not_uint8_images():
    with pytest.raises(ValueError, match=r"Expected uint8 images .*; got float64 \[2, 28, 28\]"):
        to_float(np.zeros((2, 28, 28)))
    with pytest.raises(ValueError, match=r"got uint8 \[28, 28\]"):
        to_float(np.zeros((28, 28), np.uint8))


def test_to_float_puts_channels_first_and_255_at_one():
    images = np.zeros((1, 4, 5, 3), np.uint8)
    images[0, 1, 2] = (0, 51, 255)
    result = to_float(images)
    assert result.shape == (1, 3, 4, 5) and result.dtype == np.float32
    assert result[0, :, 1, 2].tolist() == [0, np.float32(0.2), 1]


def test_every_data_set_has_ten_classes():
    assert all(len(classes) == 10 for classes, _ in DATASETS.values())
