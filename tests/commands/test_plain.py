"""What a process says becomes JSON that both databases and every browser can hold."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.plain import NotPlain, numbers, plain


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ({1: math.inf}, {"1": "Infinity"}),
        ((1, None, True), [1, None, True]),
        ("a\x00b", "a\ufffdb"),
        ("half \ud800", "half ?"),
        (2**60, str(2**60)),
        ("x" * 200_000, "x" * 100_000),
    ],
)
def test_odd_values_are_kept_in_a_form_that_travels(given_value, kept):
    assert plain(given_value) == kept


def test_what_json_cannot_hold_is_refused_with_its_place():
    deep: list = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(NotPlain, match=r"config\.a\[1\] is bytes"):
        plain({"a": [1, b"x"]}, "config")
    with pytest.raises(NotPlain, match="deeper than 32"):
        plain(deep)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
)


@given(ANYTHING)
def test_the_outcome_is_always_strict_json(value):
    text = json.dumps(plain(value), allow_nan=False, ensure_ascii=False)
    assert "\x00" not in text
    text.encode()


def test_a_finite_column_is_not_even_copied():
    column = [1.0, 2.0]
    assert numbers(column) is column
    assert numbers([1e308, 1e308]) == [1e308, 1e308]
    assert numbers([math.nan, 1.0]) == ["NaN", 1.0]
