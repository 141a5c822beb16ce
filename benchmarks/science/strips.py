"""Pictures of what filters do: clean, corrupted and filtered images side by side, a strip for each corruption.

    python -m benchmarks.science.strips --family mnist --only fog,stripe,canny_edges     # half a minute a corruption

The filter is learned as in the loop, without any label; the images are fresh ones that it was not learned on.
"""

from typing import Annotated

import matplotlib as mpl
import numpy as np
import torch
import typer
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.common.incident import RESULTS
from benchmarks.science.row import Bench
from benchmarks.science.worlds import FAMILIES, corruptions_of, make_world
from models.networks.numerics import to_tensor
from models.remedies.catalogue import remedies
from scenarios.datasets import shared_data

IMAGES = 10
ROWS = ("clean", "corrupted", "filtered")


def main(
    family: Annotated[str, typer.Option(help=f"One of {', '.join(FAMILIES)}.")] = FAMILIES[0],
    only: Annotated[str, typer.Option(help="Comma-separated corruptions.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the classifier, the stream and the filter.")] = 0,
) -> None:
    """Draw `results/strips_FAMILY.png`."""
    root = shared_data()
    if root is None:
        raise typer.BadParameter("no data: let SCANFLOW_SHARED_DATA name a folder with the data sets and mnist_c (see docs/benchmarks.md)")
    names = only.split(",") if only else list(corruptions_of(family))
    mpl.use("Agg")
    figure, axes = plt.subplots(3 * len(names), IMAGES, figsize=(0.6 * IMAGES + 1.4, 1.9 * len(names)), squeeze=False)
    for place, name in enumerate(names):
        world = make_world(family, name, seed, root)
        bench = Bench(world, None, None)
        learned = remedies()["filter"](bench.context(0)).filter
        assert learned is not None
        corrupted = world.fresh[0][:IMAGES]
        with torch.no_grad():
            filtered = learned(to_tensor(corrupted)).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        for row, images in enumerate((world.clean[0][:IMAGES], corrupted, filtered)):
            _row(axes[3 * place + row], images, f"{name.rpartition('/')[2]}\n{ROWS[row]}" if row == 0 else ROWS[row])
    file = RESULTS / f"strips_{family}.png"
    figure.savefig(file, dpi=100, bbox_inches="tight")
    Console().print(f"drawn: {file}")


def _row(axes: NDArray[np.object_], images: NDArray[np.uint8] | NDArray[np.float32], title: str) -> None:
    for one, image in zip(axes, images, strict=True):
        one.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
        one.set(xticks=[], yticks=[])
    axes[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8)


if __name__ == "__main__":
    typer.run(main)
