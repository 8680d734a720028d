"""The forecast of not acting, the verdict, and what is taken back."""

from dataclasses import replace

import numpy as np
import pytest

from control.decide import no_action
from control.estimators.health import Limits, find_trouble
from control.estimators.trend import clumping
from control.forecasts import Forecast, forecast
from control.learning.contexts import noise_of
from control.proposals import Change, Expected, Proposal
from control.undo import Setting, undo
from control.verify import Judgement, judge, verdict_now
from tests.control.make import a_checkpoint, a_rate, a_window, noisy, seen

STEPS = np.arange(400)
CURVE = 2.3 * np.exp(-STEPS / 400)


def history(steps=200, sigma=0.1, seed=0, mean=CURVE):
    return a_window(noisy(mean[:steps], sigma, seed))


def then(factor, sigma=0.1, seed=1, steps=100, start=200):
    """What came after step 199: the curve times `factor`."""
    before = history()
    after = noisy(CURVE[start : start + steps] * factor, sigma, seed)
    return a_window(np.concatenate([before.values, after]))


FIXED = forecast("loss", history(), 100)


def test_a_forecast_carries_a_smooth_curve_on_within_its_interval():
    assert FIXED.steps[0] == 199
    assert FIXED.steps[-1] == 299
    truth = CURVE[FIXED.steps]
    assert np.all((FIXED.low < truth) & (truth < FIXED.high))
    assert np.all(np.diff(FIXED.mean) < 0)
    assert FIXED.high[-1] / FIXED.low[-1] > FIXED.high[0] / FIXED.low[0]


def test_the_interval_holds_nine_times_out_of_ten_on_curves_of_many_shapes():
    # Falls that slow down, as losses do; one that speeds up is beyond any straight line.
    shapes = [
        2.3 * np.exp(-STEPS / 400),
        2.3 * (1 + STEPS / 50) ** -0.5,
        0.5 + 1.8 * np.exp(-STEPS / 100),
        np.full(400, 0.7),
    ]
    held = []
    for shape in shapes:
        for seed in range(40):
            fixed = forecast("loss", history(250, 0.15, seed, shape), 100)
            held.append(fixed.low[-1] <= shape[fixed.steps[-1]] <= fixed.high[-1])
    assert np.mean(held) >= 0.9


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(0.5, "better"), (0.8, "better"), (1.0, "same"), (1.5, "worse"), (3.0, "worse"), (np.nan, "worse")],
)
def test_the_verdict_is_what_lies_outside_the_interval(factor, verdict):
    result = verdict_now(FIXED, then(factor), 199, 100, expected_effect=-0.3)
    assert result.verdict == verdict
    assert result.sentence.endswith(".")
    if np.isfinite(factor):
        assert result.low < result.forecast < result.high
        assert result.difference == pytest.approx(factor - 1, abs=0.15)


def test_for_a_goal_to_maximise_higher_is_better():
    fixed = forecast("accuracy", history(), 100, direction="max")
    assert judge(fixed, then(1.5), 199, 100).verdict == "better"
    assert judge(fixed, then(0.5), 199, 100).verdict == "worse"


def test_without_power_to_tell_it_is_unclear_not_the_same():
    wild = forecast("loss", history(sigma=1.0), 100)
    assert judge(wild, then(0.95, sigma=1.0), 199, 100, expected_effect=-0.05).verdict == "unclear"


def test_it_waits_for_the_horizon_but_not_for_a_run_in_ruins():
    assert verdict_now(FIXED, then(0.5, steps=50), 199, 100) is None
    assert verdict_now(FIXED, then(1.0, steps=99), 199, 100) is None
    assert verdict_now(FIXED, None, 199, 100) is None
    ruined = verdict_now(FIXED, then(20, steps=20), 199, 100)
    assert ruined.verdict == "worse"
    assert ruined.is_ruin
    lost = a_window(np.append(history().values, [np.nan] * 12))
    assert verdict_now(FIXED, lost, 199, 100).is_ruin


def test_with_too_few_points_before_or_after_it_is_unclear():
    assert forecast("loss", history(10), 100) is None
    assert forecast("loss", a_window([]), 100) is None
    assert verdict_now(None, then(1.0), 199, 100).verdict == "unclear"
    sparse = a_window([1.0, 1.0, 1.0], first_step=150, stride=100)
    assert judge(FIXED, sparse, 199, 100).sentence == "Only 1 point of loss came after the change."
    assert judge(FIXED, sparse, 199, 100).verdict == "unclear"


@pytest.mark.parametrize(
    ("run_step", "judged"), [(None, False), (299, False), (498, False), (499, True), (9000, True)]
)
def test_a_metric_that_is_not_logged_any_more_is_waited_for_three_horizons(run_step, judged):
    for window in (None, then(1.0, steps=50)):
        result = verdict_now(FIXED, window, 199, 100, run_step=run_step)
        assert (result is not None) == judged
        if result:
            assert result.verdict == "unclear"
            assert "has not logged loss" in result.sentence
    assert verdict_now(FIXED, then(0.5), 199, 100, run_step=9000).verdict == "better"


def test_not_acting_on_a_nan_would_leave_a_nan_so_any_number_is_better():
    nan = forecast("loss", a_window(np.append(CURVE[:50], [np.nan] * 5)), 100, broken=True)
    assert len(nan.mean) == 0
    assert judge(nan, a_window(CURVE[:150]), 49, 100).verdict == "better"
    still = a_window(np.append(CURVE[:50], [np.nan] * 100))
    assert judge(nan, still, 49, 100).verdict == "same"


def test_an_explosion_is_held_at_its_level_not_carried_on():
    up = a_window(np.exp(np.arange(60) / 10))
    fixed = forecast("loss", up, 100, broken=True)
    assert fixed.mean[-1] == fixed.mean[0] < up.values[-1]
    assert judge(fixed, a_window(np.full(130, 0.5)), 20, 100).verdict == "better"


def test_a_forecast_survives_storage():
    assert Forecast.from_json(FIXED.as_json()).as_json() == FIXED.as_json()


@pytest.mark.parametrize(
    ("verdict", "fields", "changes"),
    [
        ("better", {}, None),
        ("same", {}, None),
        ("unclear", {}, None),
        ("worse", {}, ["set 0.1"]),
        ("same", {"trial": True}, ["set 0.1"]),
        ("unclear", {"trial": True}, ["set 0.1"]),
        ("better", {"trial": True}, None),
        ("worse", {"broken": True}, ["rollback 100", "set 0.1"]),
        ("worse", {"broken": True, "checkpoints": []}, ["set 0.1"]),
        ("worse", {"broken": True, "checkpoints": [a_checkpoint(400)]}, ["set 0.1"]),
        ("worse", {"verb": "rollback"}, None),
        ("worse", {"tunable": a_rate(0.7)}, None),
        ("worse", {"tunable": None}, None),
    ],
)
def test_what_is_taken_back(verdict, fields, changes):
    fields = {
        "trial": False, "verb": "set", "tunable": a_rate(0.3),
        "broken": False, "checkpoints": [a_checkpoint(0), a_checkpoint(100), a_checkpoint(300)],
        "before_step": 200,
    } | fields  # fmt: skip
    settings = [Setting(fields.pop("tunable"), 0.1, 0.3)]
    result = undo(Judgement(verdict, "."), settings=settings, tunables={}, **fields)
    told = result and [
        f"{c.verb} {c.value['step'] if c.verb == 'rollback' else c.value}" for c in result.changes
    ]
    assert told == changes


def wandering(alike, sigma, seed, count=400):
    """Noise whose neighbours are alike, as running means and rewards have it: AR(1) of this correlation."""
    shocks = sigma * np.sqrt(1 - alike**2) * np.random.default_rng(seed).standard_normal(count)
    noise = np.zeros(count)
    for i in range(1, count):
        noise[i] = alike * noise[i - 1] + shocks[i]
    return noise


@pytest.mark.parametrize(("alike", "most"), [(0.0, 0.1), (0.5, 0.15), (0.9, 0.2)])
def test_where_nothing_was_changed_a_verdict_is_as_rare_as_its_interval_says(alike, most):
    """Taken for independent, noise of 0.9 is called better or worse in a third of the cases."""
    verdicts = []
    for seed in range(120):
        window = a_window(0.7 * np.exp(wandering(alike, 0.2, seed)))
        fixed = forecast("loss", window.until(199), 100)
        verdicts.append(judge(fixed, window, 199, 100).verdict)
    assert np.mean([verdict in {"better", "worse"} for verdict in verdicts]) <= most


def test_noise_that_wanders_widens_the_interval_and_a_bend_does_not():
    noise, bend = np.random.default_rng(0).standard_normal(200), np.linspace(-1, 1, 200) ** 2
    assert clumping(noise) == clumping(bend) == clumping(noise + 20 * bend) == 1
    assert clumping(np.zeros(50)) == clumping(np.ones(5)) == 1
    assert 3 < clumping(wandering(0.9, 1.0, 0)) < 7


def test_a_change_that_harms_a_metric_it_was_not_to_harm_is_worse():
    speed = np.concatenate([noisy(np.full(200, 1000.0), 0.05, 3), noisy(np.full(100, 1500.0), 0.05, 4)])
    fixed = replace(forecast("_samples_per_second", a_window(speed[:200]), 100, "max"), unharmed=(FIXED,))

    def verdict(loss):
        return verdict_now(fixed, a_window(speed), 199, 100, 0.5, 299, {"loss": loss})

    assert verdict(then(1.0)).verdict == "better"
    harmed = verdict(then(1.6))
    assert (harmed.verdict, harmed.metric) == ("worse", "loss")
    again = Forecast.from_json(fixed.as_json())
    assert [each.metric for each in again.unharmed] == ["loss"]
    assert verdict_now(again, a_window(speed), 199, 100, 0.5, 299, {}).verdict == "better"


def test_more_samples_a_second_are_better_and_a_proposal_guards_what_is_logged():
    seen_run = seen(
        noisy(CURVE[:200], 0.1), windows={"_samples_per_second": a_window(noisy(np.full(200, 9.0), 0.1))}
    )
    proposal = Proposal(
        "input", (Change("set", "loader_workers", 2),), "slow", {}, Expected(0.1, 0.0, 0.2),
        "_samples_per_second", 100, unharmed=("loss", "accuracy"),
    )  # fmt: skip
    fixed = no_action(seen_run, proposal)
    assert fixed.direction == "max"
    assert [(each.metric, each.direction) for each in fixed.unharmed] == [("loss", "min")]


def test_noise_whose_square_is_too_small_for_a_number_clumps_no_more_than_chance():
    assert clumping(1e-200 * np.random.default_rng(0).standard_normal(40)) == 1.0


WILD = {
    "over all exponents": np.exp(200 * np.random.default_rng(0).standard_normal(200)),
    "to the last float": np.exp(np.minimum(4.0 * np.arange(200), 705)),
    "of both signs": 1e308 * np.random.default_rng(0).uniform(-1.7, 1.7, 200),
    "a jump between the ends": np.repeat([-1.7e308, 1.7e308], 100),
    "down to nothing": np.exp(-3.6 * np.arange(200)),
    "one wild point": np.append(np.random.default_rng(0).standard_normal(199), 1.7e308),
}


@pytest.mark.parametrize("values", WILD.values(), ids=WILD)
@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.filterwarnings("error")
def test_no_value_is_too_wild_for_a_finite_forecast_and_a_verdict(values, broken):
    fixed = forecast("loss", a_window(values), 100_000, broken=broken)
    for side in (fixed.mean, fixed.low, fixed.high):
        assert np.isfinite(side).all()
    after = a_window(np.concatenate([values, values[::-1]]))
    found = judge(fixed, after, 199, 100)
    assert found.verdict in {"better", "same", "worse", "unclear"}
    find_trouble(a_window(values), Limits())
    noise_of(a_window(values))
