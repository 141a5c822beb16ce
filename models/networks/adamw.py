"""AdamW, written out: the one of torch imports its compiler on first use, three seconds of processor time in every fresh worker.

Measured with torch 2.15 on one core of an Intel Xeon, two other jobs beside it: the first step in a fresh process takes 3.2 to 3.4 s of
processor time with `torch.optim.AdamW` and 0.01 s here, and neither training nor export needs that import otherwise. After it both are
equally fast: a training step of 256 images takes 67 ms here and 68, 68 and 69 ms with plain, `foreach` and `fused`; one of 64 images
14.9 ms against 15.2 to 15.4 ms. The steps are the same (tests/networks).
"""

from collections.abc import Iterable
from math import cos, pi

import torch
from torch import Tensor, nn


class AdamW:
    """Adam with decoupled weight decay; the learning rate is given anew at each step.

    Parameters
    ----------
    parameters
        What to train; frozen ones are left alone. Every other one takes part in every loss.
    weight_decay
        Pull towards zero, as a part of the learning rate.
    betas
        How slowly the running means of the gradient and of its square forget.

    References
    ----------
    Loshchilov, Hutter, Decoupled weight decay regularization, ICLR 2019.

    >>> at = nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = AdamW([at])
    >>> for _ in range(100):
    ...     optimizer.step(at.square().sum(), rate=0.1)
    >>> bool(at.abs() < 0.3)
    True
    """

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float = 1e-2, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        self.parameters = [value for value in parameters if value.requires_grad]
        self.weight_decay, self.betas = weight_decay, betas
        self.first = [torch.zeros_like(value) for value in self.parameters]
        self.second = [torch.zeros_like(value) for value in self.parameters]
        self.steps = 0

    def step(self, loss: Tensor, rate: float) -> None:
        """Take one step down the gradient of `loss`, a tensor without axes."""
        gradients = torch.autograd.grad(loss, self.parameters)
        self.steps += 1
        (slow, slower), n = self.betas, self.steps
        with torch.no_grad():
            for value, first, second, gradient in zip(self.parameters, self.first, self.second, gradients, strict=True):
                first.lerp_(gradient, 1 - slow)
                second.mul_(slower).addcmul_(gradient, gradient, value=1 - slower)
                value.mul_(1 - rate * self.weight_decay)
                scale = (second / (1 - slower**n)).sqrt_().add_(1e-8)
                value.addcdiv_(first, scale, value=-rate / (1 - slow**n))


def one_cycle(part: float, warm_up: float = 0.3) -> float:
    """Return the learning rate, as a part of its peak, when `part` of the training is done: warm up, then cool down, both along a cosine.

    >>> [round(one_cycle(part), 2) for part in (0.0, 0.3, 0.65, 1.0)]
    [0.04, 1.0, 0.5, 0.0]
    """
    if part < warm_up:
        return 0.04 + 0.96 * (1 - cos(pi * part / warm_up)) / 2
    return (1 + cos(pi * min(1.0, (part - warm_up) / (1 - warm_up)))) / 2
