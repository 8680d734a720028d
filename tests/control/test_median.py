"""The quick medians are NumPy's to the last bit, so that no decision changes by them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from control.estimators.median import median, row_medians

VALUES = st.floats(allow_subnormal=True)


def same(ours, theirs):
    return np.array_equal(np.asarray(ours), np.asarray(theirs), equal_nan=True)


@settings(max_examples=300, deadline=None)
@given(arrays(np.float64, st.integers(0, 60), elements=VALUES))
def test_the_median_of_any_values(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert same(median(values), np.median(values))


@settings(max_examples=200, deadline=None)
@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=VALUES))
def test_the_medians_of_any_rows(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert same(row_medians(rows), np.median(rows, axis=1))


@pytest.mark.parametrize("count", [1, 2, 5, 6, 999, 1000])
def test_the_median_of_steps(count):
    steps = np.random.default_rng(count).integers(0, 2**50, count)
    assert median(steps) == np.median(steps)
