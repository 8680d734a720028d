"""Write down what was considered: recorded, proposed, blocked, or stored and sent."""

import logging
from datetime import datetime

from django.db import IntegrityError, transaction

from monitoring.plain import plain

from . import actions, history
from .decide import Considered
from .describe import announce
from .learning.choose import as_kept
from .models import ControllerSettings, Decision, DecisionMode, DecisionState, Mode
from .proposals import Observation

logger = logging.getLogger(__name__)
S = DecisionState


def overtake(watched: history.Watched, item: Considered) -> None:
    """Close what waits for a person's answer on the same tunable: a rescue does not wait for it."""
    for decision in watched.decisions:
        if decision.state == S.PROPOSED and decision.tunable == item.proposal.tunable:
            why = f"closed: overtaken by {item.proposal.policy}"
            actions.move(decision, S.PROPOSED, S.EXPIRED, blocked_by=why)


def store(
    item: Considered, watched: history.Watched, observed: Observation, now: datetime
) -> Decision | None:
    """Write a considered proposal down, and send it in mode act. None if another tick did it first."""
    refusal = item.refusal
    state = {Mode.OBSERVE: S.RECORDED, Mode.ADVISE: S.PROPOSED}.get(Mode(watched.mode), S.SENT)
    if refusal is not None:
        state = S.BLOCKED
    elif item.shadow:
        state = S.RECORDED
    decision = as_decision(item, observed, watched.mode, state, now)
    decision.run = watched.run
    if refusal is not None:
        decision.blocked_by = f"{refusal.rule}: {refusal.sentence}"[:500]
    try:
        with transaction.atomic():
            if state == S.SENT and not is_still_acting(watched):
                return None
            decision.save(force_insert=True)
            if state == S.SENT:
                actions.act(decision, since=watched.last_seq)
            else:
                announce(decision)
    except IntegrityError:
        logger.info("another tick decided on %s of run %s first", decision.tunable, watched.run.code)
        return None
    watched.decisions.append(decision)
    return decision


def is_still_acting(watched: history.Watched) -> bool:
    """Whether nobody has changed the mode since the tick read it: a switch that is turned off is off at once."""
    settings = watched.settings
    return settings is not None and ControllerSettings.objects.filter(pk=settings.pk, mode=Mode.ACT).exists()


def as_decision(item: Considered, observed: Observation, mode: str, state: str, now: datetime) -> Decision:
    """The row of a considered proposal, unsaved and without its run."""
    proposal = item.proposal
    changes = as_kept(proposal.changes, observed)
    shown = next((c for c in changes if c["verb"] == "set"), changes[0] if changes else {})
    expected = {
        "metric": proposal.metric,
        "effect": proposal.expected.effect,
        "low": proposal.expected.low,
        "high": proposal.expected.high,
        "unit": proposal.expected.unit,
    }
    if proposal.expected.low80 is not None:
        expected |= {"low80": proposal.expected.low80, "high80": proposal.expected.high80}
    return Decision(
        policy=proposal.policy,
        state=state,
        mode=DecisionMode.SHADOW if item.shadow else mode,
        verb=proposal.verb if proposal.changes else "set",
        tunable=proposal.tunable,
        old_value=plain(shown.get("old_value")),
        new_value=plain(shown.get("value")),
        changes=plain(changes),
        urgent=proposal.urgency,
        trial=proposal.trial,
        reason=proposal.reason,
        evidence=plain(dict(proposal.evidence)),
        expected=plain(expected),
        forecast={} if item.forecast is None else plain(item.forecast.as_json()),
        decided_step=observed.step,
        judge_after_steps=proposal.judge_after_steps,
        judge_at_step=observed.step + proposal.judge_after_steps,
        created_at=now,
    )
