"""What became of the forecasts where nothing was done: the controller's own measure of how well it forecasts.

A decision that was recorded, blocked, refused, left unanswered or made in the shadow left the run as it was, so its
forecast of not acting can be held against what came. Where something else was changed within the horizon, it cannot.
"""

from datetime import datetime
from typing import Any

from . import history
from .describe import announce
from .forecasts import Forecast
from .models import Decision
from .proposals import ACTED_STATES
from .verify import held


def compare_forecasts(watched: history.Watched, now: datetime) -> int:
    """Write down how the forecasts of this run's due decisions did. Returns how many were compared; each once."""
    done = 0
    for decision in watched.unacted:
        fixed = Forecast.from_json(decision.forecast)
        window = watched.windows.get(fixed.metric)
        if window is None or not len(window) or int(window.steps[-1]) < decision.judge_at_step:
            continue
        horizon = decision.judge_at_step - decision.decided_step
        changed = changed_meanwhile(decision, watched)
        fields: dict[str, Any] = {"measured": {"sentence": f"Not compared: {changed}."}}
        if not changed:
            found = held(fixed, window, decision.decided_step, horizon)
            figures = {} if found.judgement is None else found.judgement.as_json()
            fields = {
                "measured": figures
                | {"sentence": found.sentence, "saved_steps": None, "saved_seconds": None},
                "held80": found.held80,
                "held90": found.held90,
            }
        fields["judged_at"] = now
        if Decision.objects.filter(pk=decision.pk, judged_at__isnull=True).update(**fields):
            for name, value in fields.items():
                setattr(decision, name, value)
            announce(decision)
            done += not changed
    return done


def changed_meanwhile(decision: Decision, watched: history.Watched) -> str:
    """What else was changed in the run between this decision and its horizon, "" for nothing."""
    first, last = decision.decided_step, decision.judge_at_step
    for tunable in watched.tunables:
        if tunable.changed_step is not None and first < tunable.changed_step <= last:
            return f"{tunable.name} was changed at step {tunable.changed_step}"
    for past in watched.past():
        if past.state in ACTED_STATES and first <= past.decided_step <= last:
            return f"decision {past.id} of {past.policy} came into force meanwhile"
    hands = [*watched.person_set.values(), watched.person_rolled_back]
    if any(at is not None and at > decision.created_at for at in hands):
        return "a person changed the run meanwhile"
    return ""
