"""Frost: ice has grown on the lens.

SUBSTITUTE. The published data add one of the authors' photographs of frost, which are not part of this package. Where the environment
variable SCANFLOW_FROST names a folder of photographs (.png, .jpg or .jpeg; the authors' frost1.png to frost6.jpg, or others), they are
used by the published rule. Otherwise frost is grown by this file: five textures of ice, bluish white, ferns in thick and thin patches.
They have the look of frost; that they harm a classifier as much as the photographs do is not claimed, so name the substitute where you
report figures.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from scenarios.corruptions.cifar10_c.snow import LUMINANCE
from scenarios.corruptions.mnist_c.fog import plasma
from scenarios.corruptions.rule import Corruption, Floats
from scenarios.errors import DataError

FOLDER = "SCANFLOW_FROST"
"""Environment variable that names a folder of photographs."""

Picture = NDArray[np.float64]  # [height, width, 3], 0 to 255
_ENDINGS = (".png", ".jpg", ".jpeg")
_SHRINK = 5  # photographs are used at a fifth of their size
_TEXTURES, _SMALLEST_TEXTURE = 5, 128
_ICE = np.array([0.80, 0.92, 1.0])


def frost(images: Floats, parameter: tuple[float, float], generator: np.random.Generator) -> Floats:
    """Dim the picture and add a piece of a photograph of frost, or of a texture grown here, cut out at a random place.

    `parameter` is the share that is kept of the picture, and the share that is taken of the frost. Grey images get the frost's luminance.
    Raises DataError if SCANFLOW_FROST names no folder, a folder without photographs, or one of them is too small for the images.
    """
    kept, added = parameter
    count, height, width, channels = images.shape
    named = os.environ.get(FOLDER)
    pictures = photographs(Path(named), height, width) if named else textures(height, width)
    which = generator.integers(0, len(pictures), count)
    places = generator.random((2, count))
    ice = np.empty((count, height, width, 3))
    for k, picture in enumerate(pictures):
        here = which == k
        top, left = ((places[axis, here] * (picture.shape[axis] - side)).astype(np.int64) for axis, side in ((0, height), (1, width)))
        ice[here] = picture[(top[:, None] + np.arange(height))[:, :, None], (left[:, None] + np.arange(width))[:, None]]
    levels = kept * np.rint(images * 255) + added * (ice if channels == 3 else ice @ LUMINANCE[:, None])
    return np.floor(levels) / 255


def photographs(folder: Path, height: int, width: int) -> tuple[Picture, ...]:
    """All photographs of a folder at a fifth of their size, by name; each larger than height and width. Raises DataError."""
    pictures = _read(folder)
    for path, picture in pictures:
        if picture.shape[0] < height or picture.shape[1] < width:
            need = f"{_SHRINK * height}x{_SHRINK * width} pixels (height x width) or more are needed for images of {height}x{width}"
            msg = f"{path} is too small for frost, of which a fifth of the height and width is left; {need}. Take it out of the folder."
            raise DataError(msg)
    return tuple(picture for _, picture in pictures)


@lru_cache(maxsize=2)
def _read(folder: Path) -> tuple[tuple[Path, Picture], ...]:
    from PIL import Image, UnidentifiedImageError

    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _ENDINGS)
    if not paths:
        fault = "it holds no .png, .jpg or .jpeg file" if folder.is_dir() else "there is no such folder"
        remedy = f"Put photographs there, or unset {FOLDER} for frost grown by this program"
        msg = f"{FOLDER} names {folder} for photographs of frost, but {fault}. {remedy}."
        raise DataError(msg)
    pictures = []
    for path in paths:
        try:
            with Image.open(path) as image:
                # Halfway into every fifth pixel, as linear interpolation to a fifth of the size falls.
                pictures.append((path, np.asarray(image.convert("RGB"), np.float64)[_SHRINK // 2 :: _SHRINK, _SHRINK // 2 :: _SHRINK]))
        except (UnidentifiedImageError, OSError) as error:
            msg = f"{path} cannot be read as a photograph of frost ({error}). Put an undamaged copy in its place, or take it out of the folder."
            raise DataError(msg) from error
    return tuple(pictures)


def textures(height: int, width: int) -> tuple[Picture, ...]:
    """Five textures of ice, always the same, at least twice as large as height and width.

    >>> [texture.shape for texture in textures(32, 32)] == [(128, 128, 3)] * 5
    True
    """
    return _grown(max(_SMALLEST_TEXTURE, 2 << (max(height, width) - 1).bit_length()))


@lru_cache(maxsize=2)
def _grown(side: int) -> tuple[Picture, ...]:
    generator = np.random.default_rng(2019)
    patches = plasma(_TEXTURES, side, (side, side), 2.2, generator).transpose(2, 0, 1).astype(np.float64)
    low, high = np.quantile(patches, (0.05, 0.75), axis=(1, 2), keepdims=True)
    cover = np.clip((patches - low) / (high - low), 0, 1)
    crystals = np.stack([_crystals(side, generator) for _ in range(_TEXTURES)])
    haze = gaussian_filter(crystals, (0, 4, 4), mode="wrap")
    light = np.clip((0.1 + 0.9 * cover) * (0.9 * crystals + 1.1 * haze), 0, 1)[..., None]
    # Thick ice is white, thin ice is blue.
    return tuple(np.rint(255 * light * (_ICE + (1 - _ICE) * light)))


def _crystals(side: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Ferns of ice [side, side], 0 to 1, on a torus: straight stems with barbs at 60 degrees on both sides, shorter towards the tip."""
    count = side * side // 140
    root = generator.uniform(0, side, (2, count))
    # Two main directions; what grows beside each other on a pane grows alike.
    angle = generator.normal(generator.uniform(0, np.pi, 2)[generator.integers(0, 2, count)], 0.3) + np.pi * generator.integers(0, 2, count)
    length = generator.uniform(8, 40, count)
    drawing = np.zeros((side, side))
    along = np.linspace(0, 1, 81)
    barbs = np.linspace(0.05, 0.95, 9)
    stems = root + length * np.stack([np.sin(angle), np.cos(angle)]) * along[:, None, None]
    _dab(drawing, stems, 1 - 0.4 * along[:, None])
    for turn in (-np.pi / 3, np.pi / 3):
        ways = np.stack([np.sin(angle + turn), np.cos(angle + turn)])
        starts = root + length * np.stack([np.sin(angle), np.cos(angle)]) * barbs[:, None, None]
        reach = 0.35 * length * (1 - barbs[:, None])
        tips = starts[None] + along[::4, None, None, None] * (reach[:, None] * ways)[None]
        _dab(drawing, tips.reshape(-1, 2, count), np.tile(0.6 - 0.5 * along[::4, None, None], (1, len(barbs), 1)).reshape(-1, 1))
    return np.asarray(gaussian_filter(drawing, 0.5, mode="wrap"))


def _dab(drawing: NDArray[np.float64], places: NDArray[np.float64], strength: NDArray[np.float64]) -> None:
    """Put light of a strength [m, 1] at places [m, (row, column), n] of a torus, where it is darker."""
    rows, columns = np.floor(places).astype(np.int64).transpose(1, 0, 2) % len(drawing)
    np.maximum.at(drawing, (rows, columns), np.broadcast_to(strength, rows.shape))


FROST = Corruption(
    "cifar10_c/frost",
    "cifar10-c",
    frost,
    ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    published=5,
    note=f"SUBSTITUTE: textures of ice grown by this program in place of the authors' photographs, unless {FOLDER} names a folder of them.",
)
