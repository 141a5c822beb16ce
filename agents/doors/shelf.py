"""Pipelines by name: their folders, manifests, and which one is another's base."""

from pathlib import Path

from agents.state import State
from models.pipeline import MANIFEST, Manifest, PipelineError


VERSION = "registered_version"


class Shelf:
    """All pipelines of a state folder."""

    def __init__(self, state: State) -> None:
        self._state = state

    def folder(self, name: str) -> Path:
        """Folder of a pipeline, there or not."""
        return self._state.pipeline(name)

    def manifest(self, name: str) -> Manifest:
        """What a pipeline says of itself. Raises `PipelineError` when there is none of this name."""
        path = self.folder(name) / MANIFEST
        try:
            manifest = Manifest.parse(path.read_bytes())
        except OSError as error:
            raise PipelineError(f"there is no pipeline {name!r}: {path} cannot be read ({error.strerror})") from error
        if manifest.version != name:  # its records would bear a name that nobody supervises
            raise PipelineError(f"{path} says version {manifest.version!r}; expected the name of its folder, {name!r}")
        return manifest

    def base(self, name: str) -> str:
        """What is left when everything behind gates is taken out: the ungated pipeline that `name` descends from."""
        manifest = self.manifest(name)
        while manifest.gated and manifest.parent is not None:
            name = manifest.parent
            manifest = self.manifest(name)
        return name

    def forgets(self, name: str, live: str) -> bool:
        """Whether `live` has routes and `name` was not made from it, so that going over to `name` would lose them."""
        if name == live or not self.manifest(live).routes:
            return False
        parent = self.manifest(name).parent
        while parent is not None and parent != live:
            parent = self.manifest(parent).parent
        return parent is None

    def note_version(self, name: str, version: str) -> None:
        """Keep under which version the registry has a pipeline."""
        (self.folder(name) / VERSION).write_text(version)

    def version(self, name: str) -> str:
        """The registry's version of a pipeline; its own name where it was never registered."""
        file = self.folder(name) / VERSION
        return file.read_text() if file.exists() else name

    def reference(self, name: str) -> Path:
        """The reference file in use for a pipeline: its own, or the newest that has adopted a change."""
        adopted = sorted(self.folder(name).glob("adopted-*.npz"))
        return adopted[-1] if adopted else self.folder(name) / self.manifest(name).reference
