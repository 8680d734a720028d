"""The name under which a change is remembered: what it does and about how far, not to which run.

learning_rate x3, batch_size /2, rollback + learning_rate /3, stop
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

# Sizes that are told apart. What lies between is remembered under the nearest, by ratio.
FACTORS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)


def action_of(changes: Sequence[Mapping[str, Any]], roles: Mapping[str, str]) -> str:
    """The action's name.

    changes: {"verb", "tunable", "value", "old_value"}, as a decision keeps them. roles: {tunable: its role}. A tunable
    without a role is called "other": its own name is its project's business, and beliefs are the whole site's.
    """
    return " + ".join(_one(change, roles) for change in changes)[:200] or "nothing"


def _one(change: Mapping[str, Any], roles: Mapping[str, str]) -> str:
    if change["verb"] != "set":
        return str(change["verb"])
    what = roles.get(change["tunable"]) or "other"
    old, new = _number(change.get("old_value")), _number(change.get("value"))
    if old is None or new is None:
        return f"{what} to {change['value']}" if isinstance(change.get("value"), bool) else f"{what} changed"
    if old <= 0 or new <= 0:
        return f"{what} {'up' if new > old else 'down'}"
    size = _nearest(max(new / old, old / new))
    return f"{what} {'x' if new >= old else '/'}{size:g}"


def _nearest(factor: float) -> float:
    return min(FACTORS, key=lambda known: abs(math.log(factor / known)))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
