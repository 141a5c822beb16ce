"""The parts of routes in an answer: nested, whole, and never more than there is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.blend import LEAST, Blend, part

shares = st.lists(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=4)


def softmax(logits):
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


@given(shares, st.integers(0, 99))
def test_each_route_takes_its_part_of_what_newer_ones_have_left_and_the_first_answer_gets_the_rest(parts, seed):
    rng = np.random.default_rng(seed)
    said = rng.normal(size=(len(parts) + 1, 3, 4)).astype(np.float32)
    blend = Blend(3, 4)
    newest_first = [(np.array(share, np.float32), logits) for share, logits in zip(parts, said[1:], strict=True)]
    for share, logits in newest_first:
        blend.add(share, logits[share > 0], logits[share > 0])
    expected = softmax(said[0])
    for share, logits in reversed(newest_first):
        expected = share[:, None] * softmax(logits) + (1 - share)[:, None] * expected
    np.testing.assert_allclose(softmax(blend.rest(said[0], said[0])[0]), expected, atol=1e-5)


@given(st.floats(-30, 30), st.floats(-5, 5))
def test_a_part_grows_with_the_score_and_is_all_or_nothing_where_the_gate_is_sure(score, even):
    one, more = part(np.array([score, score + 0.5], np.float32), even)
    assert one <= more
    for share in (one, more):
        assert share in (0, 1) or LEAST <= share <= 1 - LEAST + 1e-6


def test_where_no_route_has_a_part_the_first_answer_stands_as_it_was():
    logits = np.array([[3.0, -200.0]], np.float32)
    blend = Blend(1, 2)
    blend.add(np.zeros(1, np.float32), logits[:0], logits[:0])
    assert blend.rest(logits, logits)[0] is logits


def test_the_latent_is_that_of_whoever_has_the_largest_part():
    rows = np.eye(3, dtype=np.float32)
    blend = Blend(3, 3)
    blend.add(np.array([0.7, 0.3, 0.3], np.float32), rows, np.full((3, 1), 1.0, np.float32))
    blend.add(np.array([0.9, 0.8, 0.4], np.float32), rows, np.full((3, 1), 2.0, np.float32))
    _, latent = blend.rest(rows, np.zeros((3, 1), np.float32))
    assert latent[:, 0].tolist() == [1.0, 2.0, 0.0]
