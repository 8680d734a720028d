"""Whether a value fits a tunable: one rule for the API, the command table and declarations."""

import math
from typing import Any, Protocol

# The process changes these by itself where memory runs out: what is asked of them says what it was decided on.
BATCH_ROLES = ("batch_size", "accumulation")
LARGEST_INT = 2**53  # beyond it a browser cannot tell neighbours apart


class BadValue(ValueError):
    """The value does not fit; the message shows it and what would do."""


class Bounded(Protocol):
    """What a tunable says of its values; `training.models.Tunable` and `protocol.TunableSpec` both do."""

    @property
    def name(self) -> Any: ...
    @property
    def kind(self) -> Any: ...
    @property
    def low(self) -> Any: ...
    @property
    def high(self) -> Any: ...
    @property
    def scale(self) -> Any: ...
    @property
    def choices(self) -> Any: ...


def check_value(tunable: Bounded, value: Any) -> Any:
    """`value` as the tunable's own type: float, int, bool or one of its choices.

    Raises BadValue with the bounds or the choices: for another type, for NaN and infinities, for a number
    outside low..high, for zero or less on a log scale.
    """
    kind = str(tunable.kind)
    if kind == "bool":
        if isinstance(value, bool):
            return value
        raise BadValue(f"{tunable.name}={shown(value)} is not a switch; expected true or false")
    if kind == "choice":
        return check_choice(tunable, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"{tunable.name}={shown(value)} is not a number; expected {expected(tunable)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValue(f"{tunable.name}={value} is not finite; expected {expected(tunable)}")
    checked = whole(tunable, value) if kind == "int" else real(tunable, value)
    low, high = tunable.low, tunable.high
    if (low is not None and checked < low) or (high is not None and checked > high):
        raise BadValue(f"{tunable.name}={shown(value)} is outside {bounds(tunable)}")
    if str(tunable.scale) == "log" and checked <= 0:
        raise BadValue(f"{tunable.name}={shown(value)} is on a log scale; expected more than 0")
    return checked


def check_choice(tunable: Bounded, value: Any) -> Any:
    for choice in tunable.choices:
        # True == 1 and 1 == 1.0 in Python; a menu entry is the same only in its own type.
        if type(choice) is type(value) and choice == value:
            return choice
    menu = ", ".join(shown(choice) for choice in tunable.choices)
    raise BadValue(f"{tunable.name}={shown(value)} is not on the menu; expected one of {menu}")


def whole(tunable: Bounded, value: int | float) -> int:
    if value != math.floor(value):
        raise BadValue(f"{tunable.name}={value} is not a whole number; expected {expected(tunable)}")
    if abs(value) > LARGEST_INT:
        raise BadValue(f"{tunable.name}={shown(value)} is too large; whole numbers end at 2^53")
    return int(value)


def real(tunable: Bounded, value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise BadValue(f"{tunable.name}={shown(value)} is too large; expected {expected(tunable)}") from None


def check_spec(spec: Bounded, value: Any) -> Any:
    """The declared value, normalised. Raises BadValue for a declaration that contradicts itself."""
    if str(spec.kind) not in {"float", "int", "bool", "choice"}:
        raise BadValue(f"{spec.name} is of kind {spec.kind!r}; expected float, int, bool or choice")
    if str(spec.scale) not in {"linear", "log"}:
        raise BadValue(f"{spec.name} has scale {spec.scale!r}; expected linear or log")
    if str(spec.kind) == "choice" and not spec.choices:
        raise BadValue(f"{spec.name} is a choice without choices; expected at least one")
    for side, bound in (("low", spec.low), ("high", spec.high)):
        if bound is not None and not math.isfinite(bound):
            raise BadValue(f"{spec.name} has {side}={bound}; expected a finite number or none")
    if spec.low is not None and spec.high is not None and spec.low > spec.high:
        raise BadValue(f"{spec.name} has low={spec.low} above high={spec.high}")
    return check_value(spec, value)


def expected(tunable: Bounded) -> str:
    noun = "a whole number" if str(tunable.kind) == "int" else "a number"
    return noun if tunable.low is None and tunable.high is None else f"{noun} in {bounds(tunable)}"


def bounds(tunable: Bounded) -> str:
    low = "-∞" if tunable.low is None else f"{tunable.low:g}"
    high = "∞" if tunable.high is None else f"{tunable.high:g}"
    return f"{low}..{high}"


def shown(value: Any) -> str:
    """The value for a message, cut to 80 characters."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**30:
        return f"a whole number of {value.bit_length()} bits"
    return repr(value)[:80]
