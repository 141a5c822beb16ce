"""What a corruption is: a rule with five severities, and how it is run on uint8 images."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]
Rule = Callable[[Floats, Any, np.random.Generator], Floats]

SEVERITIES = (1, 2, 3, 4, 5)
# Images per call of a rule: small enough for its arrays to stay in the processor's cache and out of swap, whatever n is.
_CHUNK = 500


def to_bytes(images: Floats) -> Images:
    """Clip to [0, 1] and cut to uint8 as the generators of MNIST-C and Fashion-MNIST-C do: by way of float32, and then downwards.

    >>> to_bytes(np.array([-1, 0.5, 0.999, 57 / 255, 2])).tolist()
    [0, 127, 254, 57, 255]
    """
    return (np.clip(images, 0, 1) * 255).astype(np.float32).astype(np.uint8)


def cut(images: Floats) -> Images:
    """Clip to [0, 1] and cut to uint8 as most of the generators of CIFAR-10-C do: from float64 downwards.

    What comes out of a sum a hair below a whole number thus loses a level, where `to_bytes` would keep it.

    >>> a_hair_below = np.array([0.1 + 0.2 - 0.1]) * (1 - 1e-12)
    >>> cut(a_hair_below).tolist(), to_bytes(a_hair_below).tolist()
    ([50], [51])
    """
    return (np.clip(images, 0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True)
class Corruption:
    """One named way to spoil images.

    Attributes
    ----------
    name : unique: plain for MNIST-C, and with the benchmark before it for the others, such as "cifar10_c/fog".
    family : the benchmark that it comes from, such as "mnist-c".
    rule : takes float64 images [n, h, w, c] in [0, 1] (c is 1 or 3), one parameter and a generator, and returns images of the same
        shape; values outside [0, 1] are clipped by the caller. Draws once per image, alike for its channels, unless it says otherwise.
    parameters : what the rule gets at severity 1 to 5; a single entry if the corruption has no degrees, and then severity changes nothing.
    published : the severity that the published data set was made with.
    random : whether the rule draws; if not, the seed changes nothing.
    colour : whether the rule makes sense for [n, h, w, 3].
    grey : whether the rule makes sense for [n, h, w].
    cast : how the rule's result becomes uint8.
    note : in what it is not the published one, for people to read; empty where only the draws differ.
    """

    name: str
    family: str
    rule: Rule
    parameters: tuple[Any, ...]
    published: int = 1
    random: bool = True
    colour: bool = True
    grey: bool = True
    cast: Callable[[Floats], Images] = to_bytes
    note: str = ""

    def __call__(self, images: Images, severity: int | None = None, *, seed: int) -> Images:
        """Corrupt uint8 images [n, h, w] or [n, h, w, 3]; see `scenarios.corruptions.corrupt`."""
        _check(self, images, severity)
        degree = self.published if severity is None else severity
        parameter = self.parameters[degree - 1 if len(self.parameters) > 1 else 0]
        channels_last = images[..., None] if images.ndim == 3 else images
        result = np.empty_like(channels_last)
        for start in range(0, len(images), _CHUNK):
            part = slice(start, start + _CHUNK)
            # The name is in the seed, so that two corruptions of the same images do not share their draws.
            generator = np.random.default_rng([zlib.crc32(self.name.encode()), seed, start])
            result[part] = self.cast(self.rule(channels_last[part] / 255.0, parameter, generator))
        return result.reshape(images.shape)


def _check(corruption: Corruption, images: Images, severity: int | None) -> None:
    if severity is not None and severity not in SEVERITIES:
        msg = f"{corruption.name} has severities 1 to 5 (None means the published one, {corruption.published}); got {severity!r}."
        raise ValueError(msg)
    if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)):
        msg = f"Expected uint8 images [n, h, w] or [n, h, w, 3]; got {images.dtype} {list(images.shape)}."
        raise ValueError(msg)
    if images.ndim == 3 and not corruption.grey:
        msg = f"{corruption.name} is defined for colour images [n, h, w, 3] only; got grey images {list(images.shape)}."
        raise ValueError(msg)
    if images.ndim == 4 and not corruption.colour:
        msg = f"{corruption.name} is defined for grey images [n, h, w] only; got colour images {list(images.shape)}."
        raise ValueError(msg)
