"""How far a run is and how fast it goes, from its row: what lists of runs and jobs tell without reading its points."""

from typing import Any

from django.db.models import Prefetch

from training.models import Run, Tunable
from training.states import LIVE

# A config's names for where a training ends; a control of that role stands before them.
LENGTHS = ("total_steps", "max_steps", "steps")
# To be prefetched where many runs are told of; with "run__tunables" in front of jobs.
ENDS_OF = Tunable.objects.filter(role="total_steps")
ENDS = Prefetch("tunables", ENDS_OF, to_attr="ends")


def length_of(run: Run) -> int | None:
    """Where it ends: its control of that, else what its config calls so."""
    ends = run.ends if hasattr(run, "ends") else ENDS_OF.filter(run=run)
    config = run.config if isinstance(run.config, dict) else {}
    for value in [*(each.value for each in ends), *(config.get(name) for name in LENGTHS)]:
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def pace_of(run: Run) -> float | None:
    """Seconds a step: as it was logged last, else on average since it started. A pause counts as slowness then."""
    logged = run.summary.get("_step_seconds") if isinstance(run.summary, dict) else None
    if isinstance(logged, int | float) and logged > 0:
        return float(logged)
    made = (run.last_step or 0) - (run.parent_step or 0)
    if run.started_at is None or run.last_seen_at is None or made <= 0:
        return None
    seconds = (run.last_seen_at - run.started_at).total_seconds()
    return seconds / made if seconds > 0 else None


def progress_of(run: Run) -> dict[str, Any] | None:
    """None of a run that does not go on."""
    if run.state not in LIVE:
        return None
    return {"step": run.last_step, "total_steps": length_of(run), "step_seconds": pace_of(run)}
