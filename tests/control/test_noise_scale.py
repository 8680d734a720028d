"""A batch size out of noisy gradient measurements, and what another batch is worth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.estimators.noise_scale import gain, noise_scale, rate_factor


def measured(count, dimensions, square, variance, small, large, seed):
    """Pair estimates from Gaussian gradients of this many dimensions, as training measures them."""
    dice = np.random.default_rng(seed)
    mean = np.full(dimensions, math.sqrt(square / dimensions))
    parts = large // small
    each = mean + dice.standard_normal((count, parts, dimensions)) * math.sqrt(variance / dimensions / small)
    short = (each**2).sum(2).mean(1)
    long = (each.mean(1) ** 2).sum(1)
    return (large * long - small * short) / (large - small), (short - long) / (1 / small - 1 / large)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.05, 20.0), st.floats(0.05, 50.0), st.integers(0, 2**31))
def test_the_noise_scale_of_gaussian_gradients_is_found_within_its_interval(square, variance, seed):
    found = noise_scale(*measured(400, 30, square, variance, 4, 16, seed))
    # Wider by half than a 90 % interval: a property that must hold each time.
    truth = variance / square
    assert found.low / 1.5 <= truth <= found.high * 1.5


def test_the_interval_holds_about_nine_times_out_of_ten():
    held = sum(
        (found := noise_scale(*measured(60, 20, 1.0, 40.0, 4, 8, seed))).low <= 40.0 <= found.high
        for seed in range(300)
    )
    assert 0.84 < held / 300 < 0.95


def test_a_gradient_lost_in_its_noise_has_no_upper_end():
    found = noise_scale(*measured(40, 20, 1e-4, 40.0, 4, 8, 0))
    assert found.high == math.inf
    assert found.low > 50


def test_noise_that_cannot_be_seen_is_none():
    found = noise_scale(*measured(100, 20, 4.0, 1e-6, 4, 8, 0))
    assert found.value < 1e-4
    assert found.high < 0.01


@pytest.mark.parametrize(
    ("square", "variance"),
    [([1.0] * 30, [4.0] * 30), ([1.0] * 29 + [math.nan], [4.0] * 30)],
)
def test_measurements_that_do_not_scatter_give_their_ratio(square, variance):
    found = noise_scale(np.asarray(square), np.asarray(variance))
    assert (found.low, found.value, found.high) == pytest.approx((4.0, 4.0, 4.0))


def test_too_few_measurements_say_nothing():
    assert noise_scale(np.ones(19), np.ones(19)) is None
    assert noise_scale(np.full(40, math.nan), np.ones(40)) is None


@given(st.floats(0.0, 1e6), st.integers(1, 10_000), st.floats(1.0, 64.0))
def test_the_gain_lies_between_one_and_the_ratio_and_is_undone_by_the_way_back(noise, batch, times):
    there = gain(noise, batch, batch * times)
    assert 1 <= there <= times * (1 + 1e-9)
    assert there * gain(noise, batch * times, batch) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("family", "noise", "factor"),
    [
        ("sgd", 0.0, 1.0), ("sgd", math.inf, 4.0), ("sgd", 64.0, 2.0), ("adam", 64.0, 2.0), ("adam", 0.0, 2.0),
        ("", 64.0, 2.0),
    ],
)  # fmt: skip
def test_the_rate_follows_by_the_optimisers_rule(family, noise, factor):
    # 64 samples of noise: (64/32 + 1) / (64/128 + 1) = 2.
    assert rate_factor(family, noise, 32, 128) == pytest.approx(factor)
