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


@dataclass(frozen=True)
class Corruption:
    """One named way to spoil images.

    Attributes
    ----------
    name : unique in the catalogue.
    family : the benchmark that it comes from, such as "mnist-c".
    rule : takes float64 images [n, h, w, c] in [0, 1] (c is 1 or 3), one parameter and a generator, and returns images of the same
        shape; values outside [0, 1] are clipped by the caller. Draws once per image, alike for its channels, unless it says otherwise.
    parameters : what the rule gets at severity 1 to 5; a single entry if the corruption has no degrees, and then severity changes nothing.
    published : the severity that the published data set was made with.
    random : whether the rule draws; if not, the seed changes nothing.
    colour : whether the rule makes sense for [n, h, w, 3].
    """

    name: str
    family: str
    rule: Rule
    parameters: tuple[Any, ...]
    published: int = 1
    random: bool = True
    colour: bool = True

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
            result[part] = to_bytes(self.rule(channels_last[part] / 255.0, parameter, generator))
        return result.reshape(images.shape)


def to_bytes(images: Floats) -> Images:
    """Clip to [0, 1] and cut to uint8 as the published generators do: by way of float32, and then downwards."""
    return (np.clip(images, 0, 1) * 255).astype(np.float32).astype(np.uint8)


def _check(corruption: Corruption, images: Images, severity: int | None) -> None:
    if severity is not None and severity not in SEVERITIES:
        msg = f"{corruption.name} has severities 1 to 5 (None means the published one, {corruption.published}); got {severity!r}."
        raise ValueError(msg)
    if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)):
        msg = f"Expected uint8 images [n, h, w] or [n, h, w, 3]; got {images.dtype} {list(images.shape)}."
        raise ValueError(msg)
    if images.ndim == 4 and not corruption.colour:
        msg = f"{corruption.name} is defined for grey images [n, h, w] only; got colour images {list(images.shape)}."
        raise ValueError(msg)
