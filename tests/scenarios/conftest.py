import functools
from pathlib import Path

import numpy as np
import pytest

from scenarios.datasets import load, shared_data


@pytest.fixture(scope="session")
def data_folder():
    """The original data files beside the checkout."""
    folder = shared_data()
    if folder is None:
        pytest.skip("no folder of original data files: set SCANFLOW_SHARED_DATA to one that holds MNIST/raw and mnist_c")
    return folder


@pytest.fixture(scope="session")
def original(data_folder: Path):
    """A function: a split of a data set from the original files, read once for all tests; nobody can write to it."""
    return functools.cache(lambda name, split: load(name, split, data_folder))


@pytest.fixture(scope="session")
def clean(original):
    """The first 4000 MNIST test images, in order: what the reference files were made from."""
    return original("mnist", "test").images[:4000]


@pytest.fixture
def noise_images():
    """Eight grey images 20 high and 36 wide of smooth random grey, black at the left."""
    images = np.random.default_rng(0).integers(0, 256, (8, 20, 36), np.uint8)
    images[:, :, :12] = 0
    return images
