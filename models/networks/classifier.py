"""The supervised classifier: three convolutions with batch norm, and two views of what it saw.

`early` describes the picture as it came in (moments of the first block's activations, a 4x4 thumbnail, position and extent of the
mass); a corruption shows here even where the last layer no longer notices it. `latent` is the layer before the last and describes
what the classifier made of the picture. Detectors and gates look at both.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

WIDTHS = (32, 64, 64)
LATENT = 64
THUMBNAIL = 4


class Answer(NamedTuple):
    """What a classifier says about n images."""

    logits: Tensor
    """float32 [n, classes]"""
    early: Tensor
    """float32 [n, e]: the picture as it came in"""
    latent: Tensor
    """float32 [n, 64]: the layer before the last"""


class Classifier(nn.Module):
    """Three blocks of convolution, batch norm, ReLU and pooling, then a 64-dimensional latent and a linear read-out.

    Parameters
    ----------
    channels
        1 for grey, 3 for colour.
    classes
        Number of classes.
    size
        Height and width of the (square) images in pixels; at least 8.

    >>> classifier = Classifier(channels=1, classes=10, size=28).eval()
    >>> [list(part.shape) for part in classifier(torch.zeros(5, 1, 28, 28))]
    [[5, 10], [5, 86], [5, 64]]
    """

    def __init__(self, channels: int = 1, classes: int = 10, size: int = 28) -> None:
        super().__init__()
        if size < 8:
            message = f"images of {size}x{size} are too small: three poolings need at least 8x8 pixels; enlarge the images first"
            raise ValueError(message)
        self.channels, self.classes, self.size = channels, classes, size
        widths = (channels, *WIDTHS)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(widths, WIDTHS, strict=False)
        )
        self.to_latent = nn.Linear(WIDTHS[-1] * (size // 8) ** 2, LATENT)
        self.to_logits = nn.Linear(LATENT, classes)
        line = torch.linspace(-1, 1, size)
        self.register_buffer("column", line.view(1, 1, size), persistent=False)
        self.register_buffer("row", line.view(1, size, 1), persistent=False)
        self.column: Tensor
        self.row: Tensor

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits [n, classes], latent [n, 64]) of `images` [n, c, h, w]: `forward` without the cost of `early`."""
        x = images
        for block in self.blocks:
            x = nn.functional.max_pool2d(block(x), 2)
        latent = self.to_latent(x.flatten(1))
        return self.to_logits(latent.relu()), latent

    def forward(self, images: Tensor) -> Answer:
        """Return logits, early and latent features of `images`, float32 [n, c, h, w] in [0, 1]."""
        x = self.blocks[0](images)
        early = torch.cat([x.mean((2, 3)), _deviation(x), self._picture(images)], 1)
        x = nn.functional.max_pool2d(x, 2)
        for block in list(self.blocks)[1:]:
            x = nn.functional.max_pool2d(block(x), 2)
        latent = self.to_latent(x.flatten(1))
        return Answer(self.to_logits(latent.relu()), early, latent)

    def _picture(self, images: Tensor) -> Tensor:
        """Return a grey 4x4 thumbnail and the mass, centre and spread of each image: float32 [n, 22]."""
        grey = images.mean(1)
        cell = self.size // THUMBNAIL
        thumbnail = nn.functional.avg_pool2d(grey.unsqueeze(1), cell)[:, :, :THUMBNAIL, :THUMBNAIL].flatten(1)
        mass = grey.mean((1, 2)) + 1e-3  # the small constant keeps empty images finite
        x, y = (grey * self.column).mean((1, 2)) / mass, (grey * self.row).mean((1, 2)) / mass
        across, down = self.column - x.view(-1, 1, 1), self.row - y.view(-1, 1, 1)
        wide = (grey * across * across).mean((1, 2)) / mass
        tall = (grey * down * down).mean((1, 2)) / mass
        tilt = (grey * across * down).mean((1, 2)) / mass
        return torch.cat([thumbnail, torch.stack([mass, x, y, wide, tall, tilt], 1)], 1)


def _deviation(x: Tensor) -> Tensor:
    """Return the standard deviation over the pixels of each channel; written out because `std` does not export everywhere."""
    centred = x - x.mean((2, 3), keepdim=True)
    return ((centred * centred).mean((2, 3)) + 1e-6).sqrt()


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write weights and shape to one safetensors file."""
    shape = {"channels": str(classifier.channels), "classes": str(classifier.classes), "size": str(classifier.size)}
    save_file({name: value.contiguous() for name, value in classifier.state_dict().items()}, path, metadata=shape)


def load_classifier(path: Path) -> Classifier:
    """Read what `save_classifier` wrote; the classifier is in eval mode and frozen.

    Raises:
        ValueError: the file is not a classifier of this project.
    """
    with safe_open(path, framework="pt") as file:
        shape = file.metadata() or {}
        if not {"channels", "classes", "size"} <= shape.keys():
            message = f"{path} holds no classifier (its header lacks channels, classes, size); write it with save_classifier"
            raise ValueError(message)
        classifier = Classifier(int(shape["channels"]), int(shape["classes"]), int(shape["size"]))
        classifier.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - safe_open is no mapping
    return classifier.to(memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False)
