"""Settings for many runs at once: what `commands.issue` does for one, with a fixed number of queries.

A tick that decides for hundreds of runs would spend most of its time asking the same eight questions of each.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from monitoring.live.publish import wake_run
from monitoring.plain import text

from .command_checks import check_state, refuse_for, undeclared
from .commands import CommandRefused, announce, close
from .models import Command, CommandState, Run, Tunable
from .models.command import OPEN, VOID, Verb
from .values import BATCH_ROLES, BadValue, check_value
from .waiting import UNSENT

S = CommandState


@dataclass(frozen=True)
class Settings:
    """What is asked of one run, all or nothing: {tunable: value} in order. The other fields are those of `issue`."""

    run: Run
    values: Mapping[str, Any]
    asked_by: str
    since: int  # `unless_person_since`
    user: Any = None
    reason: str = ""
    origin: str = ""
    expects: Mapping[str, Any] = field(
        default_factory=dict
    )  # {tunable: value decided on}, for what makes the batch


def issue_settings(asked: Sequence[Settings]) -> list[list[Command] | CommandRefused]:
    """Store the commands of each and wake its process; or why not, in its place. Not by persons.

    Runs are locked in the order of their keys. Raises ValueError where a run is asked twice.
    """
    if len({each.run.pk for each in asked}) != len(asked):
        raise ValueError("each run is asked once; put its settings together")
    if not asked:
        return []
    with transaction.atomic():
        known = Known.of([each.run.pk for each in asked])
        answers: list[list[Command] | CommandRefused] = []
        made: list[Command] = []
        for each in asked:
            try:
                commands = known.commands(each)
            except CommandRefused as error:
                answers.append(error)
                continue
            answers.append(commands)
            made += commands
        Command.objects.bulk_create(made)
        for command in made:
            older = known.unsent.get((command.run_id, command.tunable), [])
            if older:
                why = f"superseded by #{command.seq} before it was sent"
                close(Command.objects.filter(pk__in=older, state=S.PENDING), S.SUPERSEDED, why)
            announce(command)
        for code in {command.run.code for command in made}:
            wake_run(code)
    return answers


@dataclass
class Known:
    """What has to be known of the runs to judge what is asked of them."""

    runs: dict[int, Run]
    tunables: dict[tuple[int, str], Tunable]
    last: dict[int, int]
    by_hand: dict[tuple[int, str], Command]  # the newest that a person asked for
    unsent: dict[tuple[int, str], list[int]]

    @classmethod
    def of(cls, ids: Sequence[int]) -> "Known":
        runs = Run.objects.select_for_update().filter(pk__in=ids).order_by("pk")
        found = {
            run.pk: run for run in runs.defer("config", "tags", "notes", "summary", "process", "actions")
        }
        mine = Command.objects.filter(run__in=ids)
        unsent: dict[tuple[int, str], list[int]] = {}
        for run, name, pk in mine.filter(UNSENT).values_list("run_id", "tunable", "pk"):
            unsent.setdefault((run, name), []).append(pk)
        hands = mine.filter(verb=Verb.SET, by_person=True).exclude(state__in=VOID).order_by("run", "seq")
        return cls(
            found,
            {(t.run_id, t.name): t for t in Tunable.objects.filter(run__in=ids)},
            dict(mine.order_by().values_list("run_id").annotate(Max("seq"))),
            {(command.run_id, command.tunable): command for command in hands},
            unsent,
        )

    def commands(self, asked: Settings) -> list[Command]:
        """The commands, unsaved. Raises CommandRefused."""
        run = self.runs.get(asked.run.pk)
        if run is None:
            raise CommandRefused("state", "the run was deleted meanwhile")
        check_state(run, Verb.SET)
        made = []
        group = uuid.uuid4().hex if len(asked.values) > 1 else ""
        seq = self.last.get(run.pk, 0)
        for name, value in asked.values.items():
            newest = self.by_hand.get((run.pk, name))
            planned = newest is not None and newest.at_step is not None and newest.state in OPEN
            if newest is not None and (planned or newest.seq > asked.since):
                raise refuse_for(newest)
            tunable = self.tunables.get((run.pk, name))
            if tunable is None:
                raise undeclared(name, [known for pk, known in self.tunables if pk == run.pk])
            try:
                value = check_value(tunable, value)
            except BadValue as error:
                raise CommandRefused("value", str(error)) from None
            seq += 1
            made.append(
                Command(
                    run=asked.run,
                    seq=seq,
                    verb=Verb.SET,
                    tunable=name,
                    value=value,
                    group=group,
                    expects=asked.expects.get(name) if tunable.role in BATCH_ROLES else None,
                    user=asked.user,
                    asked_by=text(asked.asked_by, 200),
                    by_person=False,
                    reason=text(asked.reason, 10_000),
                    origin=text(asked.origin, 100),
                    created_at=timezone.now(),
                )
            )
        return made
