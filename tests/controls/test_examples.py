"""The examples in the controls' texts are true; benchmarks stand outside of what pytest looks through for examples."""

import doctest

import pytest

from benchmarks.controls import scanflow_demo, tent


@pytest.mark.parametrize("module", [scanflow_demo, tent])
def test_the_examples_are_true(module):
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed
