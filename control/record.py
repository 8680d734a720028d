"""Write down what was considered: recorded, proposed, blocked, or stored and sent."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from monitoring.plain import plain

from . import actions, history
from .decide import Considered
from .describe import announce
from .learning.offered import as_expected, as_kept
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


@dataclass(frozen=True, eq=False)
class ToRecord:
    item: Considered
    watched: history.Watched
    observed: Observation


def store_all(wanted: Sequence[ToRecord], now: datetime) -> None:
    """Write considered proposals down, and send those of mode act. What another tick did first is left to it.

    Inside a transaction of the caller's; a fixed number of queries, whatever the number of runs.
    """
    acting = still_acting({each.watched.settings.pk for each in wanted if each.watched.settings is not None})
    rows: list[tuple[Decision, history.Watched]] = []
    for each in wanted:
        decision = row_of(each, now)
        settings = each.watched.settings
        if decision.state != S.SENT or (settings is not None and settings.pk in acting):
            rows.append((decision, each.watched))
    try:
        with transaction.atomic():
            Decision.objects.bulk_create(decision for decision, _ in rows)
    except IntegrityError:
        rows = [(decision, watched) for decision, watched in rows if stored_alone(decision)]
    # Those that are sent are told of once that is done.
    quiet = [decision for decision, _ in rows if decision.state != S.SENT]
    actions.act_all([(decision, watched.last_seq) for decision, watched in rows if decision.state == S.SENT])
    for decision in quiet:
        announce(decision)
    for decision, watched in rows:
        watched.decisions.append(decision)


def stored_alone(decision: Decision) -> bool:
    """Whether the database takes this one: one open decision a tunable."""
    decision.pk = None
    try:
        with transaction.atomic():
            decision.save(force_insert=True)
    except IntegrityError:
        logger.info("another tick decided on %s of run %s first", decision.tunable, decision.run.code)
        return False
    return True


def row_of(wanted: ToRecord, now: datetime) -> Decision:
    """The decision, unsaved, in the state that the mode and what stands against it give it."""
    item, watched = wanted.item, wanted.watched
    state = {Mode.OBSERVE: S.RECORDED, Mode.ADVISE: S.PROPOSED}.get(Mode(watched.mode), S.SENT)
    if item.refusal is not None:
        state = S.BLOCKED
    elif item.shadow:
        state = S.RECORDED
    decision = as_decision(item, wanted.observed, watched.mode, state, now)
    decision.run = watched.run
    if item.refusal is not None:
        decision.blocked_by = f"{item.refusal.rule}: {item.refusal.sentence}"[:500]
    return decision


def still_acting(settings: Collection[int]) -> set[int]:
    """Whose mode nobody has changed since the tick read it: a switch that is turned off is off at once."""
    found = ControllerSettings.objects.filter(pk__in=settings, mode=Mode.ACT)
    return set(found.values_list("pk", flat=True))


def as_decision(item: Considered, observed: Observation, mode: str, state: str, now: datetime) -> Decision:
    """The row of a considered proposal, unsaved and without its run."""
    proposal = item.proposal
    changes = as_kept(proposal.changes, observed)
    shown = next((c for c in changes if c["verb"] == "set"), changes[0] if changes else {})
    expected = {"metric": proposal.metric} | as_expected(proposal.expected)
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
