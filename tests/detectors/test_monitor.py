"""The monitor: few false alarms by construction, quick true ones, exact restoring."""

from itertools import islice

import numpy as np
import pytest

from models.checks import check_stream
from models.detectors.bets import KINDS, place_bets
from models.detectors.e_detector import EDetector
from models.detectors.monitor import Monitor
from models.detectors.synthetic import mixture, mixture_reference
from scenarios.datasets import load, shared_data


def alarms(monitor, p_values, batch=500):
    """Feed p-values in batches, reset at every alarm, and count the alarms."""
    count = 0
    for at in range(0, len(p_values), batch):
        if monitor.follow(p_values[at : at + batch]).alarm:
            count += 1
            monitor.reset()
    return count


@pytest.mark.parametrize(("run_length", "records"), [(100, 20_000), (1000, 50_000), pytest.param(1000, 100_000, marks=pytest.mark.slow)])
def test_the_mean_run_length_to_a_false_alarm_is_at_least_the_stated_one(run_length, records):
    """On exactly uniform p-values, where the bound is tightest; the spread of the count is that of a Poisson variable."""
    e_values = place_bets(np.random.default_rng(0).uniform(size=records))
    detector, count, start, at = EDetector(run_length=run_length, bets=KINDS), 0, 0, 0
    while at < records:
        if detector.update(e_values[at : at + 200]):
            count += 1
            start = at = start + detector.alarm_at + 1  # begin anew behind the alarm, as if records came one by one
            detector.reset()
        else:
            at += 200
    bound = records / run_length
    assert bound / 50 < count <= bound + 3 * bound**0.5, "at most the bound, and not so few that the detector could be sharper for free"


@pytest.mark.slow
@pytest.mark.parametrize("calibration", [300, 5000])
def test_200_000_clean_records_raise_no_alarm_at_a_run_length_of_a_million(calibration):
    """Fresh clean records through the p-values of one fixed calibration set, at the stated run length and at one that is easy to check."""
    monitor, checkable = (Monitor(mixture_reference(seed=5, calibration=calibration), run_length) for run_length in (1e6, 1e4))
    p_values = np.concatenate([monitor.p_values(*mixture(20_000, seed=seed)) for seed in range(10)])
    assert alarms(monitor, p_values) == 0
    assert alarms(checkable, p_values) <= 20


def test_counting_alone_learns_the_error_of_a_small_calibration_set_as_drift():
    """Why p-values are upper bounds: the usual ones alarm on clean records for ever, here with most calibration sets."""

    stream = mixture(20_000, seed=99)

    def alarms_at_all(seed):
        monitor = Monitor(mixture_reference(seed=seed, calibration=100, fit=200), confidence=0.0, tolerance=0.0)
        p_values = monitor.p_values(*stream)
        return any(monitor.follow(p_values[at : at + 500]).alarm for at in range(0, len(p_values), 500))

    assert len(list(islice(filter(alarms_at_all, range(6)), 2))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_200_000_resampled_test_images_raise_no_alarm_with_a_real_classifier(name):
    """Clean images that neither the classifier, nor the fit part, nor the calibration part has seen; three orders of 200,000 each."""
    from models.training import look, make_reference, train_classifier

    root = shared_data() if name == "mnist" else None
    if name == "mnist" and root is None:
        pytest.skip("SCANFLOW_SHARED_DATA is not set: it names the folder with MNIST/raw")
    train, calibration, test = (load(name, split, root) for split in ("train", "calibration", "test"))
    classifier = train_classifier(train.images[:9000], train.labels[:9000], len(train.classes), epochs=3)
    reference = make_reference(classifier, (train.images, train.labels), (calibration.images, calibration.labels))
    seen = look(classifier, test.images[-6000:])
    monitor, checkable = Monitor(reference, run_length=1e6), Monitor(reference, run_length=1e4)
    p_values = monitor.p_values(seen.early.numpy(), seen.latent.numpy())
    for seed in range(3):
        stream = np.random.default_rng(seed).choice(p_values, 200_000)
        assert alarms(monitor, stream) == 0
        assert alarms(checkable, stream) <= 20


def test_a_sudden_change_is_found_within_a_few_records_and_dated_right():
    monitor = Monitor(mixture_reference(seed=0))
    delays, errors = [], []
    for seed in range(20):
        monitor.reset()
        monitor.update(*mixture(300, seed=100 + seed))
        reading = monitor.update(*mixture(300, seed=200 + seed, shift=1.2))
        delays.append(reading.alarm_at - 299)
        errors.append(abs(reading.onset - 300))
    assert np.median(delays) <= 30
    assert np.median(errors) <= 3


def test_a_rare_change_is_found_too_however_long_the_clean_stream_before_it():
    """One record in ten drifts: a detector that adds every record to its calibration would get used to it."""
    monitor = Monitor(mixture_reference(seed=0))
    clean = monitor.p_values(*mixture(5000, seed=1))
    odd = monitor.p_values(*mixture(5000, seed=2, shift=3.0))
    rng = np.random.default_rng(0)
    assert not monitor.follow(rng.choice(clean, 20_000)).alarm
    reading = monitor.follow(np.where(rng.random((2000, 1)) < 0.1, rng.choice(odd, 2000), rng.choice(clean, 2000)))
    assert reading.alarm and reading.alarm_at - 20_000 < 400


def test_an_alarm_latches_while_the_evidence_falls_and_reset_clears_it():
    monitor = Monitor(mixture_reference(seed=0))
    first = monitor.update(*mixture(100, seed=1, shift=2.0))
    later = monitor.update(*mixture(3000, seed=2))
    assert first.alarm and later.alarm and later.alarm_at == first.alarm_at and later.onset == first.onset
    assert later.log_evidence < monitor.log_threshold < first.log_evidence
    monitor.reset()
    assert not monitor.reading.alarm and monitor.reading.log_evidence == 0


def test_the_evidence_of_an_endless_drift_stays_finite_and_the_monitor_notices_its_end():
    monitor = Monitor(mixture_reference(seed=0))
    assert np.isfinite(monitor.follow(np.full((20_000, 1), 1e-3)).log_evidence)
    assert monitor.follow(np.full((5000, 1), 0.9)).log_evidence < monitor.log_threshold


def test_an_adopted_change_raises_no_alarm_in_any_mixture_with_clean_data_but_another_change_does():
    known = mixture_reference(seed=0).with_component(*mixture(1000, seed=1, shift=3.0))
    monitor = Monitor(known)
    clean, adopted = (monitor.p_values(*mixture(5000, seed=seed, shift=shift)) for seed, shift in ((2, 0.0), (3, 3.0)))
    rng = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.5, 1.0):
        assert not monitor.follow(np.where(rng.random((10_000, 1)) < share, rng.choice(adopted, 10_000), rng.choice(clean, 10_000))).alarm
    assert monitor.update(*mixture(300, seed=4, shift=-3.0)).alarm


def test_blocks_keep_the_bound_when_every_record_comes_twenty_times():
    reference = mixture_reference(seed=0)
    by_record, by_block = Monitor(reference, run_length=1e4), Monitor(reference, run_length=1e4, block=20)
    repeated = np.repeat(by_record.p_values(*mixture(2500, seed=1)), 20, axis=0)
    assert alarms(by_record, repeated) > 3 * len(repeated) / 1e4
    assert alarms(by_block, repeated) <= len(repeated) / 1e4
    by_block.reset()
    reading = by_block.update(*mixture(1000, seed=2, shift=2.0))
    assert reading.alarm and reading.onset % 20 == 0


@pytest.mark.parametrize("block", [1, 7])
def test_the_monitor_keeps_the_contract_of_stream_detectors(block):
    """Batches of any size equal single records, and a restored state goes on exactly, through an alarm."""
    reference = mixture_reference(seed=0, fit=200, calibration=200).with_component(*mixture(100, seed=9, shift=4.0))
    parts = [mixture(120, seed=1), mixture(80, seed=2, shift=2.0)]
    early, latent = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    check_stream(
        lambda: Monitor(reference, block=block), lambda monitor, start, stop: monitor.update(early[start:stop], latent[start:stop]), 200
    )


def test_a_state_of_another_monitor_is_refused_with_both_designs():
    reference = mixture_reference(seed=0)
    state = Monitor(reference, run_length=1e3).state()
    with pytest.raises(ValueError, match=r"run_length=1000 .*run_length=1e\+06"):
        Monitor(reference).restore(state)


@pytest.mark.parametrize("wrong", [{"run_length": 0.5}, {"block": 0}, {"tolerance": -1}, {"confidence": 1.0}])
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        Monitor(mixture_reference(seed=0), **wrong)


def test_records_with_nan_count_as_far_and_do_not_stop_the_monitor():
    monitor = Monitor(mixture_reference(seed=0))
    early, latent = mixture(100, seed=1)
    early[::2] = np.nan
    assert monitor.update(early, latent).alarm
    assert np.isfinite(monitor.reading.log_evidence)


def test_no_records_change_nothing():
    monitor = Monitor(mixture_reference(seed=0))
    before = monitor.state()
    monitor.update(*mixture(0, seed=0))
    assert monitor.state() == before
