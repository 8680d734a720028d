"""The quick medians are NumPy's to the last bit, so that no decision changes by them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from control.estimators import health, spike
from control.estimators.health import Limits, find_trouble
from control.estimators.median import differences, median, medians_of_threes, row_medians
from control.estimators.spike import find_spike
from control.proposals import Window

from .make import a_window, noisy

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


@settings(max_examples=200, deadline=None)
@given(arrays(np.float64, st.integers(3, 60), elements=st.floats(allow_nan=False)))
def test_the_medians_of_threes_and_the_differences_of_any_values(values):
    with np.errstate(all="ignore"):
        rows = np.stack((values[:-2], values[1:-1], values[2:]), axis=1)
        assert same(medians_of_threes(values), np.median(rows, axis=1))
        assert same(differences(values), np.diff(values))


def test_the_points_that_are_numbers_are_the_window_itself_where_all_are():
    whole = a_window([1.0, 2.0, 3.0])
    assert whole.finite is whole
    broken = Window.of([1, 2, 3], [0.0, 0.1, 0.2], [1.0, np.nan, np.inf])
    assert broken.finite.steps.tolist() == [1]
    assert not broken.finite.values.flags.writeable
    assert broken.finite is broken.finite


def test_a_loss_that_fell_is_not_asked_how_far_it_scatters(monkeypatch):
    # What a tick over a thousand runs has no time for: nearly all of them are well.
    for module in (health, spike):
        monkeypatch.setattr(module, "robust_sigma", lambda _: pytest.fail("nothing had risen"))
    window = a_window(noisy(np.exp(-np.arange(1000) / 300) + 0.1, 0.05))
    assert find_trouble(window, Limits()) is None
    assert find_spike(window, None, 6.0) is None
