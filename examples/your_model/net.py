"""The network of somebody who has never heard of scanflow-agents."""

from torch import nn


def build(classes: int = 10) -> nn.Module:
    """A small convolutional network for colour images of 32x32 pixels."""
    blocks: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 64)):
        blocks += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(64 * 16, 64), nn.ReLU(), nn.Linear(64, classes))
