"""Weights on disk: equal ones make equal bytes.

Safetensors writes the keys of its header's metadata in no fixed order, so all that is to be said of the weights stands under one key.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

SHAPE = "shape"


def save_weights(module: nn.Module, path: Path, shape: Mapping[str, str]) -> None:
    """Write a module's state, and in the header what it takes to make the module again."""
    state: dict[str, Tensor] = {name: value.contiguous() for name, value in module.state_dict().items()}
    save_file(state, path, metadata={SHAPE: json.dumps(shape, sort_keys=True)})


def shape_of(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """What `save_weights` noted in the header; files from before hold it key by key."""
    noted = dict(metadata or {})
    try:
        found = json.loads(noted[SHAPE])
    except (KeyError, ValueError):
        return noted
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else noted
