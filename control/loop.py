"""The tick: follow what was sent, judge what is in force, decide what is next.

    observe -> policies -> guards -> record, propose or send -> follow -> judge -> keep or undo

Idempotent: a tick that dies anywhere is finished by the next one. Two at once: one holds the lease, and
should that fail, every change of a decision's state names the state it starts from.
"""

import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from monitoring.plain import plain
from training.commands import VOID, withdraw
from training.models import Command
from training.states import ENDED, RunState

from . import actions, history
from .base import Policy
from .decide import Considered, Problem, consider
from .describe import announce
from .guards import InvalidSetting, Limits
from .models import ControllerSettings, Decision, DecisionState, Mode, TickLease, Verdict
from .proposals import Observation
from .registry import Registry, available
from .verify import Forecast, Judgement, Setting, forecast, undo, verdict_now

logger = logging.getLogger(__name__)
S = DecisionState
LEASE_SECONDS = 60
RENEW_SECONDS = 5


@dataclass
class TickReport:
    """What one tick did, for logs and tests."""

    runs: int = 0
    decided: int = 0
    blocked: int = 0
    applied: int = 0
    judged: int = 0
    undone: int = 0
    expired: int = 0
    problems: int = 0
    skipped: bool = False  # another tick held the lease


def tick(now: datetime | None = None, registry: Registry | None = None) -> TickReport:
    """One round over all watched runs. `now` and `registry` are given by tests and replays only."""
    now = now or timezone.now()
    registry = registry or available()
    holder = uuid.uuid4().hex
    report = TickReport()
    if not take_lease(holder, now):
        report.skipped = True
        return report
    renewed = time.monotonic()
    try:
        problems: dict[int, dict[str, str]] = {}
        for watched in history.watch(registry.policies):
            if time.monotonic() - renewed > RENEW_SECONDS:
                if not renew_lease(holder):
                    # What was read is old by now, and another tick is at work on the same runs.
                    logger.warning("controller: the tick took so long that another one took over")
                    break
                renewed = time.monotonic()
            report.runs += 1
            try:
                found = round_of(watched, registry.policies, now, report)
            except Exception:
                # One run's odd rows must not keep the others from being looked after.
                logger.exception("controller: run %s was left out of this tick", watched.run.code)
                continue
            if watched.settings is not None:
                noted = problems.setdefault(watched.settings.pk, {})
                noted.update({problem.policy: problem.message for problem in found})
        write_problems(problems, report)
        note_failed_undoings()
    finally:
        TickLease.objects.filter(holder=holder).update(holder="")
    return report


def take_lease(holder: str, now: datetime) -> bool:
    """Whether this tick may run: no other holds the lease, or its holder died with it."""
    TickLease.objects.get_or_create(name="tick", defaults={"until": now})
    until = now + timedelta(seconds=LEASE_SECONDS)
    free = TickLease.objects.filter(name="tick")
    return bool(
        free.filter(holder="").update(holder=holder, until=until)
        or free.filter(until__lt=now).update(holder=holder, until=until)
    )


def renew_lease(holder: str) -> bool:
    until = timezone.now() + timedelta(seconds=LEASE_SECONDS)
    return bool(TickLease.objects.filter(name="tick", holder=holder).update(until=until))


def note_failed_undoings() -> None:
    """UNDONE -> JUDGED where the command that was to take a change back never took effect: the change stands."""
    failed = Decision.objects.filter(state=S.UNDONE, undo_command__state__in=VOID)
    for decision in failed.select_related("run", "command", "undo_command", "decided_by"):
        command = decision.undo_command
        assert command is not None
        told = f"It could not be taken back: {command.message or f'its command was {command.state}'}."
        measured = {**decision.measured, "undo": told}
        actions.move(decision, S.UNDONE, S.JUDGED, measured=measured)


def write_problems(problems: Mapping[int, dict[str, str]], report: TickReport) -> None:
    """Keep what failed where people see it, and write only what changed."""
    stored = dict(ControllerSettings.objects.filter(pk__in=problems).values_list("pk", "problems"))
    for pk, found in problems.items():
        report.problems += len(found)
        if stored.get(pk) != found:
            ControllerSettings.objects.filter(pk=pk).update(problems=found)
            for policy, message in found.items():
                logger.warning("policy %s failed: %s", policy, message)


def round_of(
    watched: history.Watched, policies: Sequence[Policy], now: datetime, report: TickReport
) -> list[Problem]:
    """Follow, judge and decide for one run."""
    for decision in watched.decisions:
        if decision.state == S.SENT:
            follow(decision, watched, now, report)
        if decision.state == S.APPLIED and watched.run.state in ENDED and not persons_hand(decision, watched):
            # It may have reached its horizon since the last tick.
            judge(decision, watched, now, report)
        if decision.state in history.OPEN and close_if_over(decision, watched, now):
            report.expired += 1
        if decision.state == S.APPLIED:
            judge(decision, watched, now, report)
    if watched.run.state != RunState.RUNNING or watched.mode == Mode.OFF or is_being_undone(watched):
        return []
    observed = history.observation(watched, now)
    settings = watched.settings
    assert settings is not None
    try:
        limits = Limits.of(settings.guards)
    except InvalidSetting as error:
        return [Problem("guards", str(error))]
    considered, problems = consider(observed, policies, settings.policies, limits)
    for item in considered:
        if item.refusal is not None:
            report.blocked += 1
        elif item.proposal.urgency:
            overtake(watched, item)
        store(item, watched, observed, now)
        report.decided += item.refusal is None
    return problems


def follow(decision: Decision, watched: history.Watched, now: datetime, report: TickReport) -> None:
    """SENT -> APPLIED or REJECTED, as its commands fared."""
    if decision.command is None:
        # A tick died between claiming and sending, or the command was deleted: nothing reached the run.
        actions.move(decision, S.SENT, S.REJECTED, blocked_by="run: its command was never sent")
        return
    state, step, message = actions.fate(commands_of(decision, watched))
    if state == "refused":
        actions.move(decision, S.SENT, S.REJECTED, blocked_by=f"run: {message}"[:500])
    elif state == "applied":
        step = decision.decided_step if step is None else step
        if decision.decided_by_id is not None:
            renew_forecast(decision, watched, step)
        report.applied += actions.move(
            decision,
            S.SENT,
            S.APPLIED,
            applied_step=step,
            judge_at_step=step + decision.judge_after_steps,
            blocked_by=f"run: {message}"[:500] if message else "",
        )


def commands_of(decision: Decision, watched: history.Watched) -> list[Command]:
    """The decision's commands in order, as they were when the tick began."""
    more = (watched.more_commands.get(pk) for pk in decision.more_commands)
    return [command for command in (decision.command, *more) if command is not None]


def renew_forecast(decision: Decision, watched: history.Watched, applied_step: int) -> None:
    """The forecast of not acting from where the change came into force: the person took some time to say yes."""
    old = decision.forecast
    window = watched.windows.get(old.get("metric", ""))
    if window is None or old.get("broken"):
        return
    before = window.until(applied_step).after(last_changed(watched, decision))
    fresh = forecast(old["metric"], before, decision.judge_after_steps, old["direction"])
    if fresh is not None:
        fresh = replace(fresh, unharmed=Forecast.from_json(old).unharmed)
        decision.forecast = plain(fresh.as_json())
        Decision.objects.filter(pk=decision.pk).update(forecast=decision.forecast)


def last_changed(watched: history.Watched, decision: Decision) -> int:
    """The step of the last change of the run before this decision came into force, -1 for none."""
    earlier = [p.applied_step for p in watched.past() if p.id < decision.pk and p.applied_step is not None]
    return max((step for step in earlier if step <= watched.step), default=-1)


def close_if_over(decision: Decision, watched: history.Watched, now: datetime) -> bool:
    """End an open decision that nothing can come of any more. Says why."""
    why, state = "", S.EXPIRED
    hand = persons_hand(decision, watched)
    if watched.mode == Mode.OFF and decision.state == S.SENT and not called_back(decision, watched):
        return False
    if watched.run.state in ENDED:
        why = f"the run ended ({watched.run.state})"
    elif watched.mode == Mode.OFF:
        why = "the controller was switched off"
    elif hand and decision.state == S.APPLIED:
        why, state = hand, S.JUDGED
    elif decision.state == S.PROPOSED and hand:
        why = hand
    elif decision.state == S.PROPOSED and now - decision.created_at > actions.ADVICE_LASTS:
        why = f"nobody answered within {actions.ADVICE_LASTS.total_seconds() / 60:.0f} minutes"
    if not why:
        return False
    fields: dict[str, Any] = {"blocked_by": f"closed: {why}"[:500]}
    if decision.state != S.PROPOSED:
        fields |= {"verdict": Verdict.UNCLEAR, "judged_at": now}
        fields["measured"] = {"sentence": f"Not judged: {why}."}
    return actions.move(decision, decision.state, state, **fields)


def called_back(decision: Decision, watched: history.Watched) -> bool:
    """Whether nothing of a decision on its way can reach the run any more. What a process has, it will answer."""
    ids = [command.pk for command in commands_of(decision, watched)]
    withdraw(watched.run, ids, "the controller was switched off")
    return not Command.objects.filter(pk__in=ids).exclude(state__in=VOID).exists()


def persons_hand(decision: Decision, watched: history.Watched) -> str:
    """What a person did to the decision's settings or the run since it was made, "" for nothing."""
    for change in decision.changes:
        at = watched.person_set.get(change.get("tunable") or "")
        if change["verb"] == "set" and at is not None and at > decision.created_at:
            return f"a person set {change['tunable']} meanwhile"
    at = watched.person_rolled_back
    if at is not None and at > decision.created_at:
        return "a person rolled the run back meanwhile"
    return ""


def judge(decision: Decision, watched: history.Watched, now: datetime, report: TickReport) -> None:
    """APPLIED -> JUDGED or UNDONE once its horizon is reached."""
    fixed = Forecast.from_json(decision.forecast) if decision.forecast else None
    metric = fixed.metric if fixed else decision.expected.get("metric", "")
    window = watched.windows.get(metric)
    applied_step = decision.decided_step if decision.applied_step is None else decision.applied_step
    horizon = decision.judge_after_steps
    effect = decision.expected.get("effect")
    judgement = verdict_now(
        fixed,
        window,
        applied_step,
        horizon,
        effect if is_number(effect) else 0.0,
        watched.step,
        watched.windows,
    )
    if judgement is None:
        return
    back, why = taking_back(decision, judgement, watched, applied_step)
    if watched.run.state in ENDED:
        back, why = (), ""
    if back and watched.mode != Mode.ACT:
        back, why = (), f"{why} In mode {watched.mode} that is a person's to do."
    if actions.settle(decision, judgement, back, why, now, watched.last_seq):
        report.judged += 1
        report.undone += decision.state == S.UNDONE


def taking_back(
    decision: Decision, judgement: Judgement, watched: history.Watched, applied_step: int
) -> tuple[Sequence[Any], str]:
    declared = {t.name: history.tunable_view(t, None, timezone.now()) for t in watched.tunables}
    found = undo(
        judgement,
        trial=decision.trial,
        verb=decision.verb,
        settings=[
            Setting(declared.get(change["tunable"]), change["old_value"], change["value"])
            for change in decision.changes
            if change["verb"] == "set"
        ],
        broken=judgement.is_ruin,
        checkpoints=watched.checkpoints,
        before_step=applied_step,
    )
    return ((), "") if found is None else (found.changes, found.reason)


def is_being_undone(watched: history.Watched) -> bool:
    """Whether an undoing is still on its way: the run does not stand as it will."""
    return any(
        d.state == S.UNDONE and d.undo_command is not None and d.undo_command.state in history.IN_FLIGHT
        for d in watched.decisions
    )


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
    if refusal is not None:
        state = S.BLOCKED
    else:
        state = {Mode.OBSERVE: S.RECORDED, Mode.ADVISE: S.PROPOSED}.get(Mode(watched.mode), S.SENT)
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
    changes = [
        {
            "verb": change.verb,
            "tunable": change.tunable,
            "value": change.value,
            "old_value": observed.tunables[change.tunable].value
            if change.tunable in observed.tunables
            else None,
        }
        for change in proposal.changes
    ]
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
        mode=mode,
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


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
