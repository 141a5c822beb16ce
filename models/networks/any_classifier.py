"""What the rest of the system needs of a classifier, whatever it is made of: answers, two views of the picture, a way to disk."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

from torch import Tensor, nn


class Answer(NamedTuple):
    """What a classifier says about n images."""

    logits: Tensor
    """float32 [n, classes]"""
    early: Tensor
    """float32 [n, e]: the picture as it came in"""
    latent: Tensor
    """float32 [n, d]: what the classifier made of it, read before its last layer"""


class AnyClassifier(nn.Module):
    """A classifier under supervision.

    `models.networks.classifier.Classifier` is the project's own; `models.networks.brought.Brought` speaks for a torch module that a user
    brought, `models.networks.onnx_classifier.OnnxClassifier` for an ONNX file.

    Attributes
    ----------
    shape : channels, height and width of its images.
    classes : number of classes.
    features : names of what it takes, where that is rows of a table, in place of images; a row of f features is an image of shape (f, 1, 1).
    differentiable : whether gradients pass through it, and its weights may be trained.
    """

    differentiable: ClassVar[bool] = True
    features: tuple[str, ...] | None = None
    shape: tuple[int, int, int]
    classes: int

    @abstractmethod
    def answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits [n, classes], latent [n, d]) of `images`, float32 [n, c, h, w] in [0, 1]: `forward` without `early`."""

    @abstractmethod
    def forward(self, images: Tensor) -> Answer:
        """Return logits, early and latent features of `images`, float32 [n, c, h, w] in [0, 1]."""

    @abstractmethod
    def read_out(self) -> list[nn.Parameter]:
        """Return the parameters of the last layers, those after the features. Raises ValueError where there are none to be trained."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write all that is needed to go on training to one safetensors file."""
