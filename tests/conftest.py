"""What all tests share: one thread per library, who may run where, and the order (fast ones first)."""

import os

# Before anything imports numpy, torch or ONNX Runtime: on two cores, threads that wait for each other cost more than they give,
# and sums that are split differently differ in the last bit.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["SCANFLOW_TRACK"] = "0"  # who tests the recording of runs asks for it
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import functools
import importlib.util
from pathlib import Path

import hypothesis
import pytest

from tests.tracking.servers import postgres_error
from tests.web.chromium import browser_error

hypothesis.settings.register_profile("patient", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("patient")
ROOT = Path(__file__).resolve().parent.parent
if (ROOT.parent / "shared" / "data").is_dir():
    os.environ.setdefault("SCANFLOW_SHARED_DATA", str(ROOT.parent / "shared" / "data"))

ORDER = ("browser", "postgres", "slow", "training", "docker", "ray")  # after the unmarked ones; a test counts as its last mark in this row
SECONDS = {"browser": 120, "postgres": 600, "slow": 300, "training": 300, "docker": 300, "ray": 600}  # until a test of this kind is ended, where it names no time itself


def kind(item: pytest.Item) -> int:
    """Where a test stands in the order: 0 for a fast one."""
    return max((place for place, mark in enumerate(ORDER, 1) if item.get_closest_marker(mark)), default=0)


@functools.cache
def engine_error() -> str | None:
    """Why no container engine can be used, or None if one answers."""
    if importlib.util.find_spec("docker") is None:
        return "the docker SDK is not installed"
    import docker

    try:
        client = docker.from_env(timeout=10)
    except docker.errors.DockerException as error:
        return f"no container engine answers ({error}); start one with: dockerd, or run .ci/run"
    try:
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        return f"the container engine does not answer ({error})"
    finally:
        client.close()
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, Ray last; a longer limit for the long ones; those of containers, browsers and PostgreSQL only where there are any.

    SCANFLOW_ENGINE=required, SCANFLOW_BROWSER=required and SCANFLOW_POSTGRES=required (set by .ci/run once they are there) turn the skip into a failure.
    """
    items.sort(key=kind)  # stable: within a kind, the order of the files stays
    for item in items:
        if kind(item) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS[ORDER[kind(item) - 1]]))
    for mark, variable, error in (
        ("docker", "SCANFLOW_ENGINE", engine_error), ("browser", "SCANFLOW_BROWSER", browser_error), ("postgres", "SCANFLOW_POSTGRES", postgres_error),
    ):  # fmt: skip
        marked = [item for item in items if item.get_closest_marker(mark)]
        if marked and os.environ.get(variable) != "required" and (reason := error()):
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the original data files and the reference corruptions (its README lists them); skips where there is none."""
    folder = os.environ.get("SCANFLOW_SHARED_DATA")
    if not folder:
        pytest.skip("SCANFLOW_SHARED_DATA is not set: it names the folder with MNIST/raw and mnist_c/reference_*.npz")
    if not Path(folder).is_dir():
        pytest.fail(f"SCANFLOW_SHARED_DATA names {folder}, which is not a folder")
    return Path(folder)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A fresh state folder, as `--state` takes it."""
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def one_ray():
    """Starting Ray takes about twenty seconds, so all tests share one."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, namespace="scanflow", log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()
