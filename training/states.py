"""Run states and the one table of legal moves.

`move` is the only writer of `Run.state`. Who wins a race is asked of the database: the update names
the state it expects, and a lost race is reported, never retried over somebody else's change.
"""

from enum import StrEnum


class RunState(StrEnum):
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"


S = RunState
ENDED = frozenset({S.FINISHED, S.FAILED, S.STOPPED, S.LOST})
LIVE = frozenset({S.STARTING, S.RUNNING, S.PAUSED, S.STOPPING})

# from -> to. A lost run revives when late data arrives; a failed or lost one is queued again on retry, and finished
# from there where its attempt, given up too early, turns out to have come to its end (jobs.corrections).
MOVES: dict[RunState, frozenset[RunState]] = {
    S.QUEUED: frozenset({S.STARTING, S.RUNNING, S.FINISHED, S.STOPPED, S.FAILED}),
    S.STARTING: frozenset({S.RUNNING, S.STOPPING, S.FINISHED, S.FAILED, S.STOPPED, S.LOST, S.QUEUED}),
    S.RUNNING: frozenset({S.PAUSED, S.STOPPING, S.FINISHED, S.FAILED, S.STOPPED, S.LOST, S.QUEUED}),
    S.PAUSED: frozenset({S.RUNNING, S.STOPPING, S.FINISHED, S.FAILED, S.STOPPED, S.LOST, S.QUEUED}),
    S.STOPPING: frozenset({S.STOPPED, S.FINISHED, S.FAILED, S.LOST}),
    S.FINISHED: frozenset({S.QUEUED, S.RUNNING}),
    S.FAILED: frozenset({S.QUEUED, S.RUNNING}),
    S.STOPPED: frozenset({S.QUEUED, S.RUNNING}),
    S.LOST: frozenset({S.QUEUED, S.RUNNING, S.FINISHED, S.FAILED, S.STOPPED}),
}


class IllegalMove(Exception):
    """The run is not in a state from which the move is legal; the message names both states."""


def check(old: str, new: str) -> None:
    """Raise IllegalMove unless MOVES allows old -> new."""
    if RunState(new) not in MOVES[RunState(old)]:
        allowed = ", ".join(sorted(MOVES[RunState(old)])) or "nothing"
        raise IllegalMove(f"a run that is {old} cannot become {new}; it can become {allowed}")


def move(run, new: str, reason: str = "", actor: str = "system", step: int | None = None) -> bool:
    """Move a run to `new`, record the event, tell the viewers. False if another process moved it first.

    run: a saved Run; its `state` attribute is refreshed on success and on a lost race.
    Raises IllegalMove when the table has no such move.
    """
    from django.utils import timezone

    from .models import Run, RunEvent

    old = run.state
    if old == new:
        return True
    check(old, new)
    now = timezone.now()
    changes: dict = {"state": new}
    if new in {S.STARTING, S.RUNNING} and run.started_at is None:
        changes["started_at"] = now
    changes["ended_at"] = now if new in ENDED else None
    won = Run.objects.filter(pk=run.pk, state=old).update(**changes)
    run.refresh_from_db(fields=["state", "started_at", "ended_at"])
    if not won:
        return False
    RunEvent.objects.create(run=run, kind="state", old=old, new=new, reason=reason, actor=actor, step=step)
    from monitoring.live.publish import publish_change

    publish_change(f"run:{run.code}", "run", {"code": run.code, "state": new, "reason": reason})
    publish_change(f"experiment:{run.experiment_id}", "run", {"code": run.code, "state": new})
    return True
