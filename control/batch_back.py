"""The batch of a step as it was before a decision, where memory ran out since: other micro-batches, as many samples.

Pure. Micro-batch times accumulation is one thing: the process's own reflex divides the one and multiplies the other, so
that neither stands as a decision left it, and to set one of them back alone would make another batch of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from training.values import BATCH_ROLES

from .proposals import Change, TunableView

if TYPE_CHECKING:
    from .undo import Setting


def batch_back(settings: Sequence[Setting], tunables: Mapping[str, TunableView]) -> tuple[Change, ...] | None:
    """What brings the effective batch back; None where the settings stand otherwise than any reflex explains.

    settings: those of a decision that make the batch, one or both. tunables: of the run, as they stand.
    """
    if all(each.stands for each in settings):
        return tuple(Change("set", each.name, each.old_value) for each in reversed(settings))
    size, parts = with_role(tunables.values(), "batch_size"), with_role(tunables.values(), "accumulation")
    if size is None or parts is None or not (is_count(size.value) and is_count(parts.value)):
        return None
    of = {each.tunable.role: each for each in settings if each.tunable is not None}
    factor = shrunk_since(of, size, parts)
    if factor is None:
        return None
    # What the decision did not set was the same before it and after.
    whole = size.value * factor, parts.value // factor
    before = [
        of[role].old_value if role in of else left for role, left in zip(BATCH_ROLES, whole, strict=True)
    ]
    if not all(map(is_count, before)):
        return None
    samples = math.prod(before)
    # A micro-batch of the present size is known to fit, a larger one is not.
    fits = max(each for each in range(1, size.value + 1) if samples % each == 0)
    wanted = ((size, fits), (parts, samples // fits))
    if not all(in_bounds(tunable, value) for tunable, value in wanted):
        return None
    return tuple(Change("set", tunable.name, value) for tunable, value in wanted if tunable.value != value)


def shrunk_since(of: Mapping[str, Setting], size: TunableView, parts: TunableView) -> int | None:
    """By what the reflex divided the micro-batch that the decision left; None where it was not the reflex alone."""
    failed = size.about.get("failed")
    if not is_count(failed) or failed <= size.value or failed % size.value:
        return None
    left = of["batch_size"].new_value if "batch_size" in of else None
    if left is None:
        factor, rest = divmod(parts.value, of["accumulation"].new_value)
        left = size.value * factor
    else:
        factor, rest = divmod(left, size.value)
    if rest or factor < 2 or left % failed or parts.value % factor:
        return None
    if "accumulation" in of and parts.value != of["accumulation"].new_value * factor:
        return None
    return int(factor)


def with_role(tunables: Iterable[TunableView], role: str) -> TunableView | None:
    return next((each for each in tunables if each.role == role), None)


def in_bounds(tunable: TunableView, value: int) -> bool:
    return (tunable.low is None or value >= tunable.low) and (tunable.high is None or value <= tunable.high)


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
