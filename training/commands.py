"""Commands to running processes: the act side of the loop, and the only writer of Command.

The table is the truth and the wake-up only makes it fast. A run's row is locked while a command gets its
number, is handed out or superseded, so numbers become visible in their order and nothing is handed out
after it was superseded.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from monitoring.live.publish import publish_change, wake_run
from monitoring.plain import NotPlain, plain, text
from scaleweb_sdk.protocol import Order

from . import offers
from .models import Checkpoint, Command, CommandState, Run, RunEvent, Tunable
from .models.command import Verb
from .states import ENDED, RunState
from .values import BadValue, check_value, shown

S = CommandState
OPEN = (S.PENDING, S.SENT)
# In one of these states a command had no effect and shows no intent that still stands.
VOID = (S.REJECTED, S.EXPIRED, S.SUPERSEDED)
# These change the run as a whole: whatever a person asked of it meanwhile stands against them.
FOR_THE_WHOLE_RUN = {Verb.STOP, Verb.ADOPT}
LATER = {Verb.RESCALE}
LONGEST_EXPIRY_SECONDS = 30 * 24 * 3600


class CommandRefused(Exception):
    """The command was not stored. `field`: the argument at fault ("state" when it is the run's state);
    `message`: what was wrong and what would do."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field
        self.message = message


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
) -> Command:
    """Store a command for a run and wake the process that executes it.

    An earlier `set` of the same tunable that no process has seen yet is superseded. unless_person_since: the
    number of the last command known to who decided; where a person has asked for the same since, the command is
    refused with the field "person". Raises CommandRefused.
    """
    if verb not in Verb.values:
        known = ", ".join(item for item in Verb.values if item not in LATER)
        raise CommandRefused("verb", f"verb={verb!r:.80} is unknown; expected one of {known}")
    if verb in LATER:
        raise CommandRefused("verb", f"{verb} is not available in this version")
    now = timezone.now()
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        check_state(run, verb)
        if unless_person_since is not None:
            check_hand(run, verb, tunable, unless_person_since)
        tunable, value = check_arguments(run, verb, tunable, value)
        command = Command.objects.create(
            run=run,
            seq=(run.commands.aggregate(last=Max("seq"))["last"] or 0) + 1,
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
        if verb == Verb.SET:
            older = run.commands.filter(verb=Verb.SET, tunable=tunable, state=S.PENDING, seq__lt=command.seq)
            close(older, S.SUPERSEDED, f"superseded by #{command.seq} before it was sent")
        announce(command)
        transaction.on_commit(lambda: wake_run(run.code))
    return command


def check_state(run: Run, verb: str) -> None:
    if run.state in ENDED:
        raise CommandRefused("state", f"the run has ended ({run.state}); {verb} needs a running process")
    if run.state == RunState.QUEUED:
        raise CommandRefused(
            "state", f"the run is queued and has no process yet; {verb} can be asked once it has started"
        )
    if run.state == RunState.STOPPING:
        raise CommandRefused("state", f"the run is stopping; {verb} would come too late")


def check_hand(run: Run, verb: str, tunable: str, since: int) -> None:
    """A person's word that came while somebody else was still deciding wins, sent already or not."""
    asked = run.commands.filter(by_person=True, seq__gt=since)
    if verb not in FOR_THE_WHOLE_RUN:
        asked = asked.filter(verb=verb, tunable=tunable)
    newest = asked.exclude(state__in=VOID).order_by("-seq").first()
    if newest is not None:
        raise refuse_for(newest)


def refuse_for(newest: Command) -> CommandRefused:
    """The refusal that a person's own command is the reason of."""
    was_set = f"set {newest.tunable} to {shown(newest.value)}"
    what = was_set if newest.verb == Verb.SET else f"asked for {newest.verb}"
    return CommandRefused("person", f"{newest.asked_by} {what} meanwhile (#{newest.seq})")


def check_arguments(run: Run, verb: str, name: str, value: Any) -> tuple[str, Any]:
    if verb == Verb.SET:
        return check_set(run, name, value)
    if verb == Verb.ACTION:
        return check_action(run, name, value)
    if name:
        raise CommandRefused("tunable", f"{verb} takes no tunable, but got {name!r:.80}")
    if verb == Verb.ROLLBACK:
        return "", find_checkpoint(run, value)
    if verb == Verb.ADOPT:
        return "", find_to_adopt(run, value)
    if verb in offers.OFFERED:
        return "", check_offer(run, verb, value)
    if verb == Verb.STOP and isinstance(value, dict) and isinstance(value.get("why"), str):
        return "", {"why": text(value["why"], 10_000)}
    if value is not None:
        raise CommandRefused("value", f"{verb} takes no value, but got {value!r:.80}")
    offered = run.process.get("verbs")
    if isinstance(offered, list) and verb not in offered:
        raise CommandRefused(
            "verb",
            f"the process does not offer {verb}; it offers {', '.join(map(str, offered)) or 'nothing'}",
        )
    return "", None


def check_offer(run: Run, verb: str, value: Any) -> dict[str, Any]:
    try:
        return offers.check_value_of(run, verb, value)
    except offers.NotOffered as error:
        raise CommandRefused("verb", str(error)) from None
    except BadValue as error:
        raise CommandRefused("value", str(error)) from None


def check_set(run: Run, name: str, value: Any) -> tuple[str, Any]:
    tunable = run.tunables.filter(name=name).first()
    if tunable is None:
        raise undeclared(name, run.tunables.values_list("name", flat=True))
    try:
        return name, check_value(tunable, value)
    except BadValue as error:
        raise CommandRefused("value", str(error)) from None


def undeclared(name: str, known: Iterable[str]) -> CommandRefused:
    declared = ", ".join(known) or "none"
    return CommandRefused(
        "tunable", f"the run declares no tunable named {name!r:.80}; it declares {declared:.500}"
    )


def check_action(run: Run, name: str, value: Any) -> tuple[str, Any]:
    offered = [action.get("name") for action in run.actions]
    if name not in offered:
        listed = ", ".join(map(str, offered)) or "none"
        raise CommandRefused("tunable", f"the run offers no action {name!r:.80}; it offers {listed:.500}")
    try:
        return name, plain(value)
    except NotPlain as error:
        raise CommandRefused("value", str(error)) from None


def find_checkpoint(run: Run, value: Any) -> dict[str, Any]:
    """The roll back's target as the process gets it.

    value: {"checkpoint": id}, the id itself, {"step": s} for the newest at that step, or None for the
    newest of all.
    """
    usable = run.checkpoints.filter(available=True).order_by("-step", "-id")
    wanted = value.get("checkpoint") if isinstance(value, dict) else value
    at_step = value.get("step") if isinstance(value, dict) and wanted is None else None
    for number in (wanted, at_step):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise CommandRefused(
                "value", f'value={value!r:.80} names no checkpoint; expected {{"checkpoint": id}}'
            )
        if number is not None and abs(number) >= 2**63:
            raise CommandRefused("value", "the checkpoint's number is too large")
    if wanted is not None:
        usable = usable.filter(pk=wanted)
    if at_step is not None:
        usable = usable.filter(step=at_step)
    checkpoint: Checkpoint | None = usable.first()
    if checkpoint is None:
        newest = run.checkpoints.filter(available=True).values_list("pk", "step")[:5]
        have = ", ".join(f"{pk} (step {step})" for pk, step in newest) or "none"
        raise CommandRefused("value", f"the run has no such checkpoint to roll back to; it has {have}")
    return {"checkpoint": checkpoint.pk, "step": checkpoint.step, "path": checkpoint.path}


def find_to_adopt(run: Run, value: Any) -> dict[str, Any]:
    """The checkpoint of another run of the same experiment as the process gets it. value: {"checkpoint": id}."""
    wanted = value.get("checkpoint") if isinstance(value, dict) else None
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 0 < wanted < 2**63:
        raise CommandRefused(
            "value", f'value={value!r:.80} names no checkpoint; expected {{"checkpoint": id}} of another run'
        )
    # Only within the experiment: who may steer this run may then read that one.
    siblings = Checkpoint.objects.filter(run__experiment=run.experiment_id).exclude(run=run.pk)
    checkpoint = siblings.select_related("run").filter(pk=wanted).first()
    if checkpoint is None:
        raise CommandRefused("value", f"no other run of this experiment has a checkpoint {wanted}")
    what = f"checkpoint {wanted} of run {checkpoint.run.code}"
    if not checkpoint.available:
        raise CommandRefused("value", f"{what} is gone: its file was removed or found broken")
    if not checkpoint.sha256:
        raise CommandRefused(
            "value", f"{what} was registered without its SHA-256, so it could not be verified"
        )
    return {
        "run": checkpoint.run.code,
        "checkpoint": checkpoint.pk,
        "step": checkpoint.step,
        "path": checkpoint.path,
        "sha256": checkpoint.sha256,
        "host": str(checkpoint.run.process.get("hostname") or ""),
    }


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

    Without them a resumption would quietly undo what a person or the controller set after the checkpoint.
    """
    newest: dict[str, Command] = {}
    for command in Command.objects.filter(
        run_id=run.pk, verb=Verb.SET, state=S.APPLIED, seq__gt=seq
    ).order_by("seq"):
        newest[command.tunable] = command
    return [
        Order(each.seq, each.verb, each.tunable, each.value, each.asked_by, each.reason, again=True)
        for each in sorted(newest.values(), key=lambda each: each.seq)
    ]


def orders_after(run: Run, seq: int) -> list[Order]:
    """Every command above `seq` that is not final, in order, and marks them sent."""
    now = timezone.now()
    # Mostly there is none: a look costs no lock, which under SQLite writers would have to wait for. Numbers are given
    # out and committed in order, so none that is missed here comes before one that another look finds.
    if not Command.objects.filter(run_id=run.pk, state__in=OPEN, seq__gt=seq).exists():
        return []
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run.pk).first()
        commands = Command.objects.filter(run_id=run.pk, state__in=OPEN, seq__gt=seq)
        close(commands.filter(expires_at__lte=now), S.EXPIRED, "not applied before it expired")
        found = list(commands.select_related("run").order_by("seq"))
        for command in found:
            if command.state == S.PENDING:
                command.state, command.sent_at = S.SENT, now
                command.save(update_fields=["state", "sent_at"])
                announce(command)
    return [
        Order(command.seq, command.verb, command.tunable, command.value, command.asked_by, command.reason)
        for command in found
    ]


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
        command.save(update_fields=fields)
        announce(command)
    return command


def presume_applied(run: Run, seq: int) -> int:
    """Close the commands up to `seq` that a process resumed past. Returns how many.

    It says that its state holds their effect, but the process that applied them died before it answered.
    """
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run.pk).first()
        left = Command.objects.filter(run_id=run.pk, state__in=OPEN, seq__lte=seq)
        return close(left, S.APPLIED, "applied before the process restarted, as its checkpoint says")


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
        "applied_step", "old_value", "new_value", "message",
    )  # fmt: skip
    return {name: getattr(command, name) for name in names} | times
