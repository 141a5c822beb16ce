import numpy as np
import pytest

from scenarios.corruptions.published import load_cifar10_c, load_mnist_c, load_reference
from scenarios.datasets import DataError


def test_the_published_mnist_c_layout_is_read(tmp_path):
    folder = tmp_path / "fog"
    folder.mkdir()
    np.save(folder / "test_images.npy", np.full((10, 28, 28, 1), 7, np.uint8))
    np.save(folder / "test_labels.npy", np.arange(10))
    images, labels = load_mnist_c(tmp_path, "fog")
    assert images.shape == (10, 28, 28) and images.dtype == np.uint8 and (images == 7).all()
    assert labels.dtype == np.int64 and labels.tolist() == list(range(10))


def test_one_severity_is_cut_from_the_published_cifar_10_c_layout(tmp_path):
    images = np.zeros((50_000, 32, 32, 3), np.uint8)
    images[20_000:30_000] = 3
    np.save(tmp_path / "fog.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(50_000) // 10_000)
    images, labels = load_cifar10_c(tmp_path, "fog", 3)
    assert images.shape == (10_000, 32, 32, 3) and (images == 3).all() and (labels == 2).all()


def test_a_cifar_10_c_file_of_another_length_is_refused(tmp_path):
    np.save(tmp_path / "fog.npy", np.zeros((10, 32, 32, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.zeros(10))
    with pytest.raises(DataError, match=r"fog.npy holds 10 images .* 50,000 of each were expected"):
        load_cifar10_c(tmp_path, "fog", 1)
    with pytest.raises(ValueError, match="severities 1 to 5; got 0"):
        load_cifar10_c(tmp_path, "fog", 0)


def test_a_missing_file_is_named_with_what_is_there_instead(tmp_path):
    (tmp_path / "reference_fog.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"reference_frost.npz is missing: .* holds reference_fog.npz\."):
        load_reference(tmp_path, "frost")
    with pytest.raises(DataError, match=r"test_images.npy is missing: there is no folder"):
        load_mnist_c(tmp_path, "fog")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "reference_fog.npz").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(DataError, match=r"reference_fog.npz is damaged"):
        load_reference(tmp_path, "fog")
    folder = tmp_path / "fog"
    folder.mkdir()
    np.save(folder / "test_images.npy", np.zeros((10, 28, 28)))
    np.save(folder / "test_labels.npy", np.zeros(10))
    with pytest.raises(DataError, match=r"holds float64 \[10, 28, 28\], and uint8 \[10, 28, 28\] was expected"):
        load_mnist_c(tmp_path, "fog")


def test_an_array_of_objects_is_refused_and_not_unpickled(tmp_path):
    np.savez(tmp_path / "reference_fog.npz", images=np.array([{}], object), labels=np.zeros(1))
    with pytest.raises(DataError, match="damaged"):
        load_reference(tmp_path, "fog")


def test_a_reference_file_is_read(data_folder):
    images, labels = load_reference(data_folder / "mnist_c", "fog")
    assert images.shape == (4000, 28, 28) and labels.dtype == np.int64
