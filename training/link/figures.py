"""The latest figures of each run, written to its row about once a second whatever the rate of batches."""

from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from monitoring.live.publish import publish_change
from monitoring.plain import number
from training.models import Run

from .frames import Points, widen

# A run may log 20,000 keys; its row keeps the first of them, the series store has them all.
MAX_SUMMARY_KEYS = 2_000
# Viewers get the summary along with the step where it is small, and read it over REST where not.
MAX_TOLD_KEYS = 100


@dataclass
class RunFigures:
    run: int
    code: str
    experiment: int
    summary: dict[str, Any] = field(default_factory=dict)
    last_step: int | None = None
    branch: int = 0
    # Of every branch: what an explosion reached is told, though a roll back left it behind.
    lows: dict[str, float] = field(default_factory=dict)
    highs: dict[str, float] = field(default_factory=dict)

    def add(self, branch: int, points: Points) -> None:
        if branch >= self.branch and points.last_step is not None:
            # A roll back takes the step back with it; old points that come late do not.
            is_new = branch > self.branch or self.last_step is None
            self.last_step = points.last_step if is_new else max(self.last_step or 0, points.last_step)
            self.branch = branch
        if branch == self.branch:
            for key, value in points.newest.items():
                if key in self.summary or len(self.summary) < MAX_SUMMARY_KEYS:
                    self.summary[key] = number(value)
        for key, low in points.lows.items():
            if key in self.lows or len(self.lows) < MAX_SUMMARY_KEYS:
                widen(self.lows, self.highs, key, low, points.highs[key])


class Figures:
    """Those of all connected runs. Used from the event loop; `write` runs in a database thread."""

    def __init__(self) -> None:
        self.runs: dict[int, RunFigures] = {}
        self.changed: set[int] = set()

    def begin(self, figures: RunFigures) -> RunFigures:
        """The run's figures: those at hand when another process of the run is connected already."""
        return self.runs.setdefault(figures.run, figures)

    def add(self, run: int, branch: int, points: Points) -> None:
        self.runs[run].add(branch, points)
        self.changed.add(run)

    def take(self) -> list[RunFigures]:
        """Copies of what changed since the last call."""
        changed, self.changed = self.changed, set()
        return [
            replace(f, summary=dict(f.summary), lows=dict(f.lows), highs=dict(f.highs))
            for run in changed
            if (f := self.runs.get(run)) is not None
        ]


def write(changed: list[RunFigures]) -> None:
    """Write these to their rows in one transaction, and tell the viewers."""
    now = timezone.now()
    with transaction.atomic():
        for figures in changed:
            values = {
                "summary": figures.summary, "lows": figures.lows, "highs": figures.highs,
                "last_step": figures.last_step, "last_seen_at": now,
            }  # fmt: skip
            if not Run.objects.filter(pk=figures.run).update(**values):
                continue
            told: dict[str, Any] = {
                "code": figures.code,
                "last_step": figures.last_step,
                "last_seen_at": now.isoformat(),
            }
            if len(figures.summary) <= MAX_TOLD_KEYS:
                told["summary"] = figures.summary
            publish_change(f"run:{figures.code}", "run", told)
            publish_change(f"experiment:{figures.experiment}", "run", told)
