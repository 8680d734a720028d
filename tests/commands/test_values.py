"""One rule for the values of tunables."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleweb_sdk.protocol import TunableSpec
from training.values import BadValue, check_spec, check_value

LR = TunableSpec("lr", "float", 0.1, low=1e-6, high=1.0, scale="log")
BATCH = TunableSpec("batch_size", "int", 32, low=1, high=4096)
NESTEROV = TunableSpec("nesterov", "bool", True)
SCHEDULE = TunableSpec("schedule", "choice", "cosine", choices=["cosine", "step", 1, True])
FREE = TunableSpec("free", "float", 0.0)


@pytest.mark.parametrize(
    ("tunable", "value", "stored"),
    [
        (LR, 1, 1.0),
        (LR, 1e-6, 1e-6),
        (BATCH, 64.0, 64),
        (NESTEROV, False, False),
        (SCHEDULE, "step", "step"),
        (SCHEDULE, 1, 1),
        (SCHEDULE, True, True),
        (FREE, -1e300, -1e300),
    ],
)
def test_a_fitting_value_takes_the_tunables_type(tunable, value, stored):
    checked = check_value(tunable, value)
    assert checked == stored
    assert type(checked) is type(stored)


@pytest.mark.parametrize(
    ("tunable", "value", "words"),
    [
        (LR, 2.0, "outside 1e-06..1"),
        (LR, 0, "outside 1e-06..1"),
        (LR, "0.1", "not a number"),
        (LR, True, "not a number"),
        (LR, None, "not a number"),
        (LR, [0.1], "not a number"),
        (LR, math.nan, "not finite"),
        (LR, math.inf, "not finite"),
        (LR, 10**400, "too large"),
        (FREE, 10**400, "too large"),
        (BATCH, 1.5, "not a whole number"),
        (BATCH, 0, "outside 1..4096"),
        (BATCH, 10**400, "too large"),
        (NESTEROV, 1, "expected true or false"),
        (SCHEDULE, "linear", "expected one of 'cosine', 'step', 1, True"),
        (SCHEDULE, 1.0, "not on the menu"),
        (TunableSpec("x", "float", 1.0, scale="log"), -1.0, "more than 0"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_would(tunable, value, words):
    with pytest.raises(BadValue) as refusal:
        check_value(tunable, value)
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    "spec",
    [
        TunableSpec("x", "string", "a"),
        TunableSpec("x", "float", 1.0, scale="sqrt"),
        TunableSpec("x", "choice", "a"),
        TunableSpec("x", "float", 1.0, low=2.0, high=1.0),
        TunableSpec("x", "float", 1.0, low=math.nan),
        TunableSpec("x", "float", 5.0, high=1.0),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(spec):
    with pytest.raises(BadValue, match="x"):
        check_spec(spec, spec.value)


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


@given(value=ANYTHING)
def test_whatever_comes_is_in_bounds_or_refused(value):
    for tunable in (LR, BATCH, NESTEROV, SCHEDULE, FREE):
        try:
            checked = check_value(tunable, value)
        except BadValue:
            continue
        if tunable is LR:
            assert 1e-6 <= checked <= 1.0
        if tunable is BATCH:
            assert 1 <= checked <= 4096
            assert type(checked) is int
