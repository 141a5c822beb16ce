"""Adversarial examples: images changed by at most `size` per pixel so that a classifier errs. White-box; to train on, and to test with.

Goodfellow, I., Shlens, J., Szegedy, C. (2015). Explaining and harnessing adversarial examples. ICLR (fgsm).
Madry, A. et al. (2018). Towards deep learning models resistant to adversarial attacks. ICLR (pgd).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.any_classifier import AnyClassifier

Loss = Callable[[Tensor], Tensor]
"""Images [n, c, h, w] -> what the attacker raises, one number."""


def error_of(classifier: AnyClassifier, labels: Tensor) -> Loss:
    """Return the loss that an attacker raises who wants any other answer than `labels` int64 [n]: the cross-entropy."""
    return lambda images: F.cross_entropy(classifier.answer(images)[0], labels, reduction="sum")


def fgsm(images: Tensor, loss: Loss, size: float) -> Tensor:
    """Return images moved once, each pixel by `size` (of 1) in the direction that raises the loss; float32 like `images`, in [0, 1].

    >>> attacked = fgsm(torch.full((2, 1, 4, 4), 0.5), lambda images: images.sum(), 0.1)
    >>> round(float(attacked.min()), 2)
    0.6
    """
    return (images + size * _slope(images, loss).sign()).clamp(0, 1)


def pgd(images: Tensor, loss: Loss, size: float, *, steps: int = 20, generator: torch.Generator | None = None) -> Tensor:
    """Return images moved in many small steps that raise the loss, never further than `size` from where they were, in [0, 1].

    Parameters
    ----------
    images : float32 [n, c, h, w] in [0, 1].
    size : largest change of a pixel (of 1); a step goes 2.5 `size` / `steps` far.
    generator : of the random start within `size`; without one the start is the image itself.

    >>> start = torch.full((2, 1, 4, 4), 0.5)
    >>> attacked = pgd(start, lambda images: images.square().sum(), 0.1, generator=torch.Generator().manual_seed(0))
    >>> round(float((attacked - start).abs().max()), 2), bool((attacked >= 0.6 - 1e-6).float().mean() > 0.9)
    (0.1, True)
    """
    moved = images
    if generator is not None:
        moved = (images + size * (2 * torch.rand(images.shape, generator=generator) - 1)).clamp(0, 1)
    for _ in range(steps):
        moved = moved + 2.5 * size / steps * _slope(moved, loss).sign()
        moved = torch.clamp(moved, images - size, images + size).clamp(0, 1)
    return moved


def _slope(images: Tensor, loss: Loss) -> Tensor:
    with torch.enable_grad():
        leaf = images.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(leaf), leaf)
    return slope
