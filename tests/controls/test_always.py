"""Policies that never think, over the product's own remedies; and labels of images that chance chose."""

import numpy as np
import pytest

from benchmarks.controls.always import ALWAYS, act, taught
from models.queries.random import random
from models.queries.typical import typical
from models.remedies.catalogue import remedies
from models.training import look
from scenarios.datasets import load

pytestmark = pytest.mark.training


def test_never_acting_leaves_the_pipeline_as_it_is(context):
    candidate = act("never act", context())
    assert (candidate.classifier, candidate.filter, candidate.adapted, candidate.gate) == (None, None, None, None)


def test_recalibration_alone_is_the_remedy_of_the_product(context, accuracy):
    candidate = act("recalibration alone", context())
    known = remedies()["recalibrate"](context()).adapted.state_dict()
    assert all(value.equal(known[name]) for name, value in candidate.adapted.state_dict().items())
    assert accuracy(candidate.adapted, "impulse_noise") > accuracy(context().classifier, "impulse_noise") + 0.3


def test_every_policy_names_a_remedy_of_the_product_and_others_are_refused(context):
    assert set(ALWAYS.values()) <= set(remedies())
    with pytest.raises(ValueError, match="no policy 'sometimes'; there are: never act, recalibration alone"):
        act("sometimes", context())


@pytest.mark.parametrize("query", [typical, random])
def test_the_query_decides_which_images_are_labelled(query, context):
    given, test = context(), load("digits", "test")
    answer = look(given.classifier, given.drifted)
    expected = query(given.reference.features(answer.early.numpy(), answer.latent.numpy()), 20, given.seed)
    labelled = taught(given, 20, lambda rows: test.labels[rows], query)
    assert np.array_equal(labelled.teaching, expected) and np.array_equal(labelled.teaching_labels, test.labels[expected])
    assert not len(given.teaching)


def test_typical_picks_are_the_default_and_not_those_of_chance(context):
    labels = load("digits", "test").labels
    ours, typicals, chance = (taught(context(), 20, lambda rows: labels[rows], *query).teaching for query in ((), (typical,), (random,)))
    assert np.array_equal(ours, typicals) and not np.array_equal(ours, chance)
