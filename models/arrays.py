"""Arrays on disk: equal arrays make equal bytes, without pickle, and a file appears whole or not at all.

`numpy.savez` writes the time of day into the archive, so two runs of the same step would never have the same digest; and what zlib makes of
equal bytes depends on its version, so nothing is compressed.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that an archive can tell


def save_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz that `numpy.load` reads; its folder must exist.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("one", "two"):
    ...         save_npz(Path(folder) / name, {"x": np.arange(3)})
    ...     (Path(folder) / "one").read_bytes() == (Path(folder) / "two").read_bytes(), np.load(Path(folder) / "one")["x"].tolist()
    (True, [0, 1, 2])
    """
    draft = path.with_name(f".{path.name}.part")
    with zipfile.ZipFile(draft, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), content.getvalue())
    draft.replace(path)
