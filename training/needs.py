"""Which of the runs that go on need a person, as other parts know it. Each part enters a finder where it is set up.

A finder is a function of runs that go on: {run: what is wrong with it, in words}, only those with something wrong.
"""

from collections.abc import Callable, Mapping, Sequence

from .models import Run

Finder = Callable[[Sequence[Run]], Mapping[int, str]]
FINDERS: list[Finder] = []


def finder(function: Finder) -> Finder:
    """Decorator: enter a finder."""
    FINDERS.append(function)
    return function


def wrong_with(runs: Sequence[Run]) -> dict[int, str]:
    """{run: what is wrong with it}; the first finder's word counts."""
    found: dict[int, str] = {}
    for each in reversed(FINDERS):
        found |= each(runs)
    return found
