"""The first model of digits, trained once for all loops."""

import pytest

from workflows.steps.train import train


@pytest.fixture(scope="session")
def first_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "digits-first"
    train("digits", folder, name="digits-first")
    return folder
