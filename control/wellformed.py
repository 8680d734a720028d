"""What a policy answered, as values that can be compared, bounded and stored; rubbish is named, not passed on.

Policies are plug-ins: what they return is somebody else's word, and one that cannot be read must cost no more than
its own proposals.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from monitoring.plain import plain, text

from .proposals import Alternative, Change, Expected, Proposal

MOST_PROPOSALS = 20
MOST_ALTERNATIVES = 8
LONGEST_HORIZON = 10**9


def proposals_of(policy: str, answer: Iterable[object]) -> list[Proposal]:
    """The proposals of the policy of this name. Raises TypeError or ValueError, saying what is wrong."""
    found = list(islice(answer, MOST_PROPOSALS + 1))
    if len(found) > MOST_PROPOSALS:
        raise ValueError(f"propose must return at most {MOST_PROPOSALS} proposals at once")
    return [well_formed(policy, proposal) for proposal in found]


def well_formed(policy: str, proposal: object) -> Proposal:
    """The proposal with plain Python values. Raises TypeError or ValueError, saying what is wrong."""
    if not isinstance(proposal, Proposal):
        raise TypeError(f"propose must return Proposal objects, not {type(proposal).__name__}")
    if proposal.policy != policy:
        raise ValueError(f"a proposal names its own policy, {policy!r}, not {proposal.policy!r:.80}")
    changes = changes_of(proposal.changes)
    if not isinstance(proposal.evidence, Mapping):
        raise TypeError(f"evidence must be a map of figures, not {type(proposal.evidence).__name__}")
    return replace(
        proposal,
        changes=changes,
        reason=text_of("reason", proposal.reason, 10_000),
        evidence=evidence_of(proposal),
        expected=expected_of(proposal.expected),
        metric=text_of("metric", proposal.metric, 300),
        judge_after_steps=horizon_of(proposal.judge_after_steps),
        urgency=bool(proposal.urgency),
        trial=bool(proposal.trial),
        broken=bool(proposal.broken),
        plan=text_of("plan", proposal.plan, 40),
        unharmed=keys_of("unharmed", proposal.unharmed),
        alternatives=alternatives_of(proposal.alternatives, changes),
        run=text_of("run", proposal.run, 16),
    )


def alternatives_of(given: object, changes: tuple[Change, ...]) -> tuple[Alternative, ...]:
    """Other sizes of the same thing: the same verbs and tunables in the same order, the last of them left out or added.

    So a roll back may come with a lower rate or without, and nothing is smuggled in as a size of something else.
    """
    if not isinstance(given, tuple | list):
        raise TypeError(f"alternatives must be a tuple, not {type(given).__name__}")
    if len(given) > MOST_ALTERNATIVES:
        raise ValueError(f"a proposal has at most {MOST_ALTERNATIVES} alternatives, not {len(given)}")
    found = []
    touched = [(change.verb, change.tunable) for change in changes]
    for other in given:
        if not isinstance(other, Alternative):
            raise TypeError(f"alternatives must hold Alternative objects, not {type(other).__name__}")
        sizes = changes_of(other.changes)
        theirs = [(change.verb, change.tunable) for change in sizes]
        shared = min(len(theirs), len(touched))
        if not shared or theirs[:shared] != touched[:shared]:
            raise ValueError(
                "an alternative changes the same things in the same order, in another size, or some of the last not"
            )
        reason, horizon = text_of("reason", other.reason, 10_000), horizon_of(other.judge_after_steps)
        found.append(Alternative(sizes, reason, expected_of(other.expected), horizon))
    return tuple(found)


def evidence_of(proposal: Proposal) -> dict[str, Any]:
    """The figures as plain values, with the search that the change is a step of: a guard counts its steps."""
    found: dict[str, Any] = plain(native(dict(proposal.evidence)), "evidence")
    found.pop("plan", None)
    return found | {"plan": proposal.plan} if proposal.plan else found


def keys_of(name: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, tuple | list):
        raise TypeError(f"{name} must be a tuple of keys, not {type(given).__name__}")
    if len(given) > MOST_ALTERNATIVES:
        raise ValueError(f"{name} names at most {MOST_ALTERNATIVES} keys, not {len(given)}")
    return tuple(text_of(name, key, 300) for key in given)


def changes_of(given: object) -> tuple[Change, ...]:
    if not isinstance(given, tuple | list):
        raise TypeError(f"changes must be a tuple, not {type(given).__name__}")
    changes = tuple(change_of(change) for change in given)
    names = [change.tunable for change in changes if change.verb == "set"]
    if len(names) != len(set(names)):
        raise ValueError(f"a proposal sets a tunable once, not {', '.join(sorted(names))}")
    return changes


def change_of(change: object) -> Change:
    if not isinstance(change, Change):
        raise TypeError(f"changes must hold Change objects, not {type(change).__name__}")
    # As long as the columns that keep them.
    verb = text_of("verb", change.verb, 12)
    value = native(change.value)
    plain(value, "value")  # A guard refuses NaN in its own words, so the value itself stays as it is.
    return Change(verb, text_of("tunable", change.tunable, 200), value)


def expected_of(expected: object) -> Expected:
    if not isinstance(expected, Expected):
        raise TypeError(f"expected must be an Expected, not {type(expected).__name__}")
    effect, low, high = map(finite, (expected.effect, expected.low, expected.high))
    inner = [finite(figure) for figure in (expected.low80, expected.high80) if figure is not None]
    if len(inner) == 1:
        raise ValueError("expected holds both ends of its 80 % interval or none")
    low80, high80 = inner or (None, None)
    if low80 is not None and high80 is not None and not low <= low80 <= high80 <= high:
        raise ValueError(f"the 80 % interval {low80:g}..{high80:g} must lie within {low:g}..{high:g}")
    return Expected(effect, low, high, text_of("unit", expected.unit, 40), low80, high80)


def finite(figure: object) -> float:
    figure = native(figure)
    if isinstance(figure, bool) or not isinstance(figure, int | float) or not math.isfinite(figure):
        raise ValueError(f"expected holds finite numbers, got {figure!r:.80}")
    return float(figure)


def horizon_of(steps: object) -> int:
    steps = native(steps)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= LONGEST_HORIZON:
        raise ValueError(
            f"judge_after_steps must be a whole number in 1..{LONGEST_HORIZON}, got {steps!r:.80}"
        )
    return steps


def text_of(name: str, value: object, longest: int) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, not {type(value).__name__}")
    if len(value) > longest:
        raise ValueError(f"{name} has {len(value)} characters; at most {longest} are kept")
    return text(value)


def native(value: Any) -> Any:
    """NumPy's numbers and arrays, also inside lists and maps, as Python's own."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: native(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [native(item) for item in value]
    return value
