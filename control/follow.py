"""What became of the decisions there are: did they reach the run, are they over, did they help?

Every change of a decision's state names the state it starts from.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from monitoring.plain import plain
from training.commands import withdraw
from training.models import Command
from training.models.command import VOID
from training.states import ENDED

from . import actions, history
from .forecasts import Forecast, forecast
from .models import Decision, DecisionState, Mode, Verdict
from .proposals import leaves_training
from .report import TickReport
from .undo import Setting, undo
from .verify import Judgement, verdict_now

S = DecisionState


def follow_up(watched: history.Watched, now: datetime, report: TickReport) -> None:
    """Follow, judge and close the run's open decisions."""
    for decision in watched.decisions:
        if decision.state == S.SENT:
            follow(decision, watched, now, report)
        if decision.state == S.APPLIED and leaves_training(decision.verb, decision.new_value):
            report.judged += note_measurement(decision, now)
        if decision.state == S.APPLIED and watched.run.state in ENDED and not persons_hand(decision, watched):
            # It may have reached its horizon since the last tick.
            judge(decision, watched, now, report)
        if decision.state in history.OPEN and close_if_over(decision, watched, now):
            report.expired += 1
        if decision.state == S.APPLIED:
            judge(decision, watched, now, report)


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


def note_measurement(decision: Decision, now: datetime) -> bool:
    """APPLIED -> JUDGED at once: what only measured, or wrote a file, changed nothing that could be judged."""
    command = decision.command
    answer = command.new_value if command is not None and isinstance(command.new_value, dict) else {}
    told = str(answer.get("reason") or "the run gave no figures")[:1000]
    sentence = f"Nothing was changed, so there is no verdict. Measured: {told}."
    return actions.move(
        decision, S.APPLIED, S.JUDGED,
        verdict=Verdict.UNCLEAR, judged_at=now, measured={"sentence": sentence, **answer},
    )  # fmt: skip


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


def settle_stop(decision: Decision, watched: history.Watched, now: datetime, report: TickReport) -> None:
    """A stop is closed as it is: what the run would have become is seen by nobody."""
    end = next((t.value for t in watched.tunables if t.role == "total_steps"), None)
    at = decision.decided_step if decision.applied_step is None else decision.applied_step
    saved = f" It saved {end - at} of {end} steps." if isinstance(end, int) and end > at else ""
    sentence = f"Not judged: the run was stopped at step {at}.{saved}"
    told = Judgement("unclear", sentence, metric=decision.expected["metric"])
    report.judged += actions.settle(decision, told, (), "", now, watched.last_seq)


def judge(decision: Decision, watched: history.Watched, now: datetime, report: TickReport) -> None:
    """APPLIED -> JUDGED or UNDONE once its horizon is reached."""
    if decision.verb == "rescale":
        return  # by its pace, before and after: control.rescale_verdict
    if decision.verb == "stop":
        settle_stop(decision, watched, now, report)
        return
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
        tunables=declared,
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


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
