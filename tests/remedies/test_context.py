import numpy as np
import pytest

from models.remedies.context import RemedyCancelledError


def test_a_teaching_image_outside_of_the_drifted_ones_is_refused(context):
    with pytest.raises(ValueError, match="positions outside of the 300 drifted images"):
        context(teaching=np.array([300]), teaching_labels=np.array([1]))


def test_a_label_that_is_no_class_is_refused(context):
    with pytest.raises(ValueError, match=r"classes outside of 0\.\.9"):
        context(teaching=np.array([3]), teaching_labels=np.array([10]))


def test_images_without_labels_are_refused(context):
    with pytest.raises(ValueError, match="teaching: 2 images and 1 labels"):
        context(teaching=np.array([3, 4]), teaching_labels=np.array([1]))


def test_too_few_drifted_images_are_refused(context):
    with pytest.raises(ValueError, match="at least 20"):
        context(drifted=np.zeros((19, 28, 28), np.uint8))


def test_reporting_tells_how_far_it_is_and_stops_when_cancelled(context):
    seen = []
    context(progress=lambda part, what: seen.append((part, what))).report(0.5, "half")
    assert seen == [(0.5, "half")]
    with pytest.raises(RemedyCancelledError, match="half"):
        context(cancelled=lambda: True).report(0.5, "half")


def test_class_proportions_are_those_of_the_reference(context):
    proportions = context().proportions()
    assert proportions.shape == (10,)
    assert float(proportions.sum()) == pytest.approx(1)
