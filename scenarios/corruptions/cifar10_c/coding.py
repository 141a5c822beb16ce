"""Pixelate (enlarged too far) and JPEG compression (saved too small). Both are Pillow's, image by image, as in the published generator."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scenarios.corruptions.rule import Corruption, Floats


def pixelate(images: Floats, share: float, _: np.random.Generator) -> Floats:
    """Shrink to `share` of the height and width, cut to whole pixels, by averaging over boxes; enlarge again by repeating pixels.

    >>> four = np.array([0, 100, 50, 150]).reshape(1, 1, 4, 1) / 255
    >>> (pixelate(four, 0.5, np.random.default_rng()) * 255).round().ravel().tolist()
    [50.0, 50.0, 100.0, 100.0]
    """
    height, width = images.shape[1:3]
    small = max(int(width * share), 1), max(int(height * share), 1)
    return _each(images, lambda image: image.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX))


def jpeg_compression(images: Floats, quality: int, _: np.random.Generator) -> Floats:
    """Write as JPEG of the given `quality` and read again. Libraries of other versions may differ by a level here and there."""

    def through_jpeg(image: Image.Image) -> Image.Image:
        file = BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _each(images, through_jpeg)


def _each(images: Floats, change: Callable[[Image.Image], Image.Image]) -> Floats:
    """Send images [n, h, w, c] through Pillow one by one; what comes in are whole levels, and so is what goes out."""
    levels: NDArray[np.uint8] = np.rint(images * 255).astype(np.uint8)
    grey = images.shape[3] == 1
    changed = np.empty_like(levels)
    for before, after in zip(levels, changed, strict=True):
        after[:] = np.asarray(change(Image.fromarray(before[..., 0] if grey else before))).reshape(before.shape)
    return changed / 255.0


PIXELATE = Corruption("cifar10_c/pixelate", "cifar10-c", pixelate, (0.95, 0.9, 0.85, 0.75, 0.65), published=5, random=False)
JPEG_COMPRESSION = Corruption("cifar10_c/jpeg_compression", "cifar10-c", jpeg_compression, (80, 65, 58, 50, 40), published=5, random=False)
