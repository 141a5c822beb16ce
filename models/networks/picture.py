"""Features of the picture as it came in, by fixed rules: greys, edges, specks, a thumbnail, where the mass lies.

They need no layer of any classifier, so they are the `early` features of a model that a user brought, whatever it is made of. A
corruption shows here even where the classifier's last layer no longer notices it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

THUMBNAIL = 4
SMALLEST = 8  # pixels; below, a thumbnail of 4x4 cells says nothing
COARSE = 4  # pixels that are averaged for the coarser look at edges


class Picture(nn.Module):
    """Describes images [n, c, h, w] by 12 numbers a channel and 22 for all: [n, 12 c + 22].

    For each channel mean and deviation, and of its differences to the right, downwards and from the mean of its neighbours the mean size
    and the deviation, the first two also at a quarter of the resolution; then what `thumbnail` and `place` say of the grey image.

    Parameters
    ----------
    height, width : of the images in pixels, at least 8 each.

    >>> list(Picture(20, 32)(torch.rand(5, 3, 20, 32)).shape)
    [5, 58]
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        if min(height, width) < SMALLEST:
            raise ValueError(f"images of {height}x{width} are too small: at least {SMALLEST}x{SMALLEST} pixels are needed; enlarge them first")
        self.height, self.width = height, width
        self.register_buffer("column", torch.linspace(-1, 1, width).view(1, 1, width), persistent=False)
        self.register_buffer("row", torch.linspace(-1, 1, height).view(1, height, 1), persistent=False)
        self.column: Tensor
        self.row: Tensor

    def forward(self, images: Tensor) -> Tensor:
        grey = images.mean(1)
        coarse = F.avg_pool2d(images, COARSE)
        around = F.avg_pool2d(images, 3, stride=1)
        columns = [images.mean((2, 3)), deviation(images)]
        for step in (
            images[:, :, :, 1:] - images[:, :, :, :-1], images[:, :, 1:] - images[:, :, :-1], images[:, :, 1:-1, 1:-1] - around,
            coarse[:, :, :, 1:] - coarse[:, :, :, :-1], coarse[:, :, 1:] - coarse[:, :, :-1],
        ):  # fmt: skip
            columns += [step.abs().mean((2, 3)), deviation(step)]
        return torch.cat([*columns, thumbnail(grey, self.height, self.width), place(grey, self.column, self.row)], 1)


def deviation(x: Tensor) -> Tensor:
    """Return the standard deviation over the pixels of each channel, [n, c]; written out because `std` does not export everywhere."""
    centred = x - x.mean((2, 3), keepdim=True)
    return ((centred * centred).mean((2, 3)) + 1e-6).sqrt()


def thumbnail(grey: Tensor, height: int, width: int) -> Tensor:
    """Return 4x4 means of grey images [n, height, width]: [n, 16]. The sizes are numbers, since an export takes no others for cells."""
    cell = height // THUMBNAIL, width // THUMBNAIL
    return F.avg_pool2d(grey.unsqueeze(1), cell)[:, :, :THUMBNAIL, :THUMBNAIL].flatten(1)


def place(grey: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Return the mass, centre and spread of grey images [n, h, w], by coordinates [1, 1, w] and [1, h, 1] from -1 to 1: [n, 6]."""
    mass = grey.mean((1, 2)) + 1e-3  # the small constant keeps empty images finite
    x, y = (grey * column).mean((1, 2)) / mass, (grey * row).mean((1, 2)) / mass
    across, down = column - x.view(-1, 1, 1), row - y.view(-1, 1, 1)
    wide = (grey * across * across).mean((1, 2)) / mass
    tall = (grey * down * down).mean((1, 2)) / mass
    tilt = (grey * across * down).mean((1, 2)) / mass
    return torch.stack([mass, x, y, wide, tall, tilt], 1)
