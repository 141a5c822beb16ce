"""What the checks say, and how often they say it wrongly."""

import numpy as np
import pytest

from models.estimators.betting import BettingInterval, share_interval
from models.weaknesses.adversarial import Adversarial, Contradiction
from models.weaknesses.bias import FOUND, OTHERS, Bias
from models.weaknesses.decay import Decay
from models.weaknesses.quality import Quality, facts_of
from models.weaknesses.synthetic import labelled, labelled_reference
from models.weaknesses.watch import Places
from dataclasses import replace

REFERENCE = labelled_reference()


def test_intervals_of_counts_are_those_of_the_draws_one_by_one():
    rng = np.random.default_rng(0)
    interval = BettingInterval()
    for right in rng.random(80) < 0.8:
        interval.update(float(right))
    low, high = share_interval(interval.total, 80 - interval.total)
    assert interval.interval[0] >= low - 1e-3 and interval.interval[1] <= high + 1e-3, "the one that remembers is the intersection"
    assert low <= 0.8 <= high


@pytest.mark.parametrize("run_length", [100, 1000])
def test_at_the_edge_of_what_is_put_up_with_decay_alarms_no_more_often_than_it_says(run_length):
    check, labels = Decay(REFERENCE, run_length=run_length), 20_000
    wrong = np.random.default_rng(1).random(labels) >= check.needed
    clean, alarms = labelled(100, seed=0), 0
    for at in range(0, labels, 100):
        part = replace(clean, labels=(clean.truth + wrong[at : at + 100]) % 10)
        if check.update(part).alarm:
            alarms += 1
            check.reset()
    bound = labels / run_length
    assert alarms <= bound + 3 * bound**0.5


def test_a_gain_in_accuracy_is_never_a_decay():
    reference = replace(REFERENCE, clean_accuracy=0.8)
    assert not Decay(reference).update(labelled(5000, seed=1, accuracy=0.95)).alarm


def test_a_release_on_few_records_is_trusted_less():
    few = REFERENCE.calibrated_on(np.arange(50))
    assert Decay(few).needed < Decay(REFERENCE).needed < 1


def test_fair_slices_raise_no_alarm_even_where_no_gap_is_tolerated():
    alarms = 0
    for seed in range(20):
        check = Bias(REFERENCE, attributes=("site",), tolerance=0.0)
        alarms += check.update(labelled(400, seed=seed, accuracy=0.85)).alarm
    assert alarms <= 3  # at most one in twenty is permitted on average


def test_bias_is_found_in_latent_space_where_no_attribute_is_given():
    records = labelled(3000, seed=3, accuracy=0.98)
    worse = records.truth == 7
    records = replace(records, labels=np.where(worse & (records.seqs % 2 == 0), 1, records.labels))
    evidence = Bias(REFERENCE, slices=10).update(records)
    assert evidence.alarm
    assert FOUND in evidence.sentence and "mostly class 7" in evidence.sentence


def test_false_negatives_and_false_positives_are_compared_where_a_class_is_called_positive():
    records = labelled(4000, seed=3)
    missed = (records.truth == 1) & (records.slices["site"] == "south") & (records.seqs % 3 > 0)
    check = Bias(REFERENCE, attributes=("site",), positive=1)
    evidence = check.update(replace(records, labels=np.where(missed, 2, records.labels)))
    assert evidence.alarm
    assert evidence.sentence.startswith("false negatives ") and "site=south" in evidence.sentence


def test_the_harm_told_with_an_alarm_is_that_of_the_period_in_which_it_was_raised():
    check = Bias(REFERENCE, attributes=("site",), period=1000)
    first = check.update(labelled(1000, seed=1, accuracy=0.95, worse_in="north", worse=0.6))
    later = check.update(labelled(1500, seed=2, accuracy=0.95, after=1000))
    assert first.alarm and first.harm == later.harm and first.harm.accuracy < 0.85


def test_a_bias_that_appears_late_is_not_drowned_by_the_fair_years_before():
    check = Bias(REFERENCE, attributes=("site",), period=1000)
    check.update(labelled(5000, seed=4, accuracy=0.97))
    evidence = check.update(labelled(1000, seed=5, accuracy=0.97, worse_in="north", worse=0.6, after=5000))
    assert evidence.alarm and evidence.since > 5000


def test_many_values_of_an_attribute_share_one_slice():
    records = labelled(100, seed=6)
    check = Bias(REFERENCE, attributes=("patient",), slices=3)
    check.update(replace(records, slices={"patient": records.seqs.astype(str)}))
    assert {gap.slice for gap in check.gaps()} == {"patient=1", "patient=2", "patient=3", f"patient={OTHERS}"}


def test_labels_without_any_attribute_tell_of_no_slice_and_harm_nothing():
    check, bare = Bias(REFERENCE, attributes=("site",)), labelled(500, seed=7, accuracy=0.7)
    assert not check.update(replace(bare, slices={})).alarm and check.gaps() == []
    assert check.update(labelled(1500, seed=5, accuracy=0.97, worse_in="south", worse=0.6, after=500)).alarm


def test_an_attribute_that_records_lack_is_named():
    with pytest.raises(ValueError, match="no attribute 'age', only site"):
        Bias(REFERENCE, attributes=("age",)).update(labelled(5, seed=0))


def test_records_that_fit_a_known_drift_contradict_nothing():
    def drifted(n, seed, after=0):
        return labelled(n, seed=seed, shift=3.0, after=after)

    known = drifted(600, 8)
    adopted = REFERENCE.with_component(known.early, known.latent)
    assert Adversarial(REFERENCE).update(drifted(300, 9)).alarm
    assert not Adversarial(adopted).update(drifted(300, 9)).alarm


def test_an_answer_of_a_class_that_the_reference_lacks_is_not_judged():
    records = labelled(5, seed=1)
    assert Contradiction(REFERENCE)(records.early, records.latent, np.full(5, 99)).tolist() == [0.0] * 5


def test_a_stuck_camera_is_noticed_at_the_tenth_equal_picture():
    records = labelled(40, seed=1)
    records.images[20:] = records.images[20]
    evidence = Quality(REFERENCE).update(replace(records, facts=facts_of(records.images)))
    assert (evidence.since, evidence.at) == (21, 30)
    assert "times in a row" in evidence.sentence


def test_numbers_that_are_none_are_noticed_at_once():
    records = labelled(40, seed=1)
    records.latent[25, 3] = np.nan
    evidence = Quality(REFERENCE).update(records)
    assert (evidence.since, evidence.at) == (26, 26)


def test_pictures_that_were_scaled_twice_are_noticed():
    records = labelled(40, seed=1)
    assert "scaled to 0..1" in Quality(REFERENCE).update(replace(records, facts=facts_of(records.images // 128))).sentence


def test_rows_of_zeros_and_ones_are_no_covered_camera():
    records = labelled(300, seed=1)
    rows = (np.random.default_rng(0).random((300, 20)) < 0.5).astype(np.float32)
    rows[::5] = 0
    facts = facts_of(rows)
    assert np.isfinite(facts[:, 0]).all() and np.isnan(facts[:, 1:]).all()
    assert not Quality(REFERENCE).update(replace(records, facts=facts)).alarm


def test_of_no_pictures_nothing_is_told():
    assert facts_of(np.zeros((0, 8, 8), np.uint8)).shape == (0, 4)


def test_a_few_pictures_again_and_again_are_noticed_when_the_window_is_full():
    records = labelled(400, seed=1)
    again = records.images[np.arange(400) % 7]
    evidence = Quality(REFERENCE).update(replace(records, facts=facts_of(again)))
    assert evidence.at == 200 and "equal another" in evidence.sentence


def test_of_very_many_jumps_between_numbers_the_oldest_are_forgotten():
    places = Places()
    places.append(np.cumsum(np.random.default_rng(0).integers(1, 9, 5000)))
    assert len(places.pieces) == 1000
    assert places[4999] > places[0] > 0


def test_the_slice_that_fares_worse_is_named_and_its_own_accuracy_told():
    evidence = Bias(REFERENCE, attributes=("site",)).update(labelled(1500, seed=5, accuracy=0.97, worse_in="south", worse=0.6))
    assert evidence.slice == "site=south"
    assert evidence.harm.interval[0] < 0.6 < evidence.harm.interval[1]


def test_where_one_slice_fares_better_than_the_rest_no_slice_is_the_worse_one():
    records = labelled(3000, seed=5, accuracy=0.6)
    third = np.where(records.seqs % 3 == 0, "west", records.slices["site"])
    fixed = np.where(third == "west", records.truth, records.labels)
    evidence = Bias(REFERENCE, attributes=("site",)).update(replace(records, labels=fixed, slices={"site": third}))
    assert evidence.alarm and evidence.slice == ""


def test_of_records_whose_site_nobody_has_told_nothing_is_counted():
    records = labelled(100, seed=5)
    check = Bias(REFERENCE, attributes=("site",))
    check.update(replace(records, slices={"site": np.where(records.seqs > 50, "", "north")}))
    assert [(gap.slice, gap.labels) for gap in check.gaps()] == [("site=north", 50)]
