"""Where the code of a brought network is, and how it is called: `net.py:build` beside a deployment file, or `package.module:name`."""

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from torch import nn

OWN = ("agents", "workflows", "models", "scenarios")


class SourceError(ValueError):
    """There is no network where it should be. The message says what was found and what to write."""


class Source(msgspec.Struct, frozen=True):
    """A network's code.

    Attributes
    ----------
    entry : "file.py:name", the file relative to `folder`, or "package.module:name"; the name is of a module, or of what returns one.
    folder : of the deployment file; modules are also looked for here.
    arguments : that the name is called with.

    >>> Source("torch.nn:Linear", "", {"in_features": 3, "out_features": 2}).build()
    Linear(in_features=3, out_features=2, bias=True)
    """

    entry: str
    folder: str
    arguments: Mapping[str, Any] = {}

    def build(self) -> nn.Module:
        """Import the code and make the network, with the weights that the code gives it.

        Raises
        ------
        SourceError
            The file, the module or the name is missing, the code fails, or it makes something else than a torch module.
        """
        found = self.find()
        if isinstance(found, nn.Module) and not self.arguments:
            return found
        if not callable(found) or isinstance(found, nn.Module):
            raise SourceError(f"{self.entry} is a {type(found).__name__} and cannot be called with arguments; leave `arguments` out")
        try:
            network = found(**self.arguments)
        except Exception as error:
            raise SourceError(f"{self.entry} called with {dict(self.arguments)} fails: {type(error).__name__}: {error}") from error
        if not isinstance(network, nn.Module):
            raise SourceError(f"{self.entry} returns a {type(network).__name__}; expected a torch.nn.Module")
        return network

    def find(self) -> Any:
        """Import the code and return what the entry names. Raises `SourceError`."""
        place, colon, name = self.entry.rpartition(":")
        if not colon or not name.isidentifier():
            raise SourceError(f"{self.entry!r} names no code; write 'file.py:name' or 'package.module:name', such as 'net.py:build'")
        found = getattr(self._module(place), name, None)
        if found is None:
            raise SourceError(f"{place} has no {name!r}; name something that is in it")
        return found

    def _module(self, place: str) -> ModuleType:
        try:
            return self._file(Path(self.folder) / place) if place.endswith(".py") else self._package(place)
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error

    def _file(self, path: Path) -> ModuleType:
        """Import a file under a name of its own, so that it may be called `models.py`; what it imports may stand beside it."""
        if not path.is_file():
            raise SourceError(f"there is no file {path}; the file of a network is looked for beside the deployment file")
        name = f"brought_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # as dataclasses in it expect
        with _importable(str(path.parent)):
            spec.loader.exec_module(module)
        return module

    def _package(self, place: str) -> ModuleType:
        if place.partition(".")[0] in OWN:
            raise SourceError(f"{place} is a part of scanflow-agents itself; name your file with its ending, such as '{place}.py:build'")
        with _importable(self.folder):
            return importlib.import_module(place)


class _importable:  # noqa: N801 - read as a word in a with statement
    """While it is entered, a folder is looked through for modules after all others."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        sys.path.append(self.folder)

    def __exit__(self, *_: object) -> None:
        sys.path.remove(self.folder)
