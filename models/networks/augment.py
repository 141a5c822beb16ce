"""Random changes of a picture that keep its class: a small affine map, and one square of it wiped out."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

PHOTOGRAPH = 32
"""Colour images of at least this height and width are taken for photographs: mirrored and shifted, but not turned."""


def affine(
    images: Tensor, generator: torch.Generator, turn: float = 0.3, scale: float = 0.15, shift: float = 0.15, shear: float = 0.0
) -> Tensor:
    """Turn, scale, shift and shear each image by its own random amount; the outside is black.

    Args:
        images: float32 [n, c, h, w].
        generator: source of all randomness.
        turn: largest angle in radians.
        scale: largest relative change of size.
        shift: largest shift as a part of half the image.
        shear: largest shear.

    >>> affine(torch.ones(2, 1, 8, 8), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 8, 8])
    """
    n = len(images)
    draw = torch.rand(5, n, generator=generator) * 2 - 1
    angle, size, skew = draw[0] * turn, 1 + draw[1] * scale, draw[4] * shear
    cos, sin = size * angle.cos(), size * angle.sin()
    matrix = torch.stack([cos, -sin + skew * cos, draw[2] * shift, sin, cos + skew * sin, draw[3] * shift], 1)
    grid = F.affine_grid(matrix.view(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def mirror_and_shift(images: Tensor, generator: torch.Generator, most: int = 4) -> Tensor:
    """Mirror half of the images left to right, and shift each by whole pixels; the outside repeats the border.

    For photographs: a mirrored horse is a horse, a mirrored 3 is no digit.

    Args:
        images: float32 [n, c, h, w].
        generator: source of all randomness.
        most: largest shift in pixels, in each direction.

    >>> mirror_and_shift(torch.ones(2, 3, 8, 8), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3, 8, 8])
    """
    n, _, height, width = images.shape
    down, right = torch.randint(-most, most + 1, (2, n, 1, 1), generator=generator)
    mirrored = torch.rand(n, 1, 1, generator=generator) < 0.5
    column = torch.arange(width)
    rows = (torch.arange(height).view(1, -1, 1) + down).clamp(0, height - 1)
    columns = (torch.where(mirrored, width - 1 - column, column) + right).clamp(0, width - 1)
    # One look-up along channels-last memory, which the outcome keeps.
    return images.permute(0, 2, 3, 1)[torch.arange(n).view(-1, 1, 1), rows, columns].permute(0, 3, 1, 2)


def photographs(images: Tensor) -> bool:
    """Tell whether images [n, c, h, w] are taken for photographs: colour, and at least 32 pixels high and wide.

    >>> photographs(torch.zeros(1, 3, 32, 32)), photographs(torch.zeros(1, 1, 28, 28))
    (True, False)
    """
    return images.shape[1] == 3 and min(images.shape[2:]) >= PHOTOGRAPH


def wipe(images: Tensor, generator: torch.Generator, part: float = 0.22) -> Tensor:
    """Set one random square of each image (side = `part` of the image's) to the darkest value of that image.

    >>> wipe(torch.ones(2, 1, 9, 9), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 9, 9])
    """
    n, _, height, width = images.shape
    side = max(1, round(part * min(height, width)))
    top = torch.randint(0, height - side + 1, (n, 1, 1), generator=generator)
    left = torch.randint(0, width - side + 1, (n, 1, 1), generator=generator)
    row, column = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
    inside = (row >= top) & (row < top + side) & (column >= left) & (column < left + side)
    return torch.where(inside[:, None], images.amin((1, 2, 3), keepdim=True), images)
