"""How far clocks of processes are from the server's, where that was noted: points have the process's times."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import datetime

from django.db.models import Q

from training.models import RunEvent

# What tells of a clock (`note_skew` and `note_right_clock` of `link.admission`), and that another process goes on,
# whose clock may be right.
TELL_OF_CLOCKS = Q(kind="note", data__clock_ahead_seconds__isnull=False) | Q(
    kind="branch", data__reason="resume"
)


def clock_of(events: Iterable[RunEvent]) -> Callable[[datetime], float]:
    """A function from a moment to the seconds by which the clock of a run's process was ahead of the server's then.

    events: those of one run. What was before the first process connected is held against that one's clock.
    """
    ahead_of: dict[str, float] = {}
    changes: list[tuple[datetime, float]] = []
    for event in sorted(events, key=lambda event: event.pk):
        if event.kind == "note" and "clock_ahead_seconds" in event.data and not event.data.get("rank"):
            ahead = ahead_of[event.data["clock_of"]] = float(event.data["clock_ahead_seconds"])
            changes.append((event.at, ahead))
        elif event.kind == "branch" and event.data.get("reason") == "resume" and changes:
            changes.append((event.at, ahead_of.get(event.data.get("session", ""), 0.0)))
    times = [at for at, _ in changes]

    def ahead_at(moment: datetime) -> float:
        return changes[max(0, bisect_right(times, moment) - 1)][1] if changes else 0.0

    return ahead_at
