"""What a step runs in: the image, and how much of the machine and of the world it may use.

It is a wish that each runner fulfils as far as it can: containers in full; Ray keeps processors, memory and GPUs free for the step, and starts
the container where a container engine is; a plain process is held to nothing, and says so.
"""

import re
from pathlib import PurePosixPath

import msgspec

MEMORY = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]i?B|B)?")
_UNITS = {"B": 1, **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)}}
_UNITS |= {f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)}
NO_NETWORK = "none"
CONTRACT = "/scanflow"  # where a container shows a step what the contract promises


class Mount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file or folder of the machine, shown to the step at `target`. What is written to it is no artefact, so it is read-only by default."""

    source: str
    target: str
    writable: bool = False


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a step runs in. Paths are relative to the graph's file.

    Parameters
    ----------
    image : a container image; pulled if it is not there.
    dockerfile : an image is built from it, with its folder as context, and kept under the digest of that.
    requirements : libraries, as a list or as the file that lists them; an image with them is built upon `base`, and kept under their digest.
        Without any of these three a container holds the same Python and the same libraries as the engine's own process.
    base : image below `requirements`, with Python 3.11 to 3.13 as `python3`; default is that of the engine's Python.
    cpus : processors (1.5 is one and a half); 0 is no limit.
    memory : bytes, or text such as "512MiB"; 0 is no limit.
    gpus : how many GPUs.
    network : "none"; "bridge" is the engine's own way out; or the name of one of its networks.
    mounts : what else of the machine the step sees.
    """

    image: str = ""
    dockerfile: str = ""
    requirements: tuple[str, ...] | str = ()
    base: str = ""
    cpus: float = 0.0
    memory: int | str = 0
    gpus: int = 0
    network: str = NO_NETWORK
    mounts: tuple[Mount, ...] = ()

    @property
    def bytes(self) -> int:
        """`memory` in bytes."""
        return self.memory if isinstance(self.memory, int) else bytes_of(self.memory)

    @property
    def wants_image(self) -> bool:
        """Whether it names what its container is made from."""
        return bool(self.image or self.dockerfile or self.requirements)

    @property
    def wants_container(self) -> bool:
        """Whether a plain process would be something else altogether."""
        return self.wants_image or bool(self.mounts)


PLAIN = Environment()


def bytes_of(text: str) -> int:
    """Bytes, from text. Raises ValueError.

    >>> bytes_of("512MiB"), bytes_of("1.5 GB")
    (536870912, 1500000000)
    """
    if (found := MEMORY.fullmatch(text.strip())) is None:
        raise ValueError(f'{text!r} is no amount of memory; write bytes, or text such as "512MiB" or "2GB"')
    return int(float(found[1]) * _UNITS[found[2] or "B"])


def fault_of(environment: Environment) -> str:
    """What is wrong with an environment, as one sentence; empty if nothing is.

    >>> fault_of(Environment(image="a", dockerfile="b"))
    'image and dockerfile both say what the container is made from; leave one of them'
    """
    chosen = [name for name in ("image", "dockerfile", "requirements") if getattr(environment, name)]
    if len(chosen) > 1:
        return f"{chosen[0]} and {chosen[1]} both say what the container is made from; leave one of them"
    if environment.base and not environment.requirements:
        return f"base = {environment.base!r} is what requirements are installed upon, and there are none; write image = {environment.base!r}"
    try:
        if environment.bytes < 0 or 0 < environment.bytes < 6 << 20:
            return f"memory = {environment.memory!r}: a container needs 6 MiB or more; 0 is no limit"
    except ValueError as error:
        return f"memory = {error}"
    if not 0 <= environment.cpus < 1 << 16 or environment.gpus < 0:
        return "cpus and gpus are numbers from 0 on; cpus = 0: no limit"
    if 0 < environment.cpus < 0.01:
        return f"cpus = {environment.cpus}: the least is 0.01; 0 is no limit"
    if not re.fullmatch(r"[\w][\w.-]*", environment.network):
        return f'network = {environment.network!r}: write "none", "bridge", or the name of a network of the container engine'
    seen = set()
    for mount in environment.mounts:
        if not mount.source or not re.fullmatch(r"/[^\0:]+", mount.target) or ".." in mount.target.split("/"):
            return f"the mount {mount.source!r} -> {mount.target!r}: write source = a path here, target = a whole path there, such as /data"
        target = PurePosixPath("/", *mount.target.split("/"))  # one name for each place
        if str(target) in {"/", "/tmp"} or target.is_relative_to(CONTRACT):  # noqa: S108 - the container's own
            return f"the mount {mount.source!r} -> {mount.target!r}: {target} is taken by the container itself; use another target, such as /data"
        if target in seen:
            return f"two mounts share the target {mount.target!r}"
        seen.add(target)
    return ""
