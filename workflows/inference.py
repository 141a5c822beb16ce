"""The door to a running inference service: what can be asked of it, and what it answers.

`workflows.serving.service.Service` does it in memory, `workflows.serving.remote.RemoteInference` over ZeroMQ; both pass the
same contract tests, so everything above can be tested without a server.

A *record* is what was kept about one answered image. Records are numbered from 1 without gaps, in the order of the answers, and
kept in a bounded log; the images themselves are in a smaller ring. A reader goes on from the last number it has seen.
"""

from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray


class InferenceError(Exception):
    """Something asked of an inference service could not be done; nothing was changed and no record was made."""


class BadImages(InferenceError):
    """The images have another shape, dtype, number or range than the active pipeline takes."""


class NoPipeline(InferenceError):
    """No pipeline is active yet, so nothing can be answered. Load one and activate it."""


class UnknownPipeline(InferenceError):
    """No pipeline of this name is loaded."""


class PipelineConflict(InferenceError):
    """The pipeline is loaded with other content, does not fit the log, is in use, or there are too many."""


class NothingToUndo(InferenceError):
    """No earlier pipeline is loaded to go back to."""


class CursorAhead(InferenceError):
    """The reader has seen more records than the log has: the server began anew. Start from 0; `Records.log` has changed."""


class Answers(msgspec.Struct, frozen=True, eq=False):
    """The answers to n images.

    `trust` is d_other / (d_other + d_predicted) from the distances of the latent to the nearest reference latents of the
    predicted class and of all others: 1 means surely in the predicted class, below 0.5 that another one is nearer.

    Source: Jiang, Kim, Guan, Gupta (2018). To trust or not to trust a classifier. NeurIPS 31.
    """

    seqs: NDArray[np.int64]  # [n] numbers of the records that these answers became
    labels: NDArray[np.int64]  # [n]
    probabilities: NDArray[np.float32]  # [n, k], rows sum to 1
    trust: NDArray[np.float32]  # [n] in [0, 1]
    version: str
    routed: NDArray[np.bool_]  # [n] whether the image took the path behind the gate


class Records(msgspec.Struct, frozen=True, eq=False):
    """The records `first` to `last`; none if last < first. Ask for those after `last` next.

    `lost` is the range (first, last) of records that were overwritten before this reader asked for them.
    `log` names the life of the log: it changes when the server begins anew, and numbers begin at 1 again.
    """

    log: str
    first: int
    last: int
    lost: tuple[int, int] | None
    seqs: NDArray[np.int64]  # [n]
    time: NDArray[np.float64]  # [n] UTC seconds
    version: NDArray[np.str_]  # [n] of the pipeline that answered
    label: NDArray[np.int64]  # [n]
    routed: NDArray[np.bool_]  # [n]
    logits: NDArray[np.float32]  # [n, k]
    early: NDArray[np.float32]  # [n, e] of the raw image
    latent: NDArray[np.float32]  # [n, d] of the raw image
    every: int = 1  # of so many records one is here, the last of them


class Images(msgspec.Struct, frozen=True, eq=False):
    """Those of the images asked for that are still in the ring, in the order asked."""

    seqs: NDArray[np.int64]  # [n]
    images: NDArray[Any]  # uint8 [n, h, w] for grey, [n, h, w, 3] for colour; of a table float32 [n, features]


class Shadow(msgspec.Struct, frozen=True, eq=False):
    """What a loaded pipeline answers to images that another one has answered already. Makes no records."""

    seqs: NDArray[np.int64]  # [n] those still in the ring
    labels: NDArray[np.int64]  # [n]
    confidence: NDArray[np.float32]  # [n] highest probability
    seconds_per_image: float


class Stats(msgspec.Struct, frozen=True):
    """How a service is doing. Counts are since `started` (UTC seconds)."""

    log: str
    started: float
    first: int  # oldest record still in the log
    last: int  # newest; 0 if there is none
    first_image: int  # oldest image still in the ring
    requests: int  # answered requests
    rejected: int  # requests with bad images
    seconds: float  # spent answering, summed over requests
    active: str | None
    previous: str | None
    version: str | None
    refused_connections: int = 0  # control connections with a wrong key


class Inference(Protocol):
    """A running inference service. Every method raises `InferenceError` (or `PipelineError`) and then has changed nothing."""

    def infer(self, images: NDArray[Any]) -> Answers:
        """Answer images [n, c, h, w], float32 in [0, 1] or uint8. Raises `BadImages`, `NoPipeline`."""

    def records(self, after: int, limit: int = 1000, *, spread: bool = False) -> Records:
        """At most `limit` records after number `after` (0 at the start), oldest first. Raises `CursorAhead`.

        With `spread`, every k-th of all there are, k as small as `limit` allows, so that a reader never falls behind.
        """

    def images(self, seqs: NDArray[np.int64]) -> Images:
        """The images of these records, as far as they are still kept."""

    def load(self, folder: Path) -> str:
        """Load a pipeline folder and say its name; it answers nothing yet. Raises `PipelineError`, `PipelineConflict`."""

    def activate(self, name: str) -> None:
        """Let a loaded pipeline answer from the next request on. Raises `UnknownPipeline`."""

    def undo(self) -> str:
        """Go back to the pipeline that was active before, and say its name. Raises `NothingToUndo`."""

    def unload(self, name: str) -> None:
        """Forget a loaded pipeline that is not active. Raises `UnknownPipeline`, `PipelineConflict`."""

    def pipelines(self) -> tuple[tuple[str, bool], ...]:
        """Names of the loaded pipelines, in the order of loading, and whether each is the active one."""

    def shadow(self, name: str, seqs: NDArray[np.int64]) -> Shadow:
        """Run a loaded pipeline on images of the ring, beside the requests. Raises `UnknownPipeline`."""

    def stats(self) -> Stats:
        """How the service is doing."""
