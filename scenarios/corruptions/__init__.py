"""What the world does to images. `corrupt(images, "fog", severity=3, seed=7)`, and `catalogue()` for what there is.

One package per published benchmark (`mnist_c`, `fashion_mnist_c`, `cifar10_c`), one file per corruption or tight family in it, and
`published` to read the benchmarks' own files.
"""

from scenarios.corruptions.registry import catalogue, corrupt, corruptions_for
from scenarios.corruptions.rule import Corruption

__all__ = ["Corruption", "catalogue", "corrupt", "corruptions_for"]
