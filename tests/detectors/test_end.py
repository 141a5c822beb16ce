"""When has a drift ended? Rarely too early, soon enough when it has."""

import numpy as np
import pytest

from models.checks import check_stream
from models.detectors.end import DriftEnd


def test_a_drift_at_the_very_rate_ends_falsely_no_more_often_than_stated():
    rng, records = np.random.default_rng(0), 40_000
    flags = rng.random(records) < 0.1
    end, false_ends, start, at = DriftEnd(rate=0.1, run_length=1000), 0, 0, 0
    while at < records:
        if end.update(flags[at : at + 200]):
            false_ends += 1
            start = at = start + end.ended_at + 1  # begin anew behind it, as if records came one by one
            end.reset()
        else:
            at += 200
    assert false_ends <= records / 1000


def test_the_end_is_found_within_400_records_even_when_the_gate_routes_one_clean_record_in_fifty():
    errors = []
    for seed in range(10):
        rng, end = np.random.default_rng(seed), DriftEnd()
        assert not end.update(rng.random(3000) < 0.9)
        assert end.update(rng.random(600) < 0.02) and end.ended_at - 3000 < 400
        errors.append(abs(end.onset - 3000))
    assert np.median(errors) < 20


def test_it_keeps_the_contract_of_stream_detectors():
    flags = np.random.default_rng(0).random(400) < np.repeat([0.6, 0.02], 200)
    check_stream(DriftEnd, lambda end, start, stop: (end.update(flags[start:stop]), end.ended_at, end.onset), 400)


def test_rates_and_flags_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="strictly between"):
        DriftEnd(rate=0)
    with pytest.raises(ValueError, match="flat array of true and false"):
        DriftEnd().update([0.5])
