"""Commands to running processes: the act side of the loop, and the only writer of Command.

The table is the truth and the wake-up only makes it fast. A run's row is locked while a command gets its
number, is handed out or superseded, so numbers become visible in their order and nothing is handed out
after it was superseded.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from monitoring.live.publish import publish_change, wake_run
from monitoring.plain import plain, text
from scaleweb_sdk.protocol import KNOWS, Order

from . import waiting
from .command_checks import check_arguments, check_hand, check_state
from .models import Checkpoint, Command, CommandState, Run, RunEvent, Tunable
from .models.command import OPEN, Verb
from .refusals import CommandRefused as CommandRefused

S = CommandState
LONGEST_EXPIRY_SECONDS = 30 * 24 * 3600


def issue(
    run: Run,
    verb: str,
    *,
    tunable: str = "",
    value: Any = None,
    asked_by: str,
    user: Any = None,
    by_person: bool = True,
    reason: str = "",
    origin: str = "",
    expires_in_seconds: float | None = None,
    unless_person_since: int | None = None,
    at_step: int | None = None,
    key: str = "",
    group: str = "",
    expects: Any = None,
) -> Command:
    """Store a command for a run and wake the process that executes it.

    An earlier `set` of the same tunable that no process has seen yet is superseded, and by a person's hand also what
    waits for a step. unless_person_since: the number of the last command known to who decided; where a person has
    asked for the same since, or has planned it, the command is refused with the field "person". at_step: the
    process applies it at that step's boundary. key: asked again with the same key, it is the same command. group: of
    settings that are issued one after another in one transaction. expects: the setting's value that was decided on.
    Raises CommandRefused.
    """
    if verb not in Verb.values:
        known = ", ".join(Verb.values)
        raise CommandRefused("verb", f"verb={verb!r:.80} is unknown; expected one of {known}")
    now = timezone.now()
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        if key and (asked_before := run.commands.filter(key=key).first()) is not None:
            return asked_before
        check_state(run, verb)
        if unless_person_since is not None:
            check_hand(run, verb, tunable, unless_person_since)
        tunable, value = check_arguments(run, verb, tunable, value)
        waiting.check_step(run, verb, at_step)
        seq = waiting.next_seq(run)
        command = Command.objects.create(
            run=run,
            seq=seq,
            drops=waiting.let_go(run, verb, tunable, value, seq) if by_person and at_step is None else [],
            at_step=at_step,
            key=key,
            group=group,
            expects=expects,
            verb=verb,
            tunable=tunable,
            value=value,
            user=user,
            asked_by=text(asked_by, 200),
            by_person=by_person,
            reason=text(reason, 10_000),
            origin=text(origin, 100),
            expires_at=expiry(now, expires_in_seconds),
        )
        if verb == Verb.SET and at_step is None:
            older = run.commands.filter(waiting.UNSENT, tunable=tunable, seq__lt=command.seq)
            close(older, S.SUPERSEDED, f"superseded by #{command.seq} before it was sent")
        announce(command)
        transaction.on_commit(lambda: wake_run(run.code))
    return command


def expiry(now: Any, seconds: float | None) -> Any:
    if seconds is None:
        return None
    if not 0 < seconds <= LONGEST_EXPIRY_SECONDS:
        raise CommandRefused(
            "expires_in_seconds", f"expires_in_seconds={seconds} is outside 0..{LONGEST_EXPIRY_SECONDS}"
        )
    return now + timedelta(seconds=seconds)


def settings_after(run: Run, seq: int) -> list[Order]:
    """The newest applied setting of each tunable above `seq`, for a process that goes on from a checkpoint before it.

    Without them a resumption would quietly undo what a person or the controller set after the checkpoint. What was
    applied at a step that had been waited for comes with that step: the process knows whether its state holds it.
    """
    newest: dict[str, Command] = {}
    planned: list[Command] = []
    applied = Command.objects.filter(run_id=run.pk, verb=Verb.SET, state=S.APPLIED)
    for command in applied.order_by("seq"):
        if command.at_step is None:
            newest[command.tunable] = command
        elif command.applied_step is not None:
            planned.append(command)
    orders = [order_of(each, again=True) for each in newest.values() if each.seq > seq]
    for each in planned:
        hand = newest.get(each.tunable)
        if (
            hand is None
            or hand.applied_at is None
            or each.applied_at is None
            or each.applied_at > hand.applied_at
        ):
            orders.append(order_of(each, again=True))
    return sorted(orders, key=lambda each: each.seq)


def order_of(command: Command, again: bool = False, group_of: int = 0) -> Order:
    return Order(
        command.seq,
        command.verb,
        command.tunable,
        command.value,
        command.asked_by,
        command.reason,
        again=again,
        group=command.group if group_of else "",
        group_of=group_of,
        at_step=command.applied_step if again and command.at_step is not None else command.at_step,
        drops=command.drops,
        expects=None if again else command.expects,
    )


def orders_after(run: Run, seq: int, knows: Collection[str] = KNOWS, first: bool = False) -> list[Order]:
    """Every command above `seq` that is not final, in order, and marks them sent.

    knows: what the process says that it knows; commands that need more are refused in words. first: of this
    connection, so that what waits for a step comes too, told before or not.
    """
    now = timezone.now()
    wanted = Q(seq__gt=seq) | Q(at_step__isnull=False) if first else Q(seq__gt=seq)
    # Mostly there is none: a look costs no lock, which under SQLite writers would have to wait for. Numbers are given
    # out and committed in order, so none that is missed here comes before one that another look finds.
    if not Command.objects.filter(wanted, run_id=run.pk, state__in=OPEN).exists():
        return []
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run.pk).first()
        commands = Command.objects.filter(wanted, run_id=run.pk, state__in=OPEN)
        close(commands.filter(expires_at__lte=now), S.EXPIRED, "not applied before it expired")
        for needed, which in waiting.NEEDS.items():
            if needed not in knows:
                close(commands.filter(which), S.REJECTED, waiting.too_old(needed))
        found = list(commands.select_related("run").order_by("seq"))
        for command in found:
            if command.state == S.PENDING:
                command.state, command.sent_at = S.SENT, now
                command.save(update_fields=["state", "sent_at"])
                announce(command)
        sizes = waiting.group_sizes(run, found)
    return [order_of(command, group_of=sizes.get(command.group, 0)) for command in found]


def record_outcome(run: Run, rank: int, step: int | None, outcome: dict[str, Any]) -> Command | None:
    """Write down what a process did with a command; idempotent. None when the run has no such command.

    outcome: {"seq", "ok", "message", "old_value", "new_value"}. Rank 0 decides the command's state, any
    rank that refuses makes it rejected; every rank's answer is kept in `acks`. An outcome that arrives
    after the command expired still counts: the process knows better than the clock.
    """
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run.pk).first()
        command = run.commands.select_related("run").filter(seq=outcome["seq"]).first()
        if command is None or str(rank) in command.acks:
            return command
        ok, message = bool(outcome.get("ok")), text(str(outcome.get("message") or ""), 10_000)
        command.acks[str(rank)] = {"step": step, "ok": ok, "message": message}
        fields = ["acks"]
        # One that was presumed applied has no time yet: what a process says of it counts for more.
        decided = command.state in {S.APPLIED, S.REJECTED} and command.applied_at is not None
        if not decided and (rank == 0 or not ok):
            fields += settle(command, ok, message, step, outcome)
            drop_for(command)
        command.save(update_fields=fields)
        announce(command)
    return command


def presume_applied(run: Run, seq: int) -> int:
    """Close the commands up to `seq` that a process resumed past. Returns how many.

    It says that its state holds their effect, but the process that applied them died before it answered.
    """
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run.pk).first()
        # What waits for a step it may have in its agenda only: that the process says itself.
        left = Command.objects.filter(run_id=run.pk, state__in=OPEN, seq__lte=seq, at_step=None)
        for command in left.exclude(drops=[]):
            command.state = S.APPLIED
            drop_for(command)
        return close(left, S.APPLIED, "applied before the process restarted, as its checkpoint says")


def drop_for(command: Command) -> None:
    """End what a command that was applied took the place of."""
    if command.state == S.APPLIED and command.drops:
        dropped = Command.objects.filter(run_id=command.run_id, seq__in=command.drops, state__in=OPEN)
        close(dropped, S.SUPERSEDED, f"let go of for #{command.seq} by {command.asked_by}")


def settle(command: Command, ok: bool, message: str, step: int | None, outcome: dict[str, Any]) -> list[str]:
    """Set the command's final state and, when it was applied, its tunable. Returns the fields it set."""
    command.state = S.APPLIED if ok else S.REJECTED
    command.message = message
    command.applied_step = step
    command.applied_at = timezone.now()
    command.old_value = plain(outcome.get("old_value"))
    command.new_value = plain(outcome.get("new_value"))
    if ok and command.verb == Verb.SET:
        new = command.value if command.new_value is None else command.new_value
        changes = {
            "value": new,
            "changed_at": command.applied_at,
            "changed_step": step,
            "changed_by": command.asked_by,
        }
        if Tunable.objects.filter(run_id=command.run_id, name=command.tunable).update(**changes):
            publish_change(
                f"run:{command.run.code}",
                "tunable",
                changes | {"name": command.tunable, "changed_at": command.applied_at.isoformat()},
            )
    if ok and command.verb == Verb.ADOPT:
        note_lineage(command)
    if command.verb == Verb.PIN:
        value: dict[str, Any] = command.value or {"checkpoint": 0, "pinned": False}
        wanted = bool(value["pinned"])
        found = Checkpoint.objects.filter(pk=int(value["checkpoint"]), run=command.run_id)
        found.update(pinned=wanted if ok else not wanted)
    return ["state", "message", "applied_step", "applied_at", "old_value", "new_value"]


def note_lineage(command: Command) -> None:
    """Where the run's weights come from, as a line of its history."""
    source = command.value or {}
    RunEvent.objects.create(
        run=command.run,
        kind="lineage",
        step=command.applied_step,
        new=str(source.get("run", "")),
        reason=f"took over step {source.get('step')} of run {source.get('run')}: {command.reason}"[:10_000],
        actor=command.asked_by,
        data={name: source.get(name) for name in ("run", "step", "checkpoint")} | {"command": command.seq},
    )


def expire_open(run: Run, why: str) -> int:
    """End every command of a run that was not applied. Returns how many."""
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run.pk).first()
        return close(Command.objects.filter(run_id=run.pk, state__in=OPEN), S.EXPIRED, why)


def withdraw(run: Run, ids: Sequence[int], why: str) -> int:
    """Take back those of these commands that no process has seen yet. Returns how many."""
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run.pk).first()
        return close(Command.objects.filter(run_id=run.pk, pk__in=ids, state=S.PENDING), S.EXPIRED, why)


def expire_due() -> int:
    """End the commands whose time is over, of all runs. Returns how many."""
    due = Q(expires_at__lte=timezone.now(), state__in=OPEN)
    if not Command.objects.filter(due).exists():
        return 0
    with transaction.atomic():
        return close(Command.objects.filter(due), S.EXPIRED, "not applied before it expired")


def close(commands: Any, state: str, message: str) -> int:
    """Move these open commands to a final state; each is moved by at most one caller."""
    count = 0
    for command in commands.select_related("run"):
        won = Command.objects.filter(pk=command.pk, state=command.state).update(state=state, message=message)
        if won:
            count += 1
            command.state, command.message = state, message
            announce(command)
    return count


def announce(command: Command) -> None:
    publish_change(f"run:{command.run.code}", "command", describe(command))


def describe(command: Command) -> dict[str, Any]:
    """A command as REST and the live path write it."""
    times = {
        name: moment.isoformat() if (moment := getattr(command, name)) else None
        for name in ("created_at", "sent_at", "applied_at")
    }
    names = (
        "id", "seq", "verb", "tunable", "value", "asked_by", "by_person", "reason", "origin", "state",
        "applied_step", "old_value", "new_value", "message", "acks", "group", "at_step", "drops",
    )  # fmt: skip
    return {name: getattr(command, name) for name in names} | times | {"schedule": command.schedule_id}
