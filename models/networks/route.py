"""A route in torch: what a remedy made, and the gate that sends images to it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.blend import Blend, part
from models.networks.any_classifier import AnyClassifier, Answer
from models.networks.filter import Filter


class RouteModules(NamedTuple):
    """The frozen modules of one route; `models.pipeline.Route` is the same on disk."""

    filter: Filter | None = None
    adapted: AnyClassifier | None = None
    gate: nn.Module | None = None
    gate_threshold: float | None = None
    gate_even: float | None = None
    drift: str | None = None
    """The known drift of the reference that this route serves, such as "drift0"."""

    def part(self, early: Tensor, latent: Tensor) -> Tensor:
        """Return the part of this route in the answers, float32 [n], by the classifier's features of the raw images [n, e] and [n, d]."""
        if self.gate is None:
            return torch.ones(len(early))
        score: Tensor = self.gate(early, latent)
        if self.gate_even is None:
            return (score > (self.gate_threshold or 0.0)).float()
        return torch.tensor(part(score.numpy(), self.gate_even))

    def answer(self, classifier: AnyClassifier, images: Tensor) -> Answer:
        """Return what this route says about images that take it, float32 [n, c, h, w]."""
        shown = images if self.filter is None else self.filter(images)
        answer: Answer = (self.adapted or classifier)(shown)
        return answer


@torch.no_grad()
def routed(classifier: AnyClassifier, routes: tuple[RouteModules, ...], images: Tensor) -> Tensor:
    """Return the logits [n, k] of a pipeline with these routes, oldest first; see `models.blend`.

    >>> from models.networks.classifier import Classifier
    >>> images = torch.rand(4, 1, 28, 28)
    >>> first, second = Classifier().eval(), Classifier().eval()
    >>> probability = routed(first, (RouteModules(adapted=second),), images).softmax(1)
    >>> bool(probability.allclose(second(images).logits.softmax(1), atol=1e-5))
    True
    """
    raw = classifier(images)
    blend = Blend(*raw.logits.shape)
    for route in reversed(routes):
        parts = route.part(raw.early, raw.latent).numpy()
        if (parts > 0).any():
            said = route.answer(classifier, images[torch.tensor(parts > 0)])
            blend.add(parts, said.logits.numpy(), said.latent.numpy())
    return torch.tensor(blend.rest(raw.logits.numpy(), raw.latent.numpy())[0])
