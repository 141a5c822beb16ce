"""What belongs to the code of a step: when it changes, the step is another one and must run again.

For a Python module these are its own source and that of the modules of the same project that it imports, directly and by detours.
Installed libraries are part of the environment instead, where their versions count.
"""

import ast
import functools
import hashlib
import inspect
import itertools
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from workflows.artefacts import digest
from workflows.graph import Step
from workflows.step import StepError, find


def call_digest(call: str, base: Path) -> str | None:
    """A digest of the code behind "module:function"; None if its source cannot be found. `base` is the graph's folder."""
    module = call.partition(":")[0]
    files = sources(module, [base, *map(Path, sys.path)])
    if files:
        return _joined(call, *(f"{name} {digest(file)}" for name, file in files.items()))
    try:  # from a notebook or a terminal: all there is of it is the function
        return _joined(call, inspect.getsource(find(call)))
    except (OSError, TypeError, StepError):
        return None


def command_digest(command: Sequence[str], base: Path) -> str:
    """A digest of a command line, of the files that it names, and of the module behind `python -m`."""
    parts = []
    for before, word in zip(("", *command), command, strict=False):
        if (file := base / word).is_file():
            parts.append(f"{word} {digest(file)}")
        elif before == "-m":
            parts += [f"{name} {digest(file)}" for name, file in sources(word, [base, *map(Path, sys.path)]).items()]
    return _joined(*command, *parts)


def files_digest(files: Sequence[str], base: Path) -> str:
    """A digest of further files of a step. Raises FileNotFoundError."""
    return _joined(*(f"{name} {digest(base / name)}" for name in files))


def code_files(step: Step, base: Path) -> dict[str, Path]:
    """The files in the graph's folder that make a step, by their names there: what its digest counts, and what its image is built from.

    Another machine needs these to run it. Raises FileNotFoundError.
    """
    named = [word for word in step.command if (base / word).is_file()] + list(step.files)
    modules = [word for before, word in itertools.pairwise(step.command) if before == "-m"] + ([step.call.partition(":")[0]] if step.call else [])
    found = {str(file.relative_to(base)): file for module in modules for file in sources(module, [base]).values()}
    if isinstance(wanted := step.environment.requirements, str) and wanted:
        named.append(wanted)
    if step.environment.dockerfile:
        from workflows.runners.docker_containers import context_files

        folder = Path(step.environment.dockerfile).parent
        named += [str(folder / name) for name in context_files(base / step.environment.dockerfile) if not (base / folder / name).is_dir()]
    for name in named:
        path = base / name
        if not path.resolve().is_relative_to(base.resolve()):
            continue  # it lies elsewhere, and must be there on the other machine as well
        if path.is_dir():
            found |= {str(one.relative_to(base)): one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts}
        else:
            path.stat()
            found[str(path.relative_to(base))] = path
    return found


def sources(module: str, path: Sequence[Path]) -> dict[str, Path]:
    """The source files of `module` and of what it imports from the same root folder, by module; empty if it is not on `path`.

    >>> list(sources("workflows.words", [Path(".")]))
    ['workflows', 'workflows.words']
    """
    libraries = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")}
    for root in path:
        if root in libraries or not root.is_dir():
            continue
        if _file(root, module) is not None:
            return _followed(root, module)
    return {}


def _followed(root: Path, module: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for part in (name.rsplit(".", count)[0] for count in range(name.count("."), -1, -1)):  # importing a.b runs a first
            file = _file(root, part)
            if file is not None and part not in found:
                found[part] = file
                waiting += _imported(file.read_bytes(), part if file.name == "__init__.py" else part.rpartition(".")[0])
    return found


def _file(root: Path, module: str) -> Path | None:
    place = root.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


@functools.lru_cache(maxsize=1024)  # by the text itself, so a changed file is read anew: to parse costs a hundred times what to read does
def _imported(source: bytes, package: str) -> tuple[str, ...]:
    """The modules that a source imports, as far as its text tells; names that are no modules are among them, and do no harm."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()  # it cannot be imported either: the step will say so
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
                start = f"{above}.{start}".strip(".")
            found += [start, *(f"{start}.{name.name}" for name in node.names)]
    return tuple(name for name in found if name)


def _joined(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
