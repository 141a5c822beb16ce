"""Where a replay's images come from: one half of the test split for the stream, the other half for fresh scoring."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios import brought
from scenarios.corruptions import corrupt
from scenarios.datasets import load
from scenarios.errors import ScenarioError
from scenarios.foreign import letters
from scenarios.scenario import Segment

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Pool = Mapping[str, tuple[Images, Labels, Images, Labels]]

FOREIGN_LABEL = -1  # the true label of an image that shows none of the classes


class Source:
    """Draws labelled images, corrupted or not, of the stream half or of the fresh half of a test split.

    The stream has the images at even positions and the fresh half those at odd ones, not the first and the last 5,000: MNIST's first
    5,000 test images are by other writers than the last and easier, so halves by position would differ even without any corruption.

    Parameters
    ----------
    dataset : name of the data set; its folder is `root` (see `scenarios.datasets.load`).
    pool : for some corruptions, and for "none", ready images in place of made ones: stream images uint8, stream labels int64, fresh
        images, fresh labels. Severities do not apply to them.
    """

    def __init__(self, dataset: str, root: Path | None = None, pool: Pool | None = None) -> None:
        self.dataset, self.root, self.pool = dataset, root, dict(pool or {})
        test = load(dataset, "test", root)
        self.classes = test.classes
        self._own = root is not None and brought.kept(dataset, root) is not None
        self.pool |= _drifted(dataset, root) if self._own else {}
        self.stream, self.fresh = (test.images[0::2], test.labels[0::2]), (test.images[1::2], test.labels[1::2])

    def check(self, segment: Segment) -> None:
        """Raise ScenarioError if the segment's corruption is none for images such as these, so that nobody learns of it halfway."""
        if segment.unknown_class is not None and self._own and (self.stream[0].ndim == 2 or segment.unknown_class != "letters"):
            msg = f"{self.dataset} is data that somebody brought; only letters can be their unknown class, and that only of images."
            raise ScenarioError(msg)
        if segment.kind in {"clean", "unknown class"} or segment.corruption in self.pool:
            return
        if segment.corruption == brought.DRIFTED:
            msg = f'{self.dataset} has no drifted data; name some in the deployment file, under [data]: drifted = "FILE".'
            raise ScenarioError(msg)
        images = self.pool["none"][0] if "none" in self.pool else self.stream[0]
        if images.ndim == 2:
            msg = f"{self.dataset} has rows of a table, and {segment.corruption} is for images. A deployment file may name drifted rows."
            raise ScenarioError(msg)
        try:
            corrupt(images[:1], segment.corruption, segment.severity, seed=0)
        except ValueError as error:
            msg = f"{self.dataset} cannot have the corruption of this scenario: {error} Name another data set or another corruption."
            raise ScenarioError(msg) from error

    def draw(
        self, segment: Segment, first: int, count: int, generator: np.random.Generator, slices: Mapping[str, NDArray[np.str_]] | None = None
    ) -> tuple[Images, Labels, NDArray[np.bool_]]:
        """Draw records `first` to `first + count - 1` of a segment, with replacement, from the stream half.

        `slices`: by attribute the value of each of these records, where the segment changes some of them only.

        Returns
        -------
        images uint8, true labels int64 (-1 for foreign ones), and for each whether it is corrupted or foreign, bool [count].
        """
        changed = generator.random(count) < [segment.share_at(first + k) for k in range(count)]
        for attribute, value in segment.where.items():
            changed &= (slices or {})[attribute] == value
        if segment.kind == "clean":
            changed[:] = False
        images, labels = self._sample("none", None, count, generator)
        if changed.any():
            number = int(changed.sum())
            if segment.unknown_class is not None:
                images[changed] = self._foreign(segment.unknown_class, number, images.shape[1:], generator)
                labels[changed] = FOREIGN_LABEL
            else:
                images[changed], labels[changed] = self._sample(segment.corruption, segment.severity, number, generator)
        return images, labels, changed

    def draw_fresh(self, corruption: str, severity: int | None, count: int, generator: np.random.Generator) -> tuple[Images, Labels]:
        """Draw from the fresh half, each image once as long as there are enough."""
        if corruption in self.pool:
            _, _, images, labels = self.pool[corruption]
            chosen = _draw_once(len(images), count, generator)
            return images[chosen], labels[chosen]
        images, labels = self.pool["none"][2:] if "none" in self.pool else self.fresh
        chosen = _draw_once(len(images), count, generator)
        return corrupt(images[chosen], corruption, severity, seed=_seed(generator)), labels[chosen]

    def _sample(self, corruption: str, severity: int | None, count: int, generator: np.random.Generator) -> tuple[Images, Labels]:
        if corruption in self.pool:
            images, labels = self.pool[corruption][:2]
            chosen = generator.integers(0, len(images), count)
            return images[chosen], labels[chosen]
        images, labels = self.pool["none"][:2] if "none" in self.pool else self.stream
        chosen = generator.integers(0, len(images), count)
        return corrupt(images[chosen], corruption, severity, seed=_seed(generator)), labels[chosen]

    def _foreign(self, name: str, count: int, shape: tuple[int, ...], generator: np.random.Generator) -> Images:
        if name == "letters":
            grey = letters(count, shape[0], shape[1], seed=_seed(generator))
            return grey if len(shape) == 2 else np.repeat(grey[..., None], 3, axis=3)
        images = load(name, "test", self.root).images
        if name == self.dataset or images.shape[1:] != shape:
            sizes = f"{list(shape)}: its images are {list(images.shape[1:])}"
            msg = f"{name} cannot be the unknown class of {self.dataset} {sizes}. Use letters."
            raise ScenarioError(msg)
        return images[generator.integers(0, len(images), count)]


def _drifted(dataset: str, root: Path | None) -> Pool:
    """The drifted data that somebody brought with a data set, in halves as the test split has them."""
    folder = brought.kept(dataset, root) if root is not None else None
    if folder is None or not (folder / f"{brought.DRIFTED}.npz").is_file():
        return {}
    images, labels, _ = brought.load_kept(folder, brought.DRIFTED)
    return {brought.DRIFTED: (images[0::2], labels[0::2], images[1::2], labels[1::2])}


def _draw_once(size: int, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return generator.permutation(size)[:count] if count <= size else generator.integers(0, size, count)


def _seed(generator: np.random.Generator) -> int:
    return int(generator.integers(0, 2**32))
