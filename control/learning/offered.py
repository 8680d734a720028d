"""The sizes of a change that were not taken, as a decision keeps them: what each would do, and why it was left.

`rule` says it in one word, `why` in a sentence with the figures that decided. Nothing here is worked out anew: the
figures are those that `choose` compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from control.proposals import Change, Expected, Observation, Proposal

GOOD_ENOUGH = 0.5  # of a rescue: it helps more often than not


@dataclass(frozen=True)
class Compared:
    """What was compared. draws: by the place of a size; empty where nothing is known, then the first is taken."""

    names: Sequence[str]
    draws: Mapping[int, float]
    taken: int
    rescue: bool


def as_offered(size: Proposal, observation: Observation) -> dict[str, Any]:
    return {
        "changes": as_kept(size.changes, observation),
        "expected": as_expected(size.expected),
        "judge_after_steps": size.judge_after_steps,
    }


def why_not(place: int, compared: Compared) -> dict[str, str]:
    """{"rule", "why"} of a size that was not taken."""
    rule, why = _why_not(place, compared)
    return {"rule": rule, "why": why}


def _why_not(place: int, compared: Compared) -> tuple[str, str]:
    names, draws, taken = compared.names, compared.draws, compared.taken
    if names[place] in names[:place]:
        return "same", f"to what was learnt it is the same as a size before it: both count as {names[place]}"
    if not draws:
        return "first", "no size has a verdict yet, so the policy's first choice is taken"
    mine, best = draws[place], draws[taken]
    if not compared.rescue:
        return "draw", f"its gain was drawn at {percent(mine)}, that of the one taken at {percent(best)}"
    if best <= GOOD_ENOUGH:
        return (
            "chance",
            f"its chance of helping was drawn at {share(mine)}, that of the one taken at {share(best)}",
        )
    if mine <= GOOD_ENOUGH:
        return "odds", f"its chance of helping was drawn at {share(mine)}: it would help less often than not"
    # What was never judged is drawn at one (choose.drawn_help).
    good = (
        f"{share(best)} was drawn for it"
        if best < 1
        else "it was never judged, and has the benefit of the doubt"
    )
    return "later", f"it comes later in the policy's order, and the one taken is good enough: {good}"


def as_kept(changes: Sequence[Change], observation: Observation) -> list[Mapping[str, Any]]:
    """Changes with the values they replace, as a decision keeps them."""
    tunables = observation.tunables
    return [
        {
            "verb": change.verb,
            "tunable": change.tunable,
            "value": change.value,
            "old_value": tunables[change.tunable].value if change.tunable in tunables else None,
        }
        for change in changes
    ]


def as_expected(expected: Expected) -> dict[str, Any]:
    """An expectation as a decision keeps it."""
    told: dict[str, Any] = {
        "effect": expected.effect, "low": expected.low, "high": expected.high, "unit": expected.unit,
    }  # fmt: skip
    if expected.low80 is not None:
        told |= {"low80": expected.low80, "high80": expected.high80}
    return told


def percent(gain: float) -> str:
    """A gain (a logarithm of a ratio) as a person reads it: +8 %."""
    return f"{float(f'{100 * np.expm1(gain):.2g}'):+g} %"


def share(chance: float) -> str:
    return f"{100 * chance:.0f} %"
