"""The autoencoder of the Scanflow paper: it learns to draw clean images from a narrow code, and fails on others.

Two convolutions with stride squeeze the image, a linear layer makes the code, and the mirror of both draws the image again. Its
reconstruction error and its code feed `models.detectors.reconstruction`. The paper's own was shipped almost untrained and did worse than a
constant grey image; here training starts from the mean image and the tests demand far less error than that.

Bravo-Rocca, G. et al. (2021). Scanflow: a multi-graph framework for machine learning workflow management, supervision, and debugging.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.numerics import BATCH, fast, thread_count

CODE = 32
"""Numbers in the code."""

_WIDTHS = (16, 32)
_STEPS_AT_LEAST = 600  # of 128 images: small sets need more passes to leave the mean image behind


class Redrawn(NamedTuple):
    """What an autoencoder makes of n images."""

    reconstructions: Tensor
    """float32 [n, c, h, w]"""
    codes: Tensor
    """float32 [n, 32]"""


class Autoencoder(nn.Module):
    """Draws images again from a code of 32 numbers.

    Parameters
    ----------
    channels
        1 for grey, 3 for colour.
    height, width
        Of the images, in pixels; at least 4.

    >>> [list(part.shape) for part in Autoencoder(1, 28, 28)(torch.zeros(5, 1, 28, 28))]
    [[5, 1, 28, 28], [5, 32]]
    >>> Autoencoder(3, 30, 33)(torch.zeros(2, 3, 30, 33)).reconstructions.shape
    torch.Size([2, 3, 30, 33])
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        if min(height, width) < 4:
            raise ValueError(f"images of {height}x{width} are too small: two halvings need at least 4x4 pixels; enlarge the images first")
        self.shape = channels, height, width
        self._inner = _WIDTHS[1], -(-height // 4), -(-width // 4)
        cells = self._inner[0] * self._inner[1] * self._inner[2]
        self.squeeze = nn.Sequential(
            nn.Conv2d(channels, _WIDTHS[0], 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTHS[0], _WIDTHS[1], 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.to_code = nn.Linear(cells, CODE)
        self.from_code = nn.Linear(CODE, cells)
        self.draw = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(_WIDTHS[1], _WIDTHS[0], 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(_WIDTHS[0], channels, 4, stride=2, padding=1),
        )
        self.register_buffer("mean", torch.zeros(1, channels, height, width))
        self.mean: Tensor

    def forward(self, images: Tensor) -> Redrawn:
        """Return reconstructions and codes of `images`, float32 [n, c, h, w] in [0, 1]."""
        _, height, width = self.shape
        code = self.to_code(self.squeeze(images - self.mean).flatten(1))
        drawn = self.draw(self.from_code(code).view(-1, *self._inner))[:, :, :height, :width]
        return Redrawn(self.mean + drawn, code)


def fit_autoencoder(images: NDArray[np.float32], epochs: int | None = None, seed: int = 0, threads: int = 1) -> Autoencoder:
    """Train an autoencoder on clean images with Adam and a one-cycle learning rate.

    Parameters
    ----------
    images : float32 [n, c, h, w] in [0, 1].
    epochs : passes over the images; by default as many as 600 steps of 128 images take, at least 3.
    seed : of weights and order.
    threads : torch threads.

    Returns
    -------
    The autoencoder in eval mode, frozen.

    Raises
    ------
    ValueError
        when the images are not float32 [n, c, h, w] with n at least 2.
    """
    if images.ndim != 4 or images.dtype != np.float32 or len(images) < 2:
        raise ValueError(f"got {images.dtype} {list(images.shape)}, expected at least two images, float32 [n, c, h, w] in [0, 1]")
    data = torch.from_numpy(images)
    steps = -(-len(data) // 128)
    epochs = epochs or max(3, -(-_STEPS_AT_LEAST // steps))
    generator = torch.Generator().manual_seed(seed)
    with thread_count(threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Autoencoder(*images.shape[1:])
        network.mean.copy_(data.mean(0, keepdim=True))
        optimizer = torch.optim.Adam(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * steps)
        for _ in range(epochs):
            for chosen in torch.split(torch.randperm(len(data), generator=generator), 128):
                with fast():
                    drawn = network(data[chosen]).reconstructions
                loss = F.mse_loss(drawn.float(), data[chosen])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    return network.eval().requires_grad_(requires_grad=False)


@torch.no_grad()
def redraw(network: Autoencoder, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return reconstructions [n, c, h, w] and codes [n, 32] of images float32 [n, c, h, w], as arrays, in batches."""
    parts = [network(torch.from_numpy(images[at : at + BATCH])) for at in range(0, len(images), BATCH)]
    drawn, codes = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
    return drawn, codes
