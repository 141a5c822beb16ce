"""When has a drift ended? Rarely too early, soon enough when it has."""

import numpy as np
import pytest

from models.checks import check_stream
from models.detectors.end import DriftEnd, Share, clean_share, rate_of_the_end


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


def test_the_bound_of_the_clean_share_holds_for_gates_whose_threshold_is_a_score_of_the_records_themselves():
    rng, over = np.random.default_rng(0), 0
    for _ in range(400):
        limit = np.sort(rng.random(150))[-1]  # the largest of 150 held-out scores: one of 151 fresh ones exceeds it
        over += (1 - limit) > clean_share(0, 150).most
    assert 0 < over <= 0.07 * 400
    assert clean_share(0, 150).expected == 1 / 151
    assert clean_share(9, 9) == Share(1.0, 1.0)


def test_where_the_clean_share_is_known_badly_the_rate_rises_but_never_so_far_that_a_drift_that_goes_on_is_ended():
    well, badly, hardly = (rate_of_the_end(Share(0.02, most), 0.92, 0.1) for most in (0.02, 0.03, 0.5))
    assert well < badly < hardly < 0.02 + 0.2 * 0.9
    assert rate_of_the_end(Share(0.02, 0.0), 0.92, 0.1) == well, "ledgers of before do not know the bound"
