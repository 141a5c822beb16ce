"""TENT, as its paper says: surer answers and better ones, by the scales and shifts of batch norm alone."""

import pytest

from benchmarks.controls import tent
from models.remedies.recalibrate import recalibrated
from models.training import look

pytestmark = pytest.mark.training


@pytest.mark.parametrize("corruption", ["impulse_noise", "fog"])
def test_it_lowers_entropy_beyond_recalibration_and_mends_noise_and_lost_contrast(corruption, context, accuracy):
    given = context(corruption)
    images = given.drifted_tensor()
    adapted = tent.tent(given.classifier, images, passes=5)
    before, after = (float(tent.entropy(look(one, given.drifted).logits)) for one in (recalibrated(given.classifier, images), adapted))
    assert after < before - 0.02
    assert accuracy(adapted, corruption) > accuracy(given.classifier, corruption) + 0.3


def test_it_trains_nothing_but_batch_norm_and_leaves_the_live_classifier_alone(context):
    given = context()
    before = {name: value.clone() for name, value in given.classifier.state_dict().items()}
    after = tent.prepare(given).classifier
    changed = {name for name, value in after.state_dict().items() if not value.equal(before[name])}
    assert {name.rsplit(".", 1)[1] for name in changed} == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert all(".1." in name for name in changed)  # the batch norm of each block
    assert all(value.equal(before[name]) for name, value in given.classifier.state_dict().items()) and not given.classifier.training
    assert not after.training and not any(value.requires_grad for value in after.parameters())


def test_the_same_seed_gives_the_same_weights(context):
    first, second = (tent.prepare(context()).classifier.state_dict().values() for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first, second, strict=True))
