"""A base image from Debian's own files, for where no image registry can be reached.

From the host's: the files of its packaged Python and of the libraries that this needs, taken as `dpkg` lists them; seconds.
From the mirror: `debootstrap`; a minute, and the host needs that tool and the right to use it.
"""

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from workflows.runners.runner import RunnerError

PYTHON = "python3.11"
ROOTS = (f"{PYTHON}-minimal", f"lib{PYTHON}-stdlib", "libstdc++6")
# Tools of package management and data that no Python module loads.
LEFT_OUT = frozenset({"debconf", "debconf-2.0", "dpkg", "perl-base", "tzdata", "media-types", "mailcap", "mime-support", "libtirpc-common"})
_NEEDLESS = re.compile(r"/usr/share/(doc|man|locale|lintian|bug|info|binfmts|applications|pixmaps)(/|$)")
FOLDERS = dict.fromkeys(("usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "proc", "sys", "dev", "run"), 0o755)
FOLDERS |= {"root": 0o700, "tmp": 0o1777}
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\nserver:x:10001:10001:server:/tmp:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nserver:x:10001:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def host_packages(roots: tuple[str, ...] = ROOTS) -> tuple[str, ...] | None:
    """The host's packages that a Python base needs, as name=version, sorted; None if the host has no such Python, or not all `roots`."""
    if shutil.which("dpkg-query") is None or not Path(f"/usr/bin/{PYTHON}").exists():
        return None
    text = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package}\t${Version}\t${db:Status-Status}\t${Pre-Depends}, ${Depends}\n"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    installed = {}
    for line in text.splitlines():
        name, version, status, depends = line.split("\t")
        if status == "installed":
            wanted = [re.split(r"[\s:(|]", part.strip(), maxsplit=1)[0] for part in depends.split(",")]
            installed[name] = version, [name for name in wanted if name]
    if not set(roots) <= set(installed):
        return None
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in installed and name not in found and name not in LEFT_OUT:
            found.add(name)
            waiting += installed[name][1]
    return tuple(sorted(f"{name}={installed[name][0]}" for name in found))


def digest(packages: tuple[str, ...]) -> str:
    """Names a base made of these packages by this module."""
    text = "\n".join((*packages, *ACCOUNTS.values(), _NEEDLESS.pattern))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_host_base(packages: tuple[str, ...], file: Path) -> None:
    """Write a root file system of the host's `packages` (see `host_packages`) as a tar file."""
    names = [package.partition("=")[0] for package in packages]
    listed = subprocess.run(["dpkg-query", "-L", *names], capture_output=True, text=True, check=True).stdout
    with tarfile.open(file, "w") as tar:
        _add_skeleton(tar)
        for source, target in sorted(_kept(listed.splitlines())):
            tar.add(source, target, recursive=False, filter=_owned_by_root)


def _kept(listed: list[str]) -> Iterator[tuple[str, str]]:
    """Path on the host and in the image, of all that is worth keeping and not in the skeleton."""
    seen = {*FOLDERS, *LINKS, *ACCOUNTS, "usr/bin/python3"}
    for source in listed:
        if not source.startswith("/") or _NEEDLESS.search(source) or not os.path.lexists(source):
            continue
        head, _, tail = source.lstrip("/").partition("/")
        target = f"{LINKS.get(head, head)}/{tail}".rstrip("/")
        if tail and target not in seen:
            seen.add(target)
            yield source, target


def _add_skeleton(tar: tarfile.TarFile) -> None:
    for name, mode in FOLDERS.items():
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, mode
        tar.addfile(folder)
    for name, target in (LINKS | {"usr/bin/python3": PYTHON}).items():
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, target
        tar.addfile(link)
    for name, text in ACCOUNTS.items():
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(text), 0o644
        tar.addfile(info, io.BytesIO(text.encode()))


def _owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


def write_mirror_base(file: Path) -> None:
    """Write a small Debian with Python, fetched from the host's own mirror by debootstrap, as a tar file. Raises `RunnerError`."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise RunnerError(
            "no base image: the registry cannot be reached, the host has no packaged Python 3.11, and debootstrap is missing or not run as "
            "root. Give a local image with --base-image, or: apt-get install debootstrap"
        )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        wanted = "--include=python3-minimal,libpython3.11-stdlib,libstdc++6"
        command = ["debootstrap", "--variant=minbase", wanted, "bookworm", str(root), *_mirror()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunnerError(f"debootstrap failed: {done.stdout[-500:]}{done.stderr[-500:]}")
        for needless in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"):
            shutil.rmtree(root / needless, ignore_errors=True)
        with tarfile.open(file, "w") as tar:
            tar.add(root, ".")


def _mirror() -> list[str]:
    """The mirror that the host's apt uses, as one more argument; none if apt says nothing."""
    if shutil.which("apt-get") is None:
        return []
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()[:1]
