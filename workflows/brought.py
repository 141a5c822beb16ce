"""A deployment as its owner writes it down: which model, which classes, where clean data is. Ten lines of TOML; docs/your-model.md.

    name = "pets"
    classes = ["cat", "dog"]          # in the order of the model's outputs
    policy = "strict.toml"            # may be left out: the rules for this deployment, beside --policy

    [model]
    torch = "net.py:build"            # or onnx = "model.onnx"
    weights = "net.safetensors"
    input = [3, 64, 64]               # channels, height, width

    [data]
    train = "photos/train"            # what the model learned from: a folder for each class, or an .npz file
    held_out = "photos/held-out"      # what it never saw
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from scenarios import brought
from scenarios.datasets import DATASETS

NAME = r"[a-z0-9][a-z0-9-]{0,34}"  # of a deployment: it is a folder, a container and a part of an address


class DeploymentFileError(ValueError):
    """A deployment file cannot be used. The text names the file, the key, and what is expected."""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the model is and what it takes.

    `torch`: a torch module or what makes one, "file.py:name" or "package.module:name", called with `arguments`; `weights`: its state dict,
    safetensors or a file of torch. `onnx`: a file instead of both. `input`: channels, height and width. `mean`, `std`: of each channel in
    [0, 1], where the model wants images normalised. `latent`: the layer (of an ONNX file: the value) whose output is watched, or "auto".

    Instead of images an ONNX file may take rows of a table: `features` names its columns, with their units, and `refit` the code that
    trains it anew, "file.py:name", called with rows and labels; it returns an ONNX model.
    """

    torch: str | None = None
    arguments: dict[str, Any] = {}
    weights: str | None = None
    onnx: str | None = None
    input: tuple[int, int, int] | None = None
    features: tuple[str, ...] | None = None
    refit: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    latent: str = "auto"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width; a row of f features counts as (f, 1, 1)."""
        assert self.input is not None or self.features is not None  # as load_deployment has checked
        return self.input if self.input is not None else (len(self.features or ()), 1, 1)


class DeploymentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a deployment file says; relative paths in it start from `folder`, where it lies. `policy`: a file with the rules for this one."""

    name: str
    policy: str | None = None
    classes: tuple[str, ...] | None = None
    model: Model
    data: brought.Brought
    folder: str = ""


def load_deployment(path: Path) -> DeploymentFile:
    """Read a deployment file.

    Raises
    ------
    DeploymentFileError
        It cannot be read, is not TOML, or a key is missing, unknown or wrong.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise DeploymentFileError(f"{path}: cannot be read ({reason}); give an existing TOML file with --deployment") from error
    except tomllib.TOMLDecodeError as error:
        raise DeploymentFileError(f"{path}: not valid TOML: {error}") from error
    _check_keys(raw, path)
    try:
        found = msgspec.convert(raw | {"folder": str(path.resolve().parent)}, DeploymentFile)
    except msgspec.ValidationError as error:
        place = re.search(r"at `\$\.([\w.]+)", str(error))
        raise DeploymentFileError(f"{path}: {place[1] if place else 'top level'}: {str(error).partition(' - at')[0]}") from error
    _check(found, path)
    return found


def _check_keys(raw: dict[str, Any], path: Path) -> None:
    tables = (("", DeploymentFile, raw), ("model", Model, raw.get("model", {})), ("data", brought.Brought, raw.get("data", {})))
    for table, kind, values in tables:
        allowed = [field.name for field in msgspec.structs.fields(kind) if field.name != "folder"]
        where = f"[{table}]" if table else "the top level"
        if not isinstance(values, dict):
            raise DeploymentFileError(f"{path}: {table} is a table; write [{table}] and its keys below it")
        for key in values:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, 1)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                raise DeploymentFileError(f"{path}: {where} has no key {key!r}{hint} Allowed: {', '.join(allowed)}")


def _check(found: DeploymentFile, path: Path) -> None:
    model = found.model
    if not re.fullmatch(NAME, found.name):
        raise DeploymentFileError(f"{path}: name = {found.name!r}; expected up to 35 small letters, digits and dashes")
    if found.name in DATASETS:
        raise DeploymentFileError(f"{path}: name = {found.name!r} is a data set of the package; choose another one")
    if (model.torch is None) == (model.onnx is None):
        which = "both torch and onnx" if model.torch else "neither torch nor onnx"
        raise DeploymentFileError(f"{path}: [model] has {which}; expected one of them, "
                                  'such as torch = "net.py:build" or onnx = "model.onnx"')
    if model.onnx is not None and (model.weights or model.arguments):
        raise DeploymentFileError(f"{path}: [model] has weights or arguments beside onnx; an ONNX file brings its own weights, leave them out")
    _check_input(model, path)
    if found.classes is not None and (len(found.classes) < 2 or len(set(found.classes)) < len(found.classes)):
        wanted = "two or more different names, in the order of the model's outputs"
        raise DeploymentFileError(f"{path}: classes = {list(found.classes)}; expected {wanted}")


def _check_input(model: Model, path: Path) -> None:
    if (model.input is None) == (model.features is None):
        which = "both input and features" if model.input else "neither input nor features"
        raise DeploymentFileError(f"{path}: [model] has {which}; expected input = [channels, height, width] for images, "
                                  'or features = ["age (years)", ...] for rows of a table')
    if model.features is not None:
        if model.onnx is None or model.mean or model.std:
            raise DeploymentFileError(f"{path}: [model] features are of an ONNX file that takes rows as they are; give onnx, without mean and std")
        if not model.features or len(set(model.features)) < len(model.features):
            raise DeploymentFileError(f"{path}: [model] features = {list(model.features)}; expected different names, one for each column")
        return
    if model.refit is not None:
        raise DeploymentFileError(f"{path}: [model] refit is for rows of a table; models for images are trained by the remedies themselves")
    assert model.input is not None
    channels, height, width = model.input
    if channels not in (1, 3) or min(height, width) < 8:
        wanted = "[channels, height, width], 1 or 3 channels and at least 8x8 pixels"
        raise DeploymentFileError(f"{path}: [model] input = {list(model.input)}; expected {wanted}")
