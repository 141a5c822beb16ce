"""The evidence of an incident on disk: the records since the drift began, with their images."""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.arrays import save_npz


class Window(msgspec.Struct, frozen=True, eq=False):
    """n drifted records: sequence numbers int64 [n], images uint8 [n, ...], features float32, answers int64 [n]."""

    seqs: NDArray[np.int64]
    images: NDArray[np.uint8]
    early: NDArray[np.float32]
    latent: NDArray[np.float32]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write without pickle; the file appears whole or not at all."""
        save_npz(path, {name: getattr(self, name) for name in self.__struct_fields__})

    @classmethod
    def load(cls, path: Path) -> "Window":
        """Read what `save` wrote. Raises OSError or ValueError."""
        with np.load(path, allow_pickle=False) as archive:
            return cls(**{name: archive[name] for name in cls.__struct_fields__})

    def positions(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the given sequence numbers, all of which must be in the window."""
        order = np.argsort(self.seqs)
        found = order[np.searchsorted(self.seqs, seqs, sorter=order).clip(max=len(order) - 1)]
        if not np.array_equal(self.seqs[found], seqs):
            raise KeyError(f"records {sorted(set(seqs.tolist()) - set(self.seqs.tolist()))} are not part of this window")
        return np.asarray(found, np.int64)
