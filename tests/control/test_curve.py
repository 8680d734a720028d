"""Learning curves carried on: the interval holds as often as it says, on made and on real curves."""

import numpy as np
import pytest

from benchmarks.control.many import Many, Setting
from control.estimators.curve import outlook

PARTS = (0.15, 0.25, 0.35, 0.5)


def a_curve(seed):
    """A power law, an exponential, a Hill curve, a stretched exponential or two of them, with noise that may wander."""
    dice = np.random.default_rng(seed)
    count = int(dice.choice([60, 150, 400, 1000]))
    at = np.arange(1, count + 1)
    t, kind = at / count, int(dice.integers(5))
    floor, size = 10 ** dice.uniform(-2, 0), 10 ** dice.uniform(-0.5, 0.7)
    mean = (
        floor
        + size
        * {
            0: lambda: (at + dice.uniform(0, 0.1) * count) ** -dice.uniform(0.2, 1.2),
            1: lambda: np.exp(-dice.uniform(1, 8) * t),
            2: lambda: 1 / (1 + (t / 10 ** dice.uniform(-1.5, 0)) ** dice.uniform(0.7, 2)),
            3: lambda: np.exp(-((dice.uniform(1, 6) * t) ** dice.uniform(0.4, 1))),
            4: lambda: 0.5 * (np.exp(-dice.uniform(1, 4) * t) + np.exp(-dice.uniform(10, 40) * t)),
        }[kind]()
    )
    sigma, alike, noise = (
        10 ** dice.uniform(-2.5, -0.8),
        float(dice.choice([0, 0, 0.7])),
        dice.standard_normal(count),
    )
    for i in range(1, count):
        noise[i] = alike * noise[i - 1] + np.sqrt(1 - alike**2) * noise[i]
    return at, mean * np.exp(sigma * noise)


def share_held(curves, direction="min"):
    """How often the 80 % interval held the metric's level at twice the steps."""
    held = []
    for steps, values in curves:
        for part in PARTS:
            known = int(part * len(steps))
            target = 2 * int(steps[known - 1])
            near = (steps > 0.95 * target) & (steps <= 1.05 * target)
            if known < 12 or not near.any() or not np.isfinite(values[near]).all():
                continue
            seen = outlook(steps[:known], values[:known], [target], direction)
            low, high = seen.interval(0.8)
            held.append(low <= np.exp(np.log(values[near]).mean()) <= high)
    assert len(held) >= 30
    return float(np.mean(held))


def test_the_80_percent_interval_holds_70_to_90_percent_of_made_curves():
    assert 0.7 <= share_held(a_curve(seed) for seed in range(1, 100)) <= 0.9


def test_the_80_percent_interval_holds_70_to_90_percent_of_real_losses():
    settings = [
        Setting(rate, momentum, 1e-4) for rate in np.geomspace(0.0003, 0.5, 8) for momentum in (0.0, 0.9)
    ]
    found = []
    for seed in (1, 2):
        nets = Many(settings, seed)
        measured = []
        for _ in range(100):
            nets.train(4)
            measured.append(nets.held_out())
        found += [(np.arange(4, 401, 4), values) for values in np.stack(measured, axis=1)]
        found += [(np.arange(1, 401), values) for values in np.stack(nets.losses, axis=1)]
    assert 0.7 <= share_held(found) <= 0.9


def test_a_forecast_is_the_same_for_the_same_curve_and_stays_within_what_a_share_can_be():
    steps = np.arange(1, 101)
    accuracy = 1 - 0.9 * np.exp(-steps / 30)
    first, again = (outlook(steps, accuracy, [200, 400], "max") for _ in range(2))
    assert np.array_equal(first.values, again.values)
    assert first.values.max() <= 1
    assert first.median() > accuracy[-1]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.ones(5), False),
        (np.full(50, np.nan), False),
        (np.full(50, 0.7), True),
        (np.r_[np.full(10, np.nan), np.linspace(2, 1, 40)], True),
        (np.r_[np.linspace(2, 1, 40), np.full(10, np.inf)], True),
        (np.linspace(-3, -5, 50), True),
    ],
    ids=["too few", "no number", "level", "began without numbers", "ends in infinity", "below zero"],
)
def test_odd_curves_are_told_of_or_not_told_of_but_never_break(values, told):
    with np.errstate(all="raise", under="ignore"):
        seen = outlook(np.arange(1, len(values) + 1), values, [2 * len(values)])
    assert (seen is not None) == told
    if seen is not None:
        assert np.isfinite(seen.values).all()
        assert (np.diff(seen.values) >= 0).all()


def test_a_fall_that_has_ended_is_told_apart_from_one_that_goes_on():
    dice = np.random.default_rng(1)
    steps = np.arange(1, 401)
    noise = np.exp(0.01 * dice.standard_normal(400))
    flat = outlook(steps, (0.5 + 2 * np.exp(-steps / 30)) * noise, [800])
    going = outlook(steps, 3 * steps**-0.5 * noise, [800])
    assert flat.median() == pytest.approx(0.5, rel=0.1)
    assert going.median() == pytest.approx(3 * 800**-0.5, rel=0.1)
    assert going.chance_below(0.15) > 0.9 > 0.1 > flat.chance_below(0.3)
