import numpy as np
import pytest
import torch

from models.networks.augment import affine, wipe
from models.remedies import learning
from models.remedies.context import RemedyCancelledError
from models.remedies.learning import Target, descend, drifted_source, teaching_source


def test_clean_latents_are_closer_to_the_target_than_shifted_ones(context):
    target, clean = Target.of(context()), torch.tensor(context().reference.calibration_latent)
    near, shifted, widened = (float(target.distance(latent)) for latent in (clean, clean + 1, clean * 2))
    assert near < 0.2 * shifted
    assert near < 0.2 * widened


def test_a_prediction_that_does_not_survive_augmentation_costs(context):
    target, latent = Target.of(context()), torch.tensor(context().reference.calibration_latent[:100])
    sure = 20 * torch.eye(10).repeat(10, 1)
    assert float(target.loss(sure, latent, sure)) < float(target.loss(sure, latent, sure.roll(1, 1)))


def test_unsure_predictions_are_not_labels_of_the_augmented_image(context):
    target, latent = Target.of(context()), torch.tensor(context().reference.calibration_latent[:100])
    unsure = torch.zeros(100, 10)
    assert float(target.loss(unsure, latent, 20 * torch.eye(10).repeat(10, 1))) == pytest.approx(float(target.loss(unsure, latent, unsure)))


def test_without_labels_there_is_no_teaching_source(context):
    assert teaching_source(context(labelled=0), torch.Generator()) is None
    assert len(teaching_source(context(labelled=4), torch.Generator()).images) == 4


def test_drifted_images_are_drawn_from_the_seed(context):
    first, second = (drifted_source(context(), context().generator()).draw(9) for _ in range(2))
    assert first.equal(second)


def test_augmentation_keeps_shape_and_range():
    images, generator = torch.rand(5, 3, 12, 12), torch.Generator().manual_seed(0)
    changed = wipe(affine(images, generator), generator)
    assert changed.shape == images.shape
    assert float(changed.min()) >= 0 and float(changed.max()) <= 1
    assert not changed.equal(images)


def descent(context, **other):
    """Minimise the square of one number; return it and how often the loss was asked for."""
    at, asked = torch.nn.Parameter(torch.tensor([4.0])), []

    def loss():
        asked.append(1)
        return at.square().sum()

    descend(context, "going down", [at], loss, rate=0.3, **other)
    return float(at.detach()), len(asked)


def test_descending_goes_down_and_reports_progress(context):
    parts = []
    value, asked = descent(context(progress=lambda part, _what: parts.append(part)), steps=60)
    assert abs(value) < 1
    assert asked == 60
    assert parts == sorted(parts) and parts[0] == 0


def test_a_slow_machine_takes_fewer_steps(context, monkeypatch):
    clock = iter(np.arange(0, 1000, 1.0))
    monkeypatch.setattr(learning.time, "thread_time", lambda: float(next(clock)))
    _, asked = descent(context(), steps=500, seconds=20)
    assert asked < 21


def test_cancelling_ends_the_descent(context):
    answers = iter([False, False, True])
    with pytest.raises(RemedyCancelledError):
        descent(context(cancelled=lambda: next(answers)), steps=10)
