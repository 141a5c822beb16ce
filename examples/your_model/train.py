"""Make what a user has before they come here: folders of images, trained weights, and the same network as an ONNX file.

    python examples/your_model/train.py

The images are scikit-learn's hand-written digits, each on paper and with ink of its own colour; nothing is downloaded. Half a minute.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from net import build  # type: ignore[import-not-found]  # it stands beside this file, not in a package
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

HERE = Path(__file__).parent
TRAIN = 1200  # the others are held out
MEAN, STD = 0.5, 0.25


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Return colour images uint8 [n, 32, 32, 3] and what they show [n]."""
    bunch, draw = load_digits(), np.random.default_rng(0)
    order = draw.permutation(len(bunch.images))
    large = np.stack([np.asarray(Image.fromarray((one * 15.9).astype(np.uint8)).resize((24, 24), 2)) for one in bunch.images[order]])
    ink = np.pad(large, ((0, 0), (4, 4), (4, 4)))[..., None] / 255
    paper, colour = draw.uniform(170, 250, (len(ink), 1, 1, 3)), draw.uniform(10, 110, (len(ink), 1, 1, 3))
    grain = draw.normal(0, 4, (*ink.shape[:3], 3))
    return np.clip(paper * (1 - ink) + colour * ink + grain, 0, 255).astype(np.uint8), bunch.target[order]


def main() -> None:
    """Write photos/train, photos/held-out, net.safetensors and net.onnx beside this file."""
    images, labels = pictures()
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = HERE / "photos" / ("train" if number < TRAIN else "held-out") / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:04d}.png")
    torch.manual_seed(0)
    network, shown = build().train(), (torch.tensor(images[:TRAIN]).permute(0, 3, 1, 2) / 255 - MEAN) / STD
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(15):
        for chosen in torch.randperm(TRAIN).split(64):
            loss = F.cross_entropy(network(shown[chosen]), torch.tensor(labels[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    save_file(network.state_dict(), HERE / "net.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this exporter is the old one, and needs no further package
        torch.onnx.export(
            network.eval(), (shown[:2],), str(HERE / "net.onnx"), input_names=["x"], output_names=["y"], dynamo=False,
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )
    print(f"wrote photos, net.safetensors and net.onnx into {HERE}")


if __name__ == "__main__":
    main()
