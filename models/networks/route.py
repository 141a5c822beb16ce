"""A route in torch: what a remedy made, and the gate that sends images to it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.networks.classifier import Answer, Classifier
from models.networks.filter import Filter


class RouteModules(NamedTuple):
    """The frozen modules of one route; `models.pipeline.Route` is the same on disk."""

    filter: Filter | None = None
    adapted: Classifier | None = None
    gate: nn.Module | None = None
    gate_threshold: float | None = None
    drift: str | None = None
    """The known drift of the reference that this route serves, such as "drift0"."""

    def takes(self, early: Tensor, latent: Tensor) -> Tensor:
        """Return which images this route asks for, bool [n], by the classifier's features of the raw images [n, e] and [n, d]."""
        if self.gate is None:
            return torch.ones(len(early), dtype=torch.bool)
        inside: Tensor = self.gate(early, latent) > self.gate_threshold
        return inside

    def answer(self, classifier: Classifier, images: Tensor) -> Answer:
        """Return what this route says about images that take it, float32 [n, c, h, w]."""
        shown = images if self.filter is None else self.filter(images)
        answer: Answer = (self.adapted or classifier)(shown)
        return answer


@torch.no_grad()
def routed(classifier: Classifier, routes: tuple[RouteModules, ...], images: Tensor) -> Tensor:
    """Return the logits [n, k] of a pipeline with these routes, oldest first: the newest that takes an image answers it.

    >>> images = torch.rand(4, 1, 28, 28)
    >>> first, second = Classifier().eval(), Classifier().eval()
    >>> bool(routed(first, (RouteModules(adapted=second),), images).equal(second(images).logits))
    True
    """
    raw = classifier(images)
    logits = raw.logits.clone()
    for route in routes:
        inside = route.takes(raw.early, raw.latent)
        if inside.any():
            logits[inside] = route.answer(classifier, images[inside]).logits
    return logits
