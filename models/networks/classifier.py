"""The supervised classifier: convolutions with batch norm, plain or residual, and two views of what it saw.

`early` describes the picture as it came in (moments of the first block's activations, a 4x4 thumbnail, position and extent of the
mass); a corruption shows here even where the last layer no longer notices it. `latent` is the layer before the last and describes
what the classifier made of the picture. Detectors and gates look at both.
"""

from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from torch import Tensor, nn

from models.networks import residual
from models.networks.weights import save_weights, shape_of
from models.networks.any_classifier import AnyClassifier, Answer
from models.networks.picture import deviation, place, thumbnail

__all__ = ["Answer", "Classifier", "Trunk", "load_classifier", "save_classifier"]

WIDTHS = (32, 64, 64)
LATENT = 64
Trunk = Literal["plain", "residual"]


class Classifier(AnyClassifier):
    """A trunk of convolutions, then a 64-dimensional latent and a linear read-out.

    The plain trunk, for small grey images, is three blocks of convolution, batch norm, ReLU and pooling. The residual one, for colour
    photographs, is in `models.networks.residual`. Both are lists of blocks of which the first is a convolution, batch norm and ReLU.

    Parameters
    ----------
    channels
        1 for grey, 3 for colour.
    classes
        Number of classes.
    size
        Height and width of the (square) images in pixels; at least 8, and even where the trunk is residual.
    trunk
        "plain" or "residual".

    >>> classifier = Classifier(channels=1, classes=10, size=28).eval()
    >>> [list(part.shape) for part in classifier(torch.zeros(5, 1, 28, 28))]
    [[5, 10], [5, 86], [5, 64]]
    >>> classifier = Classifier(channels=3, classes=10, size=32, trunk="residual").eval()
    >>> [list(part.shape) for part in classifier(torch.zeros(5, 3, 32, 32))]
    [[5, 10], [5, 118], [5, 64]]
    """

    def __init__(self, channels: int = 1, classes: int = 10, size: int = 28, trunk: Trunk = "plain") -> None:
        super().__init__()
        if size < 8:
            message = f"images of {size}x{size} are too small: three poolings need at least 8x8 pixels; enlarge the images first"
            raise ValueError(message)
        if trunk == "residual" and size % 2:
            message = f"images of {size}x{size} do not fit: the residual trunk looks at cells of 2x2 pixels, so the size must be even; pad them"
            raise ValueError(message)
        self.channels, self.classes, self.size, self.trunk = channels, classes, size, trunk
        self.shape = channels, size, size
        self.blocks = nn.ModuleList(residual.blocks(channels) if trunk == "residual" else _plain(channels))
        self.to_latent = nn.Linear(residual.WIDTHS[-1] if trunk == "residual" else WIDTHS[-1] * (size // 8) ** 2, LATENT)
        self.to_logits = nn.Linear(LATENT, classes)
        line = torch.linspace(-1, 1, size)
        self.register_buffer("column", line.view(1, 1, size), persistent=False)
        self.register_buffer("row", line.view(1, size, 1), persistent=False)
        self.column: Tensor
        self.row: Tensor

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits [n, classes], latent [n, 64]) of `images` [n, c, h, w]: `forward` without the cost of `early`."""
        return self._read(self.blocks[0](images))

    def forward(self, images: Tensor) -> Answer:
        """Return logits, early and latent features of `images`, float32 [n, c, h, w] in [0, 1]."""
        x = self.blocks[0](images)
        early = torch.cat([x.mean((2, 3)), deviation(x), self._picture(images)], 1)
        logits, latent = self._read(x)
        return Answer(logits, early, latent)

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and latent from what the first block made of images."""
        if self.trunk == "residual":
            for block in list(self.blocks)[1:]:
                x = block(x)
            x = x.amax((2, 3))
        else:
            x = nn.functional.max_pool2d(x, 2)
            for block in list(self.blocks)[1:]:
                x = nn.functional.max_pool2d(block(x), 2)
        latent = self.to_latent(x.flatten(1))
        return self.to_logits(latent.relu()), latent

    def _picture(self, images: Tensor) -> Tensor:
        """Return a grey 4x4 thumbnail and the mass, centre and spread of each image: float32 [n, 22]."""
        grey = images.mean(1)
        return torch.cat([thumbnail(grey, self.size, self.size), place(grey, self.column, self.row)], 1)

    def read_out(self) -> list[nn.Parameter]:
        return [*self.to_latent.parameters(), *self.to_logits.parameters()]

    def save(self, path: Path) -> None:
        save_classifier(self, path)


def _plain(channels: int) -> list[nn.Module]:
    """Return the blocks of the plain trunk; pooling follows each."""
    pairs = zip((channels, *WIDTHS), WIDTHS, strict=False)
    return [nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()) for a, b in pairs]


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write weights and shape to one safetensors file."""
    shape = {name: str(getattr(classifier, name)) for name in ("channels", "classes", "size", "trunk")}
    save_weights(classifier, path, shape)


def load_classifier(path: Path) -> Classifier:
    """Read what `save_classifier` wrote; the classifier is in eval mode and frozen.

    Raises:
        ValueError: the file is not a classifier of this project.
    """
    with safe_open(path, framework="pt") as file:
        shape = shape_of(file.metadata())
        if not {"channels", "classes", "size"} <= shape.keys():
            message = f"{path} holds no classifier (its header lacks channels, classes, size); write it with save_classifier"
            raise ValueError(message)
        trunk: Trunk = "residual" if shape.get("trunk") == "residual" else "plain"  # files from before there were two trunks do not say
        classifier = Classifier(int(shape["channels"]), int(shape["classes"]), int(shape["size"]), trunk)
        classifier.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - safe_open is no mapping
    return classifier.to(memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False)
