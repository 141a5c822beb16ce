"""A filter that is put in front of a frozen classifier: undo geometry, then undo the rest. It starts as the identity."""

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.weights import save_weights, shape_of


class Filter(nn.Module):
    """A spatial transformer [1]_ with an affine map predicted per image, followed by a small residual U-Net [2]_.

    The U-Net works on 2x2 cells of pixels (pixel-unshuffle), so its widest layers see a quarter of the positions: a fraction of the cost of
    a U-Net at full resolution, with the same reach.

    Parameters
    ----------
    channels
        1 for grey, 3 for colour.
    size
        Height and width of the images in pixels, each a multiple of 4; one number for square ones.
    width
        Channels of the finest level.

    References
    ----------
    .. [1] Jaderberg et al., Spatial transformer networks, 2015.
    .. [2] Ronneberger et al., U-Net, 2015.

    >>> images = torch.rand(2, 1, 28, 28)
    >>> bool(torch.allclose(Filter().eval()(images), images, atol=1e-5))
    True
    """

    def __init__(self, channels: int = 1, size: int | tuple[int, int] = 28, width: int = 32) -> None:
        super().__init__()
        down, across = (size, size) if isinstance(size, int) else size
        if down % 4 or across % 4:
            raise ValueError(f"images of {down}x{across} do not fit: the filter halves twice, so the size must be a multiple of 4; pad them")
        self.channels, self.size, self.width = channels, (down, across), width
        cells, w = 4 * channels, width
        self.look = nn.Sequential(
            nn.Conv2d(cells, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * -(-down // 8) * -(-across // 8), 64), nn.ReLU(),
        )  # fmt: skip
        self.affine = nn.Linear(64, 6)
        nn.init.zeros_(self.affine.weight)
        self.affine.bias.data = torch.tensor([1.0, 0, 0, 0, 1, 0])
        self.fine = nn.Sequential(nn.Conv2d(cells, w, 3, 1, 1), nn.GroupNorm(4, w), nn.ReLU())
        self.coarse = nn.Sequential(nn.Conv2d(w, 2 * w, 3, 2, 1), nn.GroupNorm(4, 2 * w), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(2 * w, w, 3, 1, 1), nn.ReLU())
        self.join = nn.Sequential(nn.Conv2d(2 * w, w, 3, 1, 1), nn.ReLU())
        self.out = nn.Conv2d(w, cells, 3, 1, 1)
        for value in self.out.parameters():
            nn.init.zeros_(value)

    def straighten(self, images: Tensor) -> Tensor:
        """Undo geometry: sample each image [n, c, h, w] along the affine map predicted from it."""
        matrix = self.affine(self.look(F.pixel_unshuffle(images, 2)))
        grid = F.affine_grid(matrix.float().view(-1, 2, 3), [*images.shape], align_corners=False)
        return F.grid_sample(images.float(), grid, align_corners=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return mended images, float32 [n, c, h, w]; about [0, 1], not clipped (clipping would stop the gradient)."""
        straight = self.straighten(images)
        fine = self.fine(F.pixel_unshuffle(straight, 2))
        x = self.middle(self.coarse(fine))
        x = self.join(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest")[:, :, : fine.shape[2], : fine.shape[3]], fine], 1))
        return straight + F.pixel_shuffle(self.out(x), 2)


def save_filter(filter_: Filter, path: Path) -> None:
    """Write weights and shape to one safetensors file."""
    shape = {"channels": str(filter_.channels), "size": "x".join(map(str, filter_.size)), "width": str(filter_.width)}
    save_weights(filter_, path, shape)


def load_filter(path: Path) -> Filter:
    """Read what `save_filter` wrote; the filter is in eval mode and frozen.

    Raises
    ------
    ValueError
        The file is not a filter of this project.
    """
    with safe_open(path, framework="pt") as file:
        shape = shape_of(file.metadata())
        if not {"channels", "size", "width"} <= shape.keys():
            raise ValueError(f"{path} holds no filter (its header lacks channels, size, width); write it with save_filter")
        down, _, across = shape["size"].partition("x")  # files from before there were other than square images hold one number
        filter_ = Filter(int(shape["channels"]), (int(down), int(across or down)), int(shape["width"]))
        filter_.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - safe_open is no mapping
    return filter_.to(memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False)
