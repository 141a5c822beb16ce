"""All corruptions by name. A new benchmark adds its package beside `mnist_c` and its tuple to `_FAMILIES`."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from scenarios.corruptions import mnist_c
from scenarios.corruptions.rule import Corruption

_FAMILIES = (mnist_c.CORRUPTIONS,)
_CATALOGUE: Mapping[str, Corruption] = MappingProxyType({one.name: one for family in _FAMILIES for one in family})


def catalogue() -> Mapping[str, Corruption]:
    """Every corruption by name, in the published order.

    >>> list(catalogue())[:3], len(catalogue())
    (['shot_noise', 'impulse_noise', 'glass_blur'], 15)
    """
    return _CATALOGUE


def corrupt(images: NDArray[np.uint8], name: str, severity: int | None = None, *, seed: int) -> NDArray[np.uint8]:
    """Spoil a batch of images in one named way.

    Parameters
    ----------
    images : uint8 [n, h, w] for grey images, [n, h, w, 3] for colour; not changed.
    name : a name in `catalogue()`, or "none" for an unchanged copy.
    severity : 1 (mild) to 5; None means the severity that the published data set was made with.
    seed : not negative; the same images, name, severity and seed give the same result.

    Returns
    -------
    uint8 images of the same shape.

    Raises
    ------
    ValueError : unknown name or severity, or images of another dtype or shape.

    Examples
    --------
    >>> import numpy as np
    >>> corrupt(np.zeros((1, 2, 8), np.uint8), "stripe", seed=0)[0, 0].tolist()
    [255, 255, 0, 0, 0, 0, 255, 255]
    """
    if name == "none":
        return images.copy()
    if name not in _CATALOGUE:
        near = get_close_matches(name, _CATALOGUE, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        msg = f"There is no corruption {name!r}.{hint} Use none or one of: {', '.join(_CATALOGUE)}."
        raise ValueError(msg)
    return _CATALOGUE[name](images, severity, seed=seed)
