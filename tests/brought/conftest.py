"""Small networks and small data, as a user would bring them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, channels=3, classes=4):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.hidden = nn.Linear(32, 12)
        self.out = nn.Linear(12, classes)

    def forward(self, images):
        return self.out(torch.relu(self.hidden(self.features(images))))


def build(**arguments):
    return Net(**arguments)


def nothing():
    return 3
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the code of a network in it."""
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return tmp_path


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 12), nn.ReLU(), nn.Linear(12, 4))


def squares(count: int, seed: int, side: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Colour images with a bright square in one of four corners, which is the class: uint8 [n, side, side, 3], int64 [n]."""
    draw = np.random.default_rng(seed)
    images, labels = draw.integers(20, 90, (count, side, side, 3), np.uint8), draw.integers(0, 4, count)
    half = side // 2
    for image, label in zip(images, labels, strict=True):
        down, across = divmod(int(label), 2)
        image[down * half + 1 : down * half + half - 1, across * half + 1 : across * half + half - 1] += 100
    return images, labels.astype(np.int64)
