"""A decision as REST and the live path write it."""

from typing import Any

from monitoring.live.publish import publish_change
from training import notices

from .models import Decision, DecisionState, Mode

PLAIN = (
    "id", "policy", "state", "mode", "verb", "tunable", "old_value", "new_value", "changes", "urgent",
    "trial", "reason", "evidence", "expected", "forecast", "decided_step", "applied_step", "judge_at_step",
    "blocked_by", "verdict", "measured", "held80", "held90",
)  # fmt: skip


def describe(decision: Decision) -> dict[str, Any]:
    """The resource Decision of docs/contracts.md: commands by their number in the run, times in ISO 8601."""
    return {name: getattr(decision, name) for name in PLAIN} | {
        "run": decision.run.code,
        "command": decision.command.seq if decision.command else None,
        "undo_command": decision.undo_command.seq if decision.undo_command else None,
        "created_at": decision.created_at.isoformat(),
        "judged_at": decision.judged_at.isoformat() if decision.judged_at else None,
        "decided_by": decision.decided_by.get_username() if decision.decided_by else None,
    }


def announce(decision: Decision) -> None:
    """Tell the run's and the experiment's viewers what became of a decision."""
    data = describe(decision)
    publish_change(f"run:{decision.run.code}", "decision", data)
    publish_change(f"experiment:{decision.run.experiment_id}", "decision", data)
    if decision.state == DecisionState.PROPOSED or decision.mode == Mode.ADVISE:
        # One that came, or one that was answered or has lapsed.
        notices.tell("proposal")
