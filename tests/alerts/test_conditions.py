"""Conditions by their tables: points in, spans out."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import CONDITIONS, BadParameters, Track, held, parameters_of
from alerts.conditions.threshold import windowed
from alerts.presets import PRESETS

NAN = float("nan")


def track(*values, every=1.0):
    places = np.arange(len(values))
    return Track(places * every, places * 10, np.array(values, dtype=float))


def spans(condition, values, until=None, live=True, every=1.0, **parameters):
    points = track(*values, every=every)
    end = until if until is not None else (len(values) - 1) * every
    return [(s.start, s.end) for s in parameters_of(condition, parameters).spans(points, end, live)]


@pytest.mark.parametrize(
    ("values", "parameters", "found"),
    [
        ([1, 2, 3], {"limit": 2.5}, [(2, None)]),
        ([1, 3, 1, 3, 3, 1], {"limit": 2}, [(1, 2), (3, 5)]),
        ([1, 3, 1], {"limit": 2, "is": "below"}, [(0, 1), (2, None)]),
        ([2, 2], {"limit": 2}, []),  # at the limit is not above it
        ([NAN, 3], {"limit": 2}, [(1, None)]),
        ([0, 0, 9, 0, 0], {"limit": 2, "of": "mean", "window_seconds": 3}, [(3, None)]),
        ([0, 0, 9, 0, 0], {"limit": 4, "of": "mean", "window_seconds": 3}, []),
        ([9, 9, 9], {"limit": 4, "of": "mean", "window_seconds": 30}, []),  # no window is full yet
        ([0, 5, 5, 5, 5], {"limit": 4, "of": "min", "window_seconds": 2}, [(2, None)]),
        ([0, 5, 0, 0, 0], {"limit": 4, "of": "max", "window_seconds": 2}, [(2, 3)]),
    ],
)
def test_a_figure_past_its_limit(values, parameters, found):
    assert spans("run_figure", values, key="x", **parameters) == found


@given(
    st.lists(st.floats(-100, 100) | st.just(NAN), min_size=1, max_size=30),
    st.sampled_from(["mean", "min", "max"]),
    st.floats(0.5, 8),
)
def test_windows_hold_what_a_plain_loop_finds(values, of, seconds):
    points = track(*values)
    pick = {"mean": np.mean, "min": np.min, "max": np.max}[of]
    for place, got in enumerate(windowed(points, of, seconds)):
        inside = [
            v
            for t, v in zip(points.times, points.values, strict=True)
            if points.times[place] - seconds < t <= place and np.isfinite(v)
        ]
        np.testing.assert_allclose(got, pick(inside) if inside else NAN, atol=1e-9)


def test_nan_and_infinity_are_found_until_a_figure_comes():
    assert spans("non_finite", [1, NAN, float("inf"), 2, NAN]) == [(1, 3), (4, None)]


@pytest.mark.parametrize(
    ("values", "parameters", "found"),
    [
        ([5, 4, 3, 3, 3, 3], {"patience_steps": 20}, [(4, None)]),
        ([5, 4, 3, 3, 3, 2.9], {"patience_steps": 20}, [(4, 5)]),
        ([5, 4, 3, 2.9999, 2.9998, 2.9997], {"patience_steps": 20, "least_gain": 0.01}, [(4, None)]),
        ([1, 2, 3, 3, 3], {"patience_steps": 20, "direction": "max"}, [(4, None)]),
        ([NAN, NAN, NAN], {"patience_steps": 20}, [(2, None)]),
        ([], {"patience_steps": 20}, []),
    ],
)
def test_a_best_as_old_as_the_patience_is_a_plateau(values, parameters, found):
    assert spans("plateau", values, key="loss", **parameters) == found


def test_a_gap_is_a_stall_from_the_patience_on_until_points_come_again():
    points = Track(np.array([0.0, 1, 50, 51]), np.arange(4), np.ones(4))
    stalled = parameters_of("stalled", {"seconds": 10})
    assert [(s.start, s.end) for s in stalled.spans(points, 100, True)] == [(11, 50), (61, None)]
    assert [(s.start, s.end) for s in stalled.spans(points, 100, False)] == [
        (11, 50)
    ]  # it ended: no stall at the end
    assert "no point for 10 s after step 3" in stalled.spans(points, 100, True)[-1].message


def test_only_what_lasted_counts():
    from alerts.conditions import Span

    both = [Span(0, 5), Span(10, None)]
    assert held(both, 6, until=12) == []
    assert held(both, 5, until=12) == [both[0]]
    assert held(both, 5, until=15) == both


@pytest.mark.parametrize(
    ("condition", "parameters", "said"),
    [
        ("nothing", {}, "there are run_figure, node_figure"),
        ("run_figure", {"key": "loss"}, "missing required field `limit`; run_figure takes key, limit, is"),
        (
            "run_figure",
            {"key": "loss", "limit": "high"},
            "limit: Expected a number, got text; run_figure takes",
        ),
        ("run_figure", {"key": "loss", "limit": 1, "is": "near"}, "Invalid enum value 'near'"),
        ("run_figure", {"key": "", "limit": 1}, "length >= 1"),
        ("stalled", {"seconds": 1}, ">= 5"),
        ("stalled", {"hours": 1}, "unknown field `hours`"),
        ("plateau", [], "Expected a map, got a list"),
        ("run_state", {"states": []}, "length >= 1"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_words(condition, parameters, said):
    with pytest.raises(BadParameters, match="(?s)" + said.replace("(", r"\(")):
        parameters_of(condition, parameters)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_is_a_rule_that_can_be(preset):
    assert isinstance(parameters_of(preset.condition, preset.parameters), msgspec.Struct)
    assert preset.told


def test_every_condition_has_a_preset():
    assert {preset.condition for preset in PRESETS} == set(CONDITIONS)
