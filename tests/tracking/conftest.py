import tempfile
from pathlib import Path

import pytest

from tests.tracking.servers import mlflow_server, postgres


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URL of an MLflow server on PostgreSQL. In a folder that PostgreSQL's user may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="scanflow-postgres-") as above:
        Path(above).chmod(0o755)
        data = Path(above) / "postgres"
        data.mkdir()
        with postgres(data) as database, mlflow_server(tmp_path_factory.mktemp("mlflow"), database) as url:
            yield url
