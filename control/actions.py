"""What happens to a decision: sent, approved, refused, followed, judged, taken back.

Every step names the state it starts from in its update: of two ticks, or a tick and a person, one wins.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from monitoring.plain import text
from training.commands import CommandRefused, issue
from training.many_commands import Settings, issue_settings
from training.models import Command, CommandState, Run
from training.states import IllegalMove
from training.values import BATCH_ROLES

from .describe import announce
from .guards import Limits, Rule
from .models import ControllerSettings, Decision, DecisionState, Mode, Verdict
from .proposals import ACTED_STATES, Change
from .verify import Judgement

S = DecisionState
IN_FLIGHT = (CommandState.PENDING, CommandState.SENT)
# An advised change rests on figures that grow old.
ADVICE_LASTS = timedelta(minutes=10)
REFUSED = "person: refused by "


class TooLate(IllegalMove):
    """The decision is no longer where this could be done; the message says where it is. 409 over REST."""


def move(decision: Decision, old: str, new: str, **fields: Any) -> bool:
    """Move a decision from state `old` to `new` with these fields; False if somebody else moved it first."""
    won = Decision.objects.filter(pk=decision.pk, state=old).update(state=new, **fields)
    if not won:
        return False
    decision.state = new
    for name, value in fields.items():
        setattr(decision, name, value)
    announce(decision)
    return True


def issue_all(
    decision: Decision, changes: Sequence[Change], seen: Mapping[str, Any] | None = None, **fields: Any
) -> list[Command]:
    """Issue commands in order with these fields of `issue`, in a transaction. Raises CommandRefused.

    Settings alone are one group: applied at one boundary, all or none. seen: the values that were decided on, None for
    those that the site knows now.
    """
    together = len(changes) > 1 and all(change.verb == "set" for change in changes)
    group = uuid.uuid4().hex if together else ""
    values = decided_on(decision.run, seen)
    return [
        issue(
            decision.run, change.verb, tunable=change.tunable, value=change.value, group=group,
            expects=values.get(change.tunable), **fields,
        )
        for change in changes
    ]  # fmt: skip


def decided_on(run: Run, seen: Mapping[str, Any] | None) -> dict[str, Any]:
    """{tunable: value} of what makes the batch: the process may have run out of memory since, and refuses it then."""
    known = dict(run.tunables.filter(role__in=BATCH_ROLES).values_list("name", "value"))
    return known if seen is None else {name: seen.get(name) for name in known}


def act_all(decisions: Sequence[tuple[Decision, int]]) -> None:
    """`act` for many, each with its `since`: settings of different runs go out together."""
    together: list[tuple[Decision, Settings]] = []
    seen: set[int] = set()
    for decision, since in decisions:
        only_sets = all(change["verb"] == "set" for change in decision.changes)
        if not only_sets or decision.run_id in seen:
            act(decision, since)
            continue
        seen.add(decision.run_id)
        values = {change["tunable"]: change["value"] for change in decision.changes}
        asked_by, origin = f"controller:{decision.policy}", f"decision:{decision.pk}"
        seen_values = {change["tunable"]: change.get("old_value") for change in decision.changes}
        asked = Settings(
            decision.run, values, asked_by, since, decision.decided_by, decision.reason, origin, seen_values
        )
        together.append((decision, asked))
    sent = []
    for (decision, _), answer in zip(together, issue_settings([asked for _, asked in together]), strict=True):
        if isinstance(answer, CommandRefused):
            refused(decision, answer)
            continue
        decision.command, *more = answer
        decision.more_commands = [command.pk for command in more]
        sent.append(decision)
    Decision.objects.bulk_update(sent, ["command", "more_commands"])
    for decision in sent:
        announce(decision)


def refused(decision: Decision, error: CommandRefused) -> None:
    state, who = (S.BLOCKED, Rule.PERSON) if error.field == "person" else (S.REJECTED, "run")
    move(decision, S.SENT, state, blocked_by=f"{who}: {error.message}"[:500])


def act(decision: Decision, since: int) -> bool:
    """Send a stored decision that is in state SENT and has no command yet. False when it may not, or the run refused.

    since: the number of the run's last command that was known when it was decided; what a person asked for after
    it wins.
    """
    try:
        with transaction.atomic():
            commands = issue_all(
                decision,
                [Change(c["verb"], c["tunable"], c["value"]) for c in decision.changes],
                {c["tunable"]: c.get("old_value") for c in decision.changes},
                asked_by=f"controller:{decision.policy}",
                user=decision.decided_by,
                by_person=False,
                reason=decision.reason,
                origin=f"decision:{decision.pk}",
                unless_person_since=since,
            )
            decision.command, *more = commands
            decision.more_commands = [command.pk for command in more]
            decision.save(update_fields=["command", "more_commands"])
    except CommandRefused as error:
        refused(decision, error)
        return False
    announce(decision)
    return True


def approve(decision: Decision, user: Any) -> Decision:
    """A person lets an advised change go ahead. Raises TooLate."""
    with transaction.atomic():
        if current(decision) == S.PROPOSED:
            check_current(decision)
        for change in decision.changes:
            if change["verb"] == "set":
                check_unchanged(decision, change["tunable"], change["old_value"])
        if not move(decision, S.PROPOSED, S.SENT, decided_by=user):
            raise TooLate(f"the decision is {current(decision)}; only a proposed one can be approved")
        known = decision.run.commands.filter(created_at__lte=decision.created_at)
        if not act(decision, since=known.aggregate(last=Max("seq"))["last"] or 0):
            raise TooLate(f"it cannot be done any more: {decision.blocked_by}")
    return decision


def check_current(decision: Decision) -> None:
    """Raise TooLate where a proposal has outlived what it was made for, although no tick has closed it yet."""
    if timezone.now() - decision.created_at > ADVICE_LASTS:
        minutes = ADVICE_LASTS.total_seconds() / 60
        raise TooLate(f"it was proposed more than {minutes:.0f} minutes ago; wait for a new proposal")
    settings = ControllerSettings.objects.filter(experiment=decision.run.experiment_id).first()
    if settings is None or settings.mode == Mode.OFF:
        raise TooLate("the controller was switched off meanwhile")
    budget = Limits.of(settings.guards).max_changes
    made = Decision.objects.filter(run=decision.run_id, state__in=ACTED_STATES).count()
    if made >= budget:
        raise TooLate(
            f"the run's budget of {budget} changes is spent; raise max_changes or set the value by hand"
        )


def check_unchanged(decision: Decision, name: str, expected: Any) -> None:
    tunable = decision.run.tunables.filter(name=name).first()
    if tunable is not None and tunable.value != expected:
        raise TooLate(
            f"{name} is {tunable.value} now and was {expected} when this was proposed; "
            "wait for a new proposal"
        )


def reject(decision: Decision, user: Any, reason: str = "") -> Decision:
    """A person refuses an advised change. Raises TooLate."""
    told = f"{REFUSED}{user.get_username()}" + (f": {text(reason, 300)}" if reason.strip() else "")
    if not move(decision, S.PROPOSED, S.REJECTED, decided_by=user, blocked_by=told[:500]):
        raise TooLate(f"the decision is {current(decision)}; only a proposed one can be refused")
    return decision


def reopen(decision: Decision, user: Any) -> Decision:
    """A person's refusal is taken back while the proposal still holds: it waits for an answer again. Raises TooLate."""
    with transaction.atomic():
        if current(decision) != S.REJECTED or not decision.blocked_by.startswith(REFUSED):
            raise TooLate(
                f"the decision is {current(decision)}; only what a person refused can be asked again"
            )
        check_current(decision)
        for change in decision.changes:
            if change["verb"] == "set":
                check_unchanged(decision, change["tunable"], change["old_value"])
        if decision.run.ended_at is not None:
            raise TooLate(f"the run has ended ({decision.run.state})")
        if decision.run.decisions.filter(pk__gt=decision.pk, state=S.PROPOSED).exists():
            raise TooLate("a newer proposal of this run waits for an answer; answer that one")
        if not move(decision, S.REJECTED, S.PROPOSED, decided_by=None, blocked_by=""):
            raise TooLate(f"the decision is {current(decision)} by now")
    return decision


def undo(decision: Decision, user: Any) -> Decision:
    """A person takes a change back: its settings return to their old values. Raises TooLate.

    Only what still stands as this decision left it: to take back what somebody set since is another decision.
    """
    state = current(decision)
    if state not in {S.APPLIED, S.JUDGED}:
        raise TooLate(f"the decision is {state}; only a change in force can be taken back")
    changes = [c for c in decision.changes if c["verb"] == "set"]
    if decision.verb == "rescale":
        had = (decision.old_value or {}).get("devices")
        moved = bool((decision.changes[0].get("value") or {}).get("elsewhere"))
        back = [Change("rescale", value={"devices": had, "elsewhere": moved})]
    elif not changes and decision.verb != "compile":
        what = "a roll back" if decision.verb == "rollback" else decision.verb
        raise TooLate(f"{what} cannot be taken back; roll back to a checkpoint from before it instead")
    else:
        back = [Change("set", c["tunable"], c["old_value"]) for c in reversed(changes)]
    back = back or [Change("compile", value={"on": False})]
    name = user.get_username()
    fields: dict[str, Any] = {"decided_by": user}
    if not decision.verdict:
        fields |= {"verdict": Verdict.UNCLEAR, "judged_at": timezone.now()}
        fields["measured"] = {"sentence": f"Taken back by {name} before it could be judged."}
    try:
        with transaction.atomic():
            if not move(decision, state, S.UNDONE, **fields):
                raise TooLate(f"the decision is {current(decision)} by now")
            check_in_force(decision)
            commands = issue_all(
                decision,
                back,
                asked_by=name,
                user=user,
                by_person=True,
                reason=f"takes back decision {decision.pk} of {decision.policy}",
                origin=f"undo:{decision.pk}",
            )
            decision.undo_command = commands[-1]
            decision.save(update_fields=["undo_command"])
    except CommandRefused as error:
        decision.refresh_from_db()
        raise TooLate(f"the run refused it: {error.message}") from None
    announce(decision)
    return decision


def check_in_force(decision: Decision) -> None:
    """Raise TooLate unless each setting is what the decision made it, and nothing else is on its way to it."""
    run = Run.objects.select_for_update().get(pk=decision.run_id)
    for change in decision.changes:
        if change["verb"] != "set":
            continue
        name, value = change["tunable"], change["value"]
        tunable = run.tunables.filter(name=name).first()
        if tunable is None or tunable.value != value:
            now = "not declared any more" if tunable is None else f"{tunable.value} now"
            raise TooLate(f"{name} is {now} and not the {value} of this decision; set it by hand")
        newer = run.commands.filter(verb="set", tunable=name, state__in=IN_FLIGHT).order_by("-seq").first()
        if newer is not None:
            raise TooLate(
                f"{name} is about to be {newer.value} (#{newer.seq}, {newer.asked_by}); set it by hand"
            )


def current(decision: Decision) -> str:
    decision.refresh_from_db(fields=["state"])
    return str(decision.state)


def settle(
    decision: Decision, judgement: Judgement, back: Sequence[Change], why: str, now: datetime, since: int
) -> bool:
    """Write a verdict down and take the change back where `back` says so. False if somebody was faster.

    since: as in `act`: a person's word that came meanwhile is not taken back.
    """
    measured = judgement.as_json()
    if why:
        measured["undo"] = why
    fields: dict[str, Any] = {"verdict": judgement.verdict, "measured": measured, "judged_at": now}
    if not back:
        return move(decision, S.APPLIED, S.JUDGED, **fields)
    try:
        with transaction.atomic():
            if not move(decision, S.APPLIED, S.UNDONE, **fields):
                return False
            commands = issue_all(
                decision,
                back,
                asked_by=f"controller:{decision.policy}",
                by_person=False,
                reason=why,
                origin=f"undo:{decision.pk}",
                unless_person_since=since,
            )
            # The last one sets the value: when it is final, the undoing is.
            decision.undo_command = commands[-1]
            decision.save(update_fields=["undo_command"])
    except CommandRefused as error:
        decision.refresh_from_db()
        measured["undo"] = f"It could not be taken back: {error.message}"
        return move(decision, S.APPLIED, S.JUDGED, **fields)
    announce(decision)
    return True


def fate(commands: Sequence[Command]) -> tuple[str, int | None, str]:
    """What became of a decision's commands: (state, step it came into force, message).

    state: "open" while any is on its way, "applied" when at least one was, else "refused". For a roll back
    the step is the checkpoint's: that is where the run trains on from.
    """
    if any(command.state in IN_FLIGHT for command in commands):
        return "open", None, ""
    applied = [command for command in commands if command.state == CommandState.APPLIED]
    messages = "; ".join(
        f"{c.verb} {c.tunable}".strip() + f" was {c.state}: {c.message}" for c in commands if c not in applied
    )
    if not applied:
        return "refused", None, messages
    last = applied[-1]
    if last.verb == "rollback":
        return "applied", target_step(last), messages
    rolled_back = next((c for c in applied if c.verb == "rollback"), None)
    step = last.applied_step
    if rolled_back is not None:
        target = target_step(rolled_back)
        # Both may be answered at the same boundary, under the step before the roll back.
        step = target if step is None or step >= (rolled_back.applied_step or 0) > target else step
    return "applied", step, messages


def target_step(rollback: Command) -> int:
    """The step of the checkpoint that a roll back goes to; `commands.issue` filled it in."""
    return int((rollback.value or {})["step"])
