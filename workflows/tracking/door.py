"""MLflow itself, as far as this project uses it: the only module that imports it. Import this where it is used, since it takes seconds."""

import os

# MLflow reads these when it is imported. A user's own setting is left as it is.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")  # by default a request to a server that is gone takes minutes to fail
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow import MlflowClient, MlflowException
from mlflow.artifacts import download_artifacts
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import Model, ModelSignature
from mlflow.store.entities import PagedList
from mlflow.types import Schema, TensorSpec

__all__ = [
    "Dataset", "DatasetInput", "InputTag", "Metric", "MlflowClient", "MlflowException", "Model", "ModelSignature", "ModelVersion", "PagedList",
    "Param", "Run", "RunTag", "Schema", "TensorSpec", "download_artifacts",
]
