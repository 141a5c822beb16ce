"""Few labels, honest intervals: coverage by simulation, with the sampler that the product uses."""

import numpy as np
import pytest

from agents.audit import PairedAudit
from agents.doors.differences import MODELS, REMEDIES, _draw, _strata
from models.estimators.paired import PairedGain
from agents.messages import Draw, Label

LEVEL = 0.9


def draws(count, said, weight=0.5, stratum="differ"):
    return [Draw(seq, (seq,), weight, stratum, said) for seq in range(count)]


def certain(count=8, share=0.5):
    return PairedAudit("old", ["new"], draws(count, {"old": 1, "new": 2}, weight=share), {"differ": share}, LEVEL)


def test_before_any_label_everything_is_possible():
    assert certain().gain_interval("new") == (-0.5, 0.5)


def test_a_few_labels_on_one_side_settle_it():
    audit = certain()
    for seq in range(6):
        audit.update(Label(seq, 2))
    low, high = audit.gain_interval("new")
    assert 0 < low < audit.gain("new") <= high == 0.5
    assert audit.settled_winner() == "new"


def test_labels_on_the_other_side_settle_it_the_other_way():
    audit = certain(count=14)
    for seq in range(14):
        audit.update(Label(seq, 1))
    assert audit.gain_interval("new")[1] < 0
    assert audit.settled_winner() is None


@pytest.mark.parametrize("label", [Label(0, None, "skip"), Label(99, 2, "of a record that was not drawn")])
def test_skipped_or_foreign_labels_say_nothing(label):
    audit = certain()
    audit.update(label)
    assert (audit.labels, audit.gain_interval("new"), audit.gain("new")) == (0, (-0.5, 0.5), certain().gain("new"))


def test_none_of_these_finds_all_pipelines_wrong():
    audit = certain()
    for seq in range(4):
        audit.update(Label(seq, -1))
    assert audit.labels == 4
    assert audit.gain("new") == 0
    assert audit.accuracy("new", unanimous=1.0) < 0.75


def test_a_second_label_of_the_same_record_counts_for_nothing():
    audit, once = certain(), certain()
    once.update(Label(0, 2))
    for _ in range(5):
        audit.update(Label(0, 2))
    assert (audit.labels, audit.gain_interval("new")) == (1, once.gain_interval("new"))


def test_a_record_drawn_again_later_counts_again_only_at_its_turn():
    said = {"old": 1, "new": 2}
    audit = PairedAudit("old", ["new"], [Draw(0, (0, 2), 0.5, "differ", said), Draw(1, (1,), 0.5, "differ", said)], {"differ": 0.5}, LEVEL)
    once, thrice = PairedGain(0.5, 0.5, LEVEL), PairedGain(0.5, 0.5, LEVEL)
    for gain, times in ((once, 1), (thrice, 3)):
        for _ in range(times):
            gain.update(0.5, a_right=False, b_right=True)
    audit.update(Label(0, 2))
    assert audit.log_evidence("new") == once.log_evidence
    audit.update(Label(1, 2))
    assert audit.log_evidence("new") == thrice.log_evidence


def test_no_gain_exceeds_the_share_of_records_on_which_the_pipelines_differ():
    audit = certain(share=0.02)
    for seq in range(8):
        audit.update(Label(seq, 2))
    assert audit.gain_interval("new")[1] <= 0.02


def test_among_three_the_winner_must_beat_the_other_candidate_too():
    said = {"old": 0, "a": 1, "b": 2}
    audit = PairedAudit("old", ["a", "b"], draws(14, said, weight=1.0), {"differ": 1.0}, LEVEL)
    for seq in range(14):
        audit.update(Label(seq, 1))
    assert audit.settled_winner() == "a"
    tied = PairedAudit("old", ["a", "b"], draws(14, {"old": 0, "a": 1, "b": 1}, weight=1.0), {"differ": 1.0}, LEVEL)
    for seq in range(14):
        tied.update(Label(seq, 1))
    assert tied.settled_winner() is None


# --- by simulation ---


def population(rng, records, model_differs, remedies_differ, better):
    """Labels, and what three pipelines say: where only the old one differs, and where the remedies do."""
    truth, old, a, b = (np.zeros(records, np.int64) for _ in range(4))
    first, second = slice(0, model_differs), slice(model_differs, model_differs + remedies_differ)
    old[: second.stop], b[second] = 1, 2
    truth[first] = np.where(rng.random(model_differs) < better, 0, 1)
    truth[second] = rng.integers(3, size=remedies_differ)
    return truth, {"old": old, "a": a, "b": b}


def simulate(seed, count, **world):
    """One audit: whether an interval ever missed a true gain, the last point estimates, and the true gains."""
    rng = np.random.default_rng(seed)
    truth, said = population(rng, **world)
    strata = _strata(said, "old", ["a", "b"])
    drawn = _draw(np.arange(len(truth)), said, strata, count, seed)
    audit = PairedAudit("old", ["b"], drawn, {name: float(inside.mean()) for name, inside in strata.items()}, LEVEL)
    gain = float((said["b"] == truth).mean() - (said["old"] == truth).mean())
    missed = False
    for draw in drawn:
        audit.update(Label(draw.seq, int(truth[draw.seq])))
        low, high = audit.gain_interval("b")
        missed |= not low - 1e-3 <= gain <= high + 1e-3
    return missed, audit.gain("b"), gain


@pytest.mark.parametrize(
    "world",
    [
        {"records": 500, "model_differs": 150, "remedies_differ": 60, "better": 0.5, "count": 10},
        {"records": 500, "model_differs": 10, "remedies_differ": 0, "better": 0.5, "count": 8},  # so few that draws repeat
    ],
    ids=["large strata", "tiny strata"],
)
def test_intervals_cover_the_true_gains_at_all_times_as_often_as_they_say(world):
    runs = [simulate(seed, **world) for seed in range(150)]
    allowed = 1 - LEVEL
    assert np.mean([missed for missed, _, _ in runs]) <= allowed + 2 * np.sqrt(allowed * (1 - allowed) / len(runs))
    assert abs(np.mean([point - gain for _, point, gain in runs])) < 0.02


def test_with_many_labels_the_point_estimate_comes_close_to_the_truth():
    world = {"records": 400, "model_differs": 100, "remedies_differ": 100, "better": 0.9}
    _, point, gain = simulate(3, count=120, **world)
    assert point == pytest.approx(gain, abs=0.04)


def test_records_on_which_all_agree_are_never_asked_about():
    truth, said = population(np.random.default_rng(0), 300, 40, 20, 0.8)
    strata = _strata(said, "old", ["a", "b"])
    assert set(strata) == {MODELS, REMEDIES}
    for draw in _draw(np.arange(len(truth)), said, strata, 30, seed=1):
        assert len(set(draw.said.values())) > 1


def test_when_all_agree_everywhere_there_is_nothing_to_ask():
    said = {name: np.zeros(50, np.int64) for name in ("old", "a", "b")}
    strata = _strata(said, "old", ["a", "b"])
    assert strata == {}
    assert _draw(np.arange(50), said, strata, 8, seed=0) == ()


def test_the_same_seed_draws_the_same_records():
    _, said = population(np.random.default_rng(0), 300, 40, 20, 0.8)
    strata = _strata(said, "old", ["a", "b"])
    assert _draw(np.arange(300), said, strata, 10, seed=5) == _draw(np.arange(300), said, strata, 10, seed=5)
