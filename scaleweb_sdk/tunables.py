"""Settings that a run declares can change while it runs, and the check every change must pass."""

import math
from collections.abc import Callable
from typing import Any

from .protocol import TunableSpec


class BadValue(ValueError):
    """A value that the tunable does not take; the message holds the value and the bounds."""


class Tunable:
    """The current value of a declared setting: `float(lr)`, `int(batch)`, or `.value`.

    Assigning `.value` changes it from within the script; the page shows that the script did.
    on_change(value) is called with each new value that comes from outside, at a step boundary.
    put(value): how a value that the script assigns comes into force where the setting is not the script's own; the
    torch helper's are not. What it raises leaves the value as it was.
    since: the step from which the value is in force on the run's present branch.
    """

    def __init__(
        self,
        spec: TunableSpec,
        on_change: Callable[[Any], None] | None = None,
        report: Callable[["Tunable"], None] = lambda _: None,
        step: Callable[[], int] = lambda: 0,
    ) -> None:
        self.spec = spec
        self.on_change = on_change
        self.put: Callable[[Any], None] | None = None
        self._report = report
        self._step = step
        self.since = step()
        self._declared = (spec.value, *words(spec))
        self.spec.value = check(spec, spec.value)

    def declared_as(self, spec: TunableSpec) -> bool:
        """Whether `spec` declares this one, whatever its value is by now."""
        return self._declared == (spec.value, *words(spec))

    def __reduce__(self) -> Any:
        # In another process, or a checkpoint, it is its value: what changes it stays here.
        return Tunable, (self.spec,)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def value(self) -> Any:
        return self.spec.value

    @value.setter
    def value(self, value: Any) -> None:
        new = check(self.spec, value)
        if self.put is not None:
            self.put(new)
        self._take(new)
        self._report(self)

    def _take(self, value: Any) -> None:
        if value != self.spec.value:
            self.since = self._step()
        self.spec.value = value

    def went_back(self, step: int) -> None:
        """The training goes on from `step` again, with the value that this has now."""
        self.since = min(self.since, step)

    def tell(self, **facts: Any) -> None:
        """Add to `about`, or change it there; None takes a fact away. Reported only where something is new."""
        told = {name: fact for name, fact in (self.spec.about | facts).items() if fact is not None}
        if told != self.spec.about:
            self.spec.about = told
            self._report(self)

    def order(self, value: Any) -> tuple[Any, Any]:
        """Apply a value from outside: (old, new). Raises BadValue, or what on_change raises; then nothing changed."""
        old, new, since = self.spec.value, check(self.spec, value), self.since
        self._take(new)
        if self.on_change is not None:
            try:
                self.on_change(new)
            except BaseException:
                self.spec.value, self.since = old, since
                raise
        return old, new

    def __float__(self) -> float:
        return float(self.spec.value)

    def __int__(self) -> int:
        return int(self.spec.value)

    def __bool__(self) -> bool:
        return bool(self.spec.value)

    def __repr__(self) -> str:
        return f"<tunable {self.name}={self.value!r}>"


def words(spec: TunableSpec) -> tuple[Any, ...]:
    """Everything of the declaration but the value, and but the facts, which grow while the run goes on."""
    return tuple(getattr(spec, name) for name in spec.__struct_fields__ if name not in {"value", "about"})


def declare(
    name: str,
    default: Any,
    low: float | None = None,
    high: float | None = None,
    scale: str = "linear",
    kind: str | None = None,
    choices: list[Any] | None = None,
    role: str = "",
    description: str = "",
    about: dict[str, Any] | None = None,
) -> TunableSpec:
    """The spec of a new tunable; the kind follows from the default where it is not given. Raises BadValue."""
    default, low, high = unwrapped(default), unwrapped(low), unwrapped(high)
    if kind is None:
        kind = "choice" if choices else kind_of(default)
    if kind not in {"float", "int", "bool", "choice"}:
        raise BadValue(f"tunable {name!r}: kind={kind!r}; expected float, int, bool or choice")
    if scale not in {"linear", "log"}:
        raise BadValue(f"tunable {name!r}: scale={scale!r}; expected linear or log")
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise BadValue(f"a tunable's name has 1 to 200 characters; got {name!r:.80}")
    if kind == "choice" and not choices:
        raise BadValue(f"tunable {name!r}: a choice needs a list of choices")
    odd = [choice for choice in choices or [] if not isinstance(choice, str | bool | int | float)]
    if odd:
        raise BadValue(f"tunable {name!r}: the choice {odd[0]!r:.80} is neither text, number nor bool")
    for bound, value in (("low", low), ("high", high)):
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value)
        ):
            raise BadValue(f"tunable {name!r}: {bound}={value!r:.80} is not a number")
    if low is not None and high is not None and not low <= high:
        raise BadValue(f"tunable {name!r}: low={low} is above high={high}")
    if scale == "log" and low is not None and low <= 0:
        raise BadValue(f"tunable {name!r}: a log scale needs a low above 0; got {low}")
    return TunableSpec(
        name, kind, default, low, high, scale, list(choices or []), role, description, dict(about or {})
    )


def unwrapped(value: Any) -> Any:
    """Python's own number out of numpy's or a tensor's."""
    try:
        return value.item()
    except (AttributeError, ValueError, RuntimeError, TypeError):
        return value


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "int" if isinstance(value, int) else "float"


def check(spec: TunableSpec, value: Any) -> Any:
    """The value as the tunable holds it. Raises BadValue with the bounds."""
    if spec.kind == "choice":
        if value not in spec.choices:
            raise BadValue(f"{spec.name}={value!r} is not one of {', '.join(map(repr, spec.choices))}")
        return value
    if spec.kind == "bool":
        if not isinstance(value, bool):
            raise BadValue(f"{spec.name}={value!r}; expected true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"{spec.name}={value!r} is not a number")
    if not math.isfinite(value):
        raise BadValue(f"{spec.name}={value} is not finite; expected {bounds(spec)}")
    if spec.kind == "int":
        if value != int(value):
            raise BadValue(f"{spec.name}={value} is not a whole number")
        value = int(value)
    else:
        value = float(value)
    if (spec.low is not None and value < spec.low) or (spec.high is not None and value > spec.high):
        raise BadValue(f"{spec.name}={value} is outside {bounds(spec)}")
    return value


def bounds(spec: TunableSpec) -> str:
    low = "-inf" if spec.low is None else f"{spec.low:g}"
    high = "inf" if spec.high is None else f"{spec.high:g}"
    return f"{low}..{high}"
