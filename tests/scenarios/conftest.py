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
def clean(data_folder: Path):
    """The first 4000 MNIST test images, in order: what the reference files were made from."""
    return load("mnist", "test", data_folder).images[:4000]


@pytest.fixture
def noise_images():
    """Eight grey images 20 high and 36 wide of smooth random grey, black at the left."""
    images = np.random.default_rng(0).integers(0, 256, (8, 20, 36), np.uint8)
    images[:, :, :12] = 0
    return images
