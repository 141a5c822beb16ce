"""Any torch classifier, made to speak the project's contract: logits, early features of the picture, latents of a layer.

The network stays as it is. Its images are normalised on the way in; its latents are read on the way through, at the input or the output of
a layer that is named or found; its weights are kept as safetensors, and its code stays where its owner has it (`Source`).
"""

from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.networks.any_classifier import AnyClassifier, Answer
from models.networks.picture import Picture
from models.networks.source import Source

AUTO = "auto"
WIDEST = 512
"""Latents are at most so wide; wider ones are projected at random, which keeps distances (Johnson and Lindenstrauss, 1984)."""

KEY = "brought"
TINY = 1e-7


class BroughtError(ValueError):
    """A network does not fit what was said of it. The message says what it did, what was expected, and what to write."""


class Latent(msgspec.Struct, frozen=True):
    """Where latents are read: at the input or the output of a layer, a name as `named_modules` gives it; `width` as the layer has it."""

    layer: str
    side: Literal["input", "output"]
    width: int

    def __str__(self) -> str:
        wide = f"{self.width} wide" + (f", projected to {WIDEST}" if self.width > WIDEST else "")
        return f"the {self.side} of {self.layer!r}, {wide}"


class Spec(msgspec.Struct, frozen=True):
    """All but the weights: what `Brought.save` writes beside them, as JSON."""

    source: Source
    shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    latent: Latent
    probabilities: bool = False


class Brought(AnyClassifier):
    """A network that a user brought.

    Parameters
    ----------
    network : takes normalised images, float32 [n, c, h, w], and returns logits (or probabilities) [n, classes].
    spec : what is known of it; `bring` finds out what the user has not said.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 20), nn.ReLU(), nn.Linear(20, 5))
    >>> classifier = bring(network, Source("net.py:build", "."), (3, 8, 8), 5).eval()
    >>> str(classifier.spec.latent), [list(part.shape) for part in classifier(torch.rand(2, 3, 8, 8))]
    ("the input of '3', 20 wide", [[2, 5], [2, 58], [2, 20]])
    """

    def __init__(self, network: nn.Module, spec: Spec) -> None:
        super().__init__()
        self.network, self.spec = network, spec
        self.shape, self.classes = spec.shape, spec.classes
        self.picture = Picture(*spec.shape[1:])
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(spec, name)).view(1, -1, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor
        draw = torch.randn(spec.latent.width, WIDEST, generator=torch.Generator().manual_seed(0)) / WIDEST**0.5
        self.register_buffer("projection", draw if spec.latent.width > WIDEST else None)
        self.projection: Tensor | None

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        output, seen = watched(self.network, self.spec.latent, (images - self.mean) / self.std)
        if self.spec.probabilities:
            output = output.clamp_min(TINY).log()
        latent = flat(seen)
        return output, latent if self.projection is None else latent @ self.projection.to(latent.dtype)

    def forward(self, images: Tensor) -> Answer:
        logits, latent = self.answer(images)
        return Answer(logits, self.picture(images), latent)

    def read_out(self) -> list[nn.Parameter]:
        if self.spec.latent.side == "input":  # latents were found before the last linear layer that was run; it may be declared anywhere
            return list(self.network.get_submodule(self.spec.latent.layer).parameters())
        linear = [module for module in self.network.modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise ValueError("transfer trains the last linear layer and this network has none; take another remedy, such as fine_tune")
        return list(linear[-1].parameters())

    def save(self, path: Path) -> None:
        weights = {name: value.detach().contiguous().clone() for name, value in self.state_dict().items()}  # tied weights are written twice
        save_file(weights, path, metadata={KEY: msgspec.json.encode(self.spec).decode()})


def bring(
    network: nn.Module, source: Source, shape: tuple[int, int, int], classes: int, *, mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None, latent: str = AUTO,
) -> Brought:
    """Look at a network with two grey images and a noisy one, and wrap it; returns it frozen, in eval mode.

    Parameters
    ----------
    shape : channels, height and width of its images.
    mean, std : of each channel in [0, 1], by which images are normalised; by default they are not.
    latent : a layer whose output is taken, or "auto" for the input of the last linear layer that was run.

    Raises
    ------
    BroughtError
        The network fails on such images, answers something else than [n, classes], or has no such layer.
    """
    mean, std = mean or (0.0,) * shape[0], std or (1.0,) * shape[0]
    if len(mean) != shape[0] or len(std) != shape[0] or min(std) <= 0:
        raise BroughtError(f"mean {list(mean)} and std {list(std)}; expected {shape[0]} numbers each, one a channel, those of std above 0")
    network = network.to("cpu").float().eval().requires_grad_(requires_grad=False)
    images = torch.cat([torch.full((2, *shape), 0.5), torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))])
    shown = (images - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)
    try:
        with torch.no_grad():
            output = _answer_of(network(shown))
    except BroughtError:
        raise
    except Exception as error:
        raise BroughtError(f"the network fails on images of {list(shape)} (channels, height, width): {type(error).__name__}: {error}") from error
    if output.shape != (3, classes):
        hint = "; give a network with one output a sigmoid decides on a second one, [-x, x]" if output.shape[1:] == (1,) else ""
        wanted = f"one value for each of {classes} classes: [3, {classes}]"
        raise BroughtError(f"the network answers {list(output.shape)} to 3 images; expected {wanted}{hint}")
    if not bool(output.isfinite().all()):
        raise BroughtError("the network answers with numbers that are not finite; are its weights loaded, and is its normalisation right?")
    sums = bool((output >= 0).all()) and bool(((output.sum(1) - 1).abs() < 1e-4).all())
    spec = Spec(source, shape, classes, tuple(mean), tuple(std), find_latent(network, shown, latent, classes), probabilities=sums)
    return Brought(network, spec).eval().requires_grad_(requires_grad=False)


def load_brought(path: Path) -> Brought:
    """Read what `Brought.save` wrote, and the network's code where it was; eval mode, frozen.

    Raises
    ------
    SourceError
        The code has gone.
    BroughtError
        It does not take the weights any more.
    """
    with safe_open(path, framework="pt") as file:
        spec = msgspec.json.decode((file.metadata() or {})[KEY], type=Spec)
    classifier = Brought(spec.source.build(), spec)
    try:
        classifier.load_state_dict(load_file(path))
    except RuntimeError as error:
        wrong = f"{spec.source.entry} does not take the weights that it had when it was brought"
        raise BroughtError(f"{wrong}; undo the change to it. {error}") from error
    return classifier.to("cpu").eval().requires_grad_(requires_grad=False)


def is_brought(path: Path) -> bool:
    """Whether a safetensors file holds a brought network."""
    with safe_open(path, framework="pt") as file:
        return KEY in (file.metadata() or {})


def watched(network: nn.Module, latent: Latent, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the network's output [n, classes] and what went into or came out of a layer on the way."""
    seen: list[Any] = []
    layer = network.get_submodule(latent.layer)
    if latent.side == "input":
        handle = layer.register_forward_pre_hook(lambda _layer, given: seen.append(given[0]))
    else:
        handle = layer.register_forward_hook(lambda _layer, _given, output: seen.append(output))
    try:
        output = _answer_of(network(images))
    finally:
        handle.remove()
    return output, _answer_of(seen[-1])


def flat(seen: Tensor) -> Tensor:
    """Return one row an image: feature maps [n, c, h, w] and tokens [n, t, d] are averaged over their places."""
    if seen.dim() == 4:
        return seen.mean((2, 3))
    return seen.mean(1) if seen.dim() == 3 else seen.flatten(1)


def find_latent(network: nn.Module, images: Tensor, wanted: str, classes: int) -> Latent:
    """Return where latents are read: the output of the layer that is named, or the input of the last linear layer that was run."""
    names = {name: module for name, module in network.named_modules() if name}
    if wanted != AUTO:
        if wanted not in names:
            raise BroughtError(f'the network has no layer {wanted!r}; it has {_some(names)}. Or write latent = "auto"')
        side: Literal["input", "output"] = "output"
    else:
        run: list[str] = []
        handles = [
            module.register_forward_hook(lambda _layer, _given, output, name=name: run.append(name) if output.shape[-1] == classes else None)
            for name, module in names.items() if isinstance(module, nn.Linear)
        ]
        with torch.no_grad():
            network(images)
        for handle in handles:
            handle.remove()
        if not run:
            raise BroughtError(f"the network has no linear layer with {classes} outputs before which latents could be read; name one of its layers, "
                               f"whose output is taken: {_some(names)}")
        wanted, side = run[-1], "input"
    with torch.no_grad():
        _, seen = watched(network, Latent(wanted, side, 0), images)
    found = flat(seen)
    if len(found) != len(images) or not bool(found.isfinite().all()):
        raise BroughtError(f"the {side} of layer {wanted!r} is {list(seen.shape)} for {len(images)} images; name a layer with a row for each image")
    return Latent(wanted, side, found.shape[1])


def _answer_of(output: Any) -> Tensor:
    """The tensor in what a layer returned: itself, its `logits`, or the first of several."""
    if isinstance(output, Tensor):
        return output
    found = getattr(output, "logits", None)
    found = output[0] if found is None and isinstance(output, tuple | list) and output else found
    if not isinstance(found, Tensor):
        raise BroughtError(f"the network returns a {type(output).__name__}; expected a tensor [n, classes], or something with `logits`")
    return found


def _some(names: Any) -> str:
    found = [name for name in names if "." not in name] or list(names)
    return ", ".join(repr(name) for name in found[:20]) + (" ..." if len(found) > 20 else "")
