"""A running inference service in another process or container, over its control socket."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import workflows.inference as api
from models.pipeline import PipelineError, read_files
from workflows.serving.wire import KeyPair, RemoteError, WireClient

SHADOW_CHUNK = 16  # images in one command: the server answers one command at a time, others want their turn, and a large network takes its time
ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        api.BadImages, api.CursorAhead, api.InferenceError, api.NoPipeline, api.NothingToUndo, api.PipelineConflict, api.UnknownPipeline,
        PipelineError,
    )
}  # fmt: skip


class RemoteInference:
    """Implements `workflows.inference.Inference` for a server elsewhere. Thread-safe.

    Every method may also raise `workflows.serving.wire.WireError`: no reply within `timeout` seconds, or a refused key.
    """

    def __init__(self, address: str, server_key: str, keys: KeyPair, timeout: float = 10.0) -> None:
        self._wire = WireClient(address, server_key, keys, timeout)

    def close(self) -> None:
        """Disconnect."""
        self._wire.close()

    def infer(self, images: NDArray[Any]) -> api.Answers:
        """See `Inference.infer`."""
        return api.Answers(**self._call("infer", images=images))

    def records(self, after: int, limit: int = 1000, *, spread: bool = False) -> api.Records:
        """See `Inference.records`."""
        got = self._call("records", after=after, limit=limit, **({"spread": True} if spread else {}))
        return api.Records(**{**got, "lost": None if got["lost"] is None else (got["lost"][0], got["lost"][1])})

    def images(self, seqs: NDArray[np.int64]) -> api.Images:
        """See `Inference.images`."""
        return api.Images(**self._call("images", seqs=np.asarray(seqs, np.int64)))

    def load(self, folder: Path) -> str:
        """See `Inference.load`. The files travel as bytes: the server need not see the folder."""
        return str(self._call("load", files=read_files(folder)))

    def activate(self, name: str) -> None:
        """See `Inference.activate`."""
        self._call("activate", name=name)

    def undo(self) -> str:
        """See `Inference.undo`."""
        return str(self._call("undo"))

    def unload(self, name: str) -> None:
        """See `Inference.unload`."""
        self._call("unload", name=name)

    def pipelines(self) -> tuple[tuple[str, bool], ...]:
        """See `Inference.pipelines`."""
        return tuple((name, active) for name, active in self._call("pipelines"))

    def shadow(self, name: str, seqs: NDArray[np.int64]) -> api.Shadow:
        """See `Inference.shadow`. Asked in parts, so that a long one does not keep other commands waiting."""
        seqs = np.asarray(seqs, np.int64).reshape(-1)
        starts = range(0, max(1, len(seqs)), SHADOW_CHUNK)
        parts = [self._call("shadow", name=name, seqs=seqs[at : at + SHADOW_CHUNK]) for at in starts]
        whole = {key: np.concatenate([part[key] for part in parts]) for key in ("seqs", "labels", "confidence")}
        spent = sum(part["seconds_per_image"] * len(part["seqs"]) for part in parts)
        return api.Shadow(**whole, seconds_per_image=spent / max(1, len(whole["seqs"])))

    def stats(self) -> api.Stats:
        """See `Inference.stats`."""
        return api.Stats(**self._call("stats"))

    def _call(self, command: str, **payload: Any) -> Any:
        try:
            return self._wire.call(command, **payload)
        except RemoteError as error:
            if error.kind in ERRORS:
                raise ERRORS[error.kind](str(error)) from error
            raise
