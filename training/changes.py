"""Several settings of a run as one change: applied at one step boundary, all or none; and its undoing."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from monitoring.live.publish import wake_run
from monitoring.plain import text

from . import waiting
from .command_checks import check_set, check_state
from .commands import CommandRefused, announce
from .models import Command, CommandState, Run
from .models.command import Verb
from .values import shown

S = CommandState
MOST_SETTINGS = 50


def change_together(
    run: Run,
    values: Mapping[str, Any],
    *,
    asked_by: str,
    user: Any = None,
    reason: str = "",
    origin: str = "",
    at_step: int | None = None,
    key: str = "",
) -> list[Command]:
    """Store {tunable: value} as one group, asked by a person, and wake the process. The arguments are those of `issue`.

    Raises CommandRefused, whose field is "settings.<name>" where one value is at fault; then nothing is stored.
    """
    if not 1 <= len(values) <= MOST_SETTINGS:
        raise CommandRefused("settings", f"{len(values)} settings; expected 1 to {MOST_SETTINGS}")
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        if key and (known := list(run.commands.filter(key=key).order_by("seq"))):
            return known
        check_state(run, Verb.SET)
        waiting.check_step(run, Verb.SET, at_step, len(values))
        if len(values) > 1:
            waiting.check_knows(run, "groups")
        checked = {name: checked_setting(run, name, value) for name, value in values.items()}
        group = uuid.uuid4().hex if len(checked) > 1 else ""
        commands = []
        for name, value in checked.items():
            seq = waiting.next_seq(run)
            drops = waiting.let_go(run, Verb.SET, name, value, seq) if at_step is None else []
            commands.append(
                Command.objects.create(
                    run=run,
                    seq=seq,
                    verb=Verb.SET,
                    tunable=name,
                    value=value,
                    user=user,
                    asked_by=text(asked_by, 200),
                    reason=text(reason, 10_000),
                    origin=text(origin, 100),
                    group=group,
                    at_step=at_step,
                    drops=drops,
                    key=key,
                )
            )
        for command in commands:
            announce(command)
        transaction.on_commit(lambda: wake_run(run.code))
    return commands


def checked_setting(run: Run, name: str, value: Any) -> Any:
    try:
        return check_set(run, name, value)[1]
    except CommandRefused as error:
        raise CommandRefused(f"settings.{name}", error.message) from None


def take_back(run: Run, seq: int, *, asked_by: str, user: Any = None, key: str = "") -> list[Command]:
    """Set what command #seq (and its group) changed back to what it was before. Raises CommandRefused.

    Only what still stands as that command left it: to take back what somebody set since is another decision.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        if key and (known := list(run.commands.filter(key=key).order_by("seq"))):
            return known
        command = run.commands.filter(seq=seq).first()
        if command is None:
            raise CommandRefused("seq", f"the run has no command #{seq}")
        if command.verb != Verb.SET:
            raise CommandRefused(
                "state", f"{command.verb} cannot be taken back; roll back to a checkpoint instead"
            )
        changed = [command]
        if command.group:
            changed = list(run.commands.filter(group=command.group).order_by("seq"))
        for each in changed:
            check_in_force(run, each)
        told = ", ".join(f"{c.tunable} {shown(c.old_value)} → {shown(c.new_value)}" for c in changed)
        return change_together(
            run,
            {each.tunable: each.old_value for each in reversed(changed)},
            asked_by=asked_by,
            user=user,
            reason=f"takes back #{seq}: {told}",
            origin=f"takes back:{seq}",
            key=key,
        )


def check_in_force(run: Run, command: Command) -> None:
    """Raise CommandRefused unless the setting is what the command made it, and nothing is on its way to it."""
    name = command.tunable
    if command.state != S.APPLIED:
        raise CommandRefused(
            "state", f"#{command.seq} is {command.state}; only an applied change is taken back"
        )
    tunable = run.tunables.filter(name=name).first()
    if tunable is None or tunable.value != command.new_value:
        now = "not declared any more" if tunable is None else f"{shown(tunable.value)} now"
        raise CommandRefused(
            "state",
            f"{name} is {now} and not the {shown(command.new_value)} of #{command.seq}; set it by hand",
        )
    if command.old_value is None or command.old_value == command.new_value:
        raise CommandRefused(
            "state", f"#{command.seq} changed nothing that is known, so there is nothing to take back"
        )
    newer = run.commands.filter(verb=Verb.SET, tunable=name, state__in=waiting.OPEN, at_step=None).last()
    if newer is not None:
        raise CommandRefused(
            "state", f"{name} is about to be {shown(newer.value)} (#{newer.seq}, {newer.asked_by})"
        )
