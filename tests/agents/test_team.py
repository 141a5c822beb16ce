"""What the agents are made with."""

import pytest

from agents.policy import from_toml
from agents.team import factories
from models.detectors.synthetic import mixture, mixture_reference


@pytest.mark.parametrize("block", [1, 20])
def test_the_checker_tests_with_the_run_length_and_the_block_of_the_policy(block, tmp_path):
    path = tmp_path / "reference.npz"
    mixture_reference(seed=0, fit=200, calibration=200).save(path)
    policy = from_toml(f"[detection]\nrun_length = 1e5\nblock = {block}\n")
    monitor = factories("digits", policy)["checker"]().load_monitor(str(path))
    reading = monitor.update(*mixture(400, seed=2, shift=4.0))
    assert reading.alarm
    assert (reading.alarm_at + 1) % block == 0
    assert f"run_length=100000 tolerance=0.1 confidence=0.95 block={block}".encode() in monitor.state()
