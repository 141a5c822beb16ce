"""Queries: they keep the contract, and each chooses what it is for."""

import numpy as np
import pytest

from models.checks import ContractError, check_query
from models.queries.random import random
from models.queries.typical import typical
from models.queries.uncertain import uncertain


@pytest.mark.parametrize("query", [random, typical, uncertain])
def test_every_query_keeps_the_contract(query):
    check_query(query)


def test_the_contract_check_finds_a_query_that_ignores_what_is_excluded():
    def forgetful(features, count, seed, exclude=()):
        """Chooses at random among all rows, those included that already have a label and should be left out."""
        return random(features, count, seed)

    with pytest.raises(ContractError, match=r"asked for|excluded"):
        check_query(forgetful)


@pytest.fixture
def clumps():
    """Ten clumps of very unequal size, 800 rows, and some outliers at the end."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=12, size=(10, 8))
    groups = np.repeat(np.arange(10), [200, 150, 120, 100, 80, 60, 40, 25, 15, 10])
    return np.concatenate([centres[groups] + rng.normal(size=(800, 8)), rng.normal(scale=60, size=(8, 8))]), groups


def test_typical_covers_more_classes_than_chance_and_takes_no_outlier(clumps):
    features, groups = clumps
    chosen = typical(features, 18, seed=0)
    by_chance = [len(set(groups[random(features[:800], 18, seed)].tolist())) for seed in range(20)]
    inside = chosen[chosen < 800]
    assert len(inside) >= 10
    assert len(set(groups[inside].tolist())) > np.mean(by_chance)
    assert (chosen[:8] < 800).all(), "the largest clumps come first"


def test_typical_goes_on_where_earlier_labels_left_off(clumps):
    features, groups = clumps[0][:800], clumps[1]
    first = typical(features, 5, seed=0)
    second = typical(features, 5, seed=0, exclude=first)
    assert len(set(groups[np.concatenate([first, second])].tolist())) >= 8


def test_typical_does_with_fewer_distinct_rows_than_labels():
    chosen = typical(np.repeat(np.eye(2), 10, axis=0), 6, seed=0)
    assert len(set(chosen.tolist())) == 6 and sorted((chosen // 10).tolist()) == [0, 0, 0, 1, 1, 1]


def test_random_choice_is_uniform():
    counts = np.zeros(20)
    for seed in range(2000):
        counts[random(np.zeros((20, 1)), 5, seed)] += 1
    assert abs(counts - 500).max() < 5 * 500**0.5


def test_uncertain_rows_come_first_and_ties_are_broken_by_the_seed():
    logits = np.zeros((30, 4))
    logits[10:, 0] = np.arange(1, 21)
    first = uncertain(logits, 12, seed=0)
    assert set(first[:10].tolist()) == set(range(10)) and first[10:].tolist() == [10, 11]
    assert (uncertain(logits, 10, seed=1) != first[:10]).any()


@pytest.mark.parametrize("query", [random, typical, uncertain])
def test_input_that_makes_no_sense_is_refused(query):
    with pytest.raises(ValueError, match="finite matrix"):
        query(np.full((5, 2), np.nan), 2, 0)
    with pytest.raises(ValueError, match="0 or more"):
        query(np.zeros((5, 2)), -1, 0)
    with pytest.raises(ValueError, match="there are 5 rows"):
        query(np.zeros((5, 2)), 1, 0, exclude=[5])
