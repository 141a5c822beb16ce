"""All corruptions by name. A new benchmark adds its package beside `mnist_c` and a line to `_BENCHMARKS`.

Several benchmarks have a fog, each its own. MNIST-C's have plain names, "fog"; the others are named with their benchmark, "cifar10_c/fog".
So where no benchmark is named, MNIST-C is meant.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from scenarios.corruptions import cifar10_c, fashion_mnist_c, mnist_c
from scenarios.corruptions.rule import Corruption

PLAIN = "mnist_c"
"""The benchmark whose corruptions have plain names."""

_BENCHMARKS = {PLAIN: mnist_c.CORRUPTIONS, "fashion_mnist_c": fashion_mnist_c.CORRUPTIONS, "cifar10_c": cifar10_c.CORRUPTIONS}
_CATALOGUES: Mapping[str, Mapping[str, Corruption]] = {
    benchmark: MappingProxyType({one.name: one for one in corruptions}) for benchmark, corruptions in _BENCHMARKS.items()
}
_ALL: Mapping[str, Corruption] = MappingProxyType({name: one for some in _CATALOGUES.values() for name, one in some.items()})


def catalogue(benchmark: str = PLAIN) -> Mapping[str, Corruption]:
    """The corruptions of one benchmark by name, in the published order, or those of "all" benchmarks.

    Parameters
    ----------
    benchmark : mnist_c, fashion_mnist_c, cifar10_c or all.

    Raises
    ------
    ValueError : there is no such benchmark.

    Examples
    --------
    >>> list(catalogue())[:3], len(catalogue())
    (['shot_noise', 'impulse_noise', 'glass_blur'], 15)
    >>> list(catalogue("cifar10_c"))[:2], len(catalogue("cifar10_c")), len(catalogue("all"))
    (['cifar10_c/gaussian_noise', 'cifar10_c/shot_noise'], 19, 49)
    >>> catalogue("cifar10_c")["cifar10_c/frost"].note
    "SUBSTITUTE: textures of ice ..."
    """
    if benchmark == "all":
        return _ALL
    if benchmark not in _CATALOGUES:
        near = get_close_matches(benchmark, _CATALOGUES, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        msg = f"There is no benchmark {benchmark!r}.{hint} Use one of: {', '.join(_CATALOGUES)}, all."
        raise ValueError(msg)
    return _CATALOGUES[benchmark]


def corruptions_for(images: NDArray[np.uint8]) -> list[Corruption]:
    """The corruptions that a stream of such images is compared with: CIFAR-10-C's for colour, MNIST-C's for grey.

    >>> len(corruptions_for(np.zeros((1, 8, 8), np.uint8))), len(corruptions_for(np.zeros((1, 8, 8, 3), np.uint8)))
    (15, 19)
    """
    if images.ndim == 2:  # rows of a table, for which the catalogue has none
        return []
    return list(catalogue("cifar10_c" if images.ndim == 4 else "mnist_c").values())


def corrupt(images: NDArray[np.uint8], name: str, severity: int | None = None, *, seed: int) -> NDArray[np.uint8]:
    """Spoil a batch of images in one named way.

    Parameters
    ----------
    images : uint8 [n, h, w] for grey images, [n, h, w, 3] for colour; not changed.
    name : a name in `catalogue("all")`, such as "fog" (of MNIST-C) or "cifar10_c/fog", or "none" for an unchanged copy.
    severity : 1 (mild) to 5; None means the severity that the published data set was made with.
    seed : not negative; the same images, name, severity and seed give the same result.

    Returns
    -------
    uint8 images of the same shape.

    Raises
    ------
    ValueError : unknown name or severity, or images of another dtype or shape.
    DataError : photographs that the environment names for "cifar10_c/frost" are missing, damaged or too small.

    Examples
    --------
    >>> import numpy as np
    >>> corrupt(np.zeros((1, 2, 8), np.uint8), "stripe", seed=0)[0, 0].tolist()
    [255, 255, 0, 0, 0, 0, 255, 255]
    >>> corrupt(np.array([[[0, 1], [2, 3]]], np.uint8), "fashion_mnist_c/flip_sides", seed=0)[0].tolist()
    [[1, 0], [3, 2]]
    """
    if name == "none":
        return images.copy()
    if name not in _ALL:
        msg = f"There is no corruption {name!r}.{did_you_mean(name)} Use {choices()}."
        raise ValueError(msg)
    return _ALL[name](images, severity, seed=seed)


def did_you_mean(word: str) -> str:
    """The question, with a space before it, that an unknown name is answered with; empty if nothing is near.

    >>> did_you_mean("frog"), did_you_mean("mnist_c/fog"), did_you_mean("fashion/saturation"), did_you_mean("?")
    (" Did you mean 'fog'?", " Did you mean 'fog'?", " Did you mean 'fashion_mnist_c/saturate'?", '')
    """
    # The last part of a name is what people remember, so it is compared by itself first; the benchmark then tells namesakes apart.
    benchmark, _, plain = word.rpartition("/")
    namesakes: dict[str, dict[str, str]] = {"none": {PLAIN: "none"}}
    for one, corruptions in _CATALOGUES.items():
        for name in corruptions:
            namesakes.setdefault(name.rpartition("/")[2], {})[one] = name
    near = get_close_matches(plain, namesakes, 1)
    if not near:
        return ""
    found = namesakes[near[0]]
    meant = get_close_matches(benchmark, found, 1) if benchmark else [PLAIN] * (PLAIN in found)
    names = [found[meant[0]]] if meant else list(found.values())
    return f" Did you mean {' or '.join(repr(name) for name in names)}?"


def choices() -> str:
    """All names in a sentence's end, for error texts: each benchmark once, its corruptions behind it."""
    lines = [f"none, {', '.join(_CATALOGUES[PLAIN])}"]
    for benchmark, corruptions in _CATALOGUES.items():
        if benchmark != PLAIN:
            lines.append(f"{benchmark}/ with {', '.join(name.rpartition('/')[2] for name in corruptions)}")
    return "; or ".join(lines)
