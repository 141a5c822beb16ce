"""Continued training on clean images: what fine-tuning would gain if the drifted images taught nothing."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.controls import continued
from models.remedies import fine_tune

pytestmark = pytest.mark.training


def test_it_does_not_help_on_a_drifted_stream_where_fine_tuning_does(context, accuracy):
    given = context("impulse_noise")
    longer, tuned = continued.continued(given, 40), fine_tune.adapt(given, 40)
    as_is = accuracy(given.classifier, "impulse_noise")
    assert accuracy(longer, "impulse_noise") < as_is + 0.1
    assert accuracy(tuned, "impulse_noise") > as_is + 0.3
    assert accuracy(longer) >= accuracy(given.classifier) - 0.02


def test_the_drifted_images_are_not_looked_at(context):
    first = continued.continued(context("fog"), 2).state_dict().values()
    second = continued.continued(replace(context("fog"), drifted=np.zeros((20, 28, 28), np.uint8)), 2).state_dict().values()
    assert all(a.equal(b) for a, b in zip(first, second, strict=True))


def test_it_takes_as_many_steps_as_fine_tuning(context, monkeypatch):
    monkeypatch.setattr(fine_tune, "STEPS", 3)
    for name, prepare in (("continued training", continued.prepare), ("fine-tuning", fine_tune.prepare)):
        told = []
        prepare(replace(context(), progress=lambda _part, what, told=told: told.append(what)))
        assert told == [name] * 3
