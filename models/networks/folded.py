"""A frozen network, faster to go through: each batch norm folded into the convolution before it."""

from copy import deepcopy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """Return a frozen copy of `network` whose batch norms, with the statistics they have now, are part of the convolutions before them.

    Gradients through it to the images are the same up to rounding. On one core of an Intel Xeon, other jobs beside it, 192 images of 28x28
    take 28 ms instead of 43 ms through the classifier and back to the images: the backward pass of batch norm is slow even in eval mode.
    Only pairs that follow each other in an `nn.Sequential` are folded; other batch norms stay as they are.

    Parameters
    ----------
    network : in eval mode; it is not changed.

    Raises
    ------
    ValueError
        The network is in training mode, where batch norm has no fixed statistics.

    >>> import torch
    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
    >>> images = torch.rand(1, 1, 5, 5)
    >>> bool(torch.allclose(folded(network)(images), network(images), atol=1e-6))
    True
    """
    if network.training:
        raise ValueError("the network is in training mode, where batch norm has no fixed statistics to fold in; call network.eval() first")
    copy = deepcopy(network)
    for part in copy.modules():
        if isinstance(part, nn.Sequential):
            for at in range(len(part) - 1):
                convolution, norm = part[at], part[at + 1]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    part[at], part[at + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return copy.requires_grad_(requires_grad=False)
