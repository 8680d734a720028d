"""Changes of a setting at steps to come: one, every so many steps, or along a cosine, as commands that wait for them.

The values are fixed when the schedule is made, from what the setting is then, so that a person sees each beforehand
and a resumed training comes to the same. Whoever sets the setting by hand meanwhile ends the schedule.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from monitoring.live.publish import publish_change, wake_run
from monitoring.plain import text

from . import waiting
from .command_checks import check_state, undeclared
from .commands import CommandRefused, announce, issue
from .models import Command, Run, Schedule, Tunable
from .models.command import Verb
from .values import BadValue, check_value

MOST_CHANGES = 100  # of one schedule
STAIRS = 50  # of a cosine
Shape = Schedule.Shape


@dataclass(frozen=True)
class Asked:
    """What a person asks for. value or factor: what comes of the setting; every: steps between repetitions."""

    shape: str
    at_step: int
    value: Any = None
    factor: float | None = None
    every: int | None = None
    until_step: int | None = None
    until_value: float | None = None


def changes_of(asked: Asked, tunable: Tunable) -> list[tuple[int, Any]]:
    """[(step, value)] in order, each within the bounds. Raises CommandRefused, naming the field."""
    if asked.shape not in Shape.values:
        known = ", ".join(Shape.values)
        raise CommandRefused("shape", f"shape={asked.shape!r:.40} is unknown; expected one of {known}")
    numeric = tunable.kind in {Tunable.Kind.FLOAT, Tunable.Kind.INT}
    if not numeric and (asked.shape != Shape.ONCE or asked.factor is not None):
        raise CommandRefused("shape", f"{tunable.name} is no number; it can be set once, to a value")
    made: list[tuple[int, Any]] = []
    last = tunable.value
    shapes = {Shape.ONCE: once, Shape.REPEAT: repeat, Shape.COSINE: cosine}
    for number, (step, raw) in enumerate(shapes[Shape(asked.shape)](asked, last)):
        try:
            value = check_value(tunable, rounded(tunable, raw))
        except BadValue as error:
            raise CommandRefused("factor" if asked.factor else "value", f"at step {step}: {error}") from None
        if value != last:
            made.append((step, value))
            last = value
        # A whole number that a factor near 1 leaves as it is makes no change, and its loop no end.
        if len(made) > MOST_CHANGES or number > 10 * MOST_CHANGES:
            raise CommandRefused(
                "every", f"that is more than {MOST_CHANGES} changes; change it more rarely, or end sooner"
            )
    if not made:
        raise CommandRefused("value", f"{tunable.name} is {tunable.value} already: nothing would change")
    return made


def rounded(tunable: Tunable, value: Any) -> Any:
    """Six significant digits, whole numbers where the setting takes those."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return value
    return round(value) if tunable.kind == Tunable.Kind.INT else float(f"{value:.6g}")


def once(asked: Asked, now: Any) -> Iterator[tuple[int, Any]]:
    if (asked.value is None) == (asked.factor is None):
        raise CommandRefused("value", "give a value or a factor, one of the two")
    yield asked.at_step, asked.value if asked.factor is None else now * factor_of(asked)


def repeat(asked: Asked, now: Any) -> Iterator[tuple[int, Any]]:
    factor = factor_of(asked)
    if asked.every is None or asked.every < 1:
        raise CommandRefused("every", "a repetition says every how many steps, 1 or more")
    if asked.until_step is None and asked.until_value is None:
        raise CommandRefused("until_step", "a repetition says until which step, or until which value")
    step, value = asked.at_step, now
    while asked.until_step is None or step <= asked.until_step:
        value = value * factor
        if asked.until_value is not None and (value - asked.until_value) * (factor - 1) >= 0:
            yield step, asked.until_value
            return
        yield step, value
        step += asked.every


def cosine(asked: Asked, now: Any) -> Iterator[tuple[int, Any]]:
    end = asked.value
    if isinstance(end, bool) or not isinstance(end, int | float):
        raise CommandRefused("value", "a cosine says to which value it goes")
    if asked.until_step is None or asked.until_step <= asked.at_step:
        raise CommandRefused("until_step", f"a cosine ends after it began at step {asked.at_step}")
    length = asked.until_step - asked.at_step
    stairs = min(STAIRS, length)
    for stair in range(1, stairs + 1):
        share = stair / stairs
        # Half a period: slow at both ends (as in Loshchilov and Hutter 2017, arXiv 1608.03983).
        yield asked.at_step + round(share * length), end + (now - end) * (1 + math.cos(math.pi * share)) / 2


def factor_of(asked: Asked) -> float:
    factor = asked.factor
    if factor is None or not math.isfinite(factor) or factor <= 0 or factor == 1:
        raise CommandRefused(
            "factor", f"factor={factor}; expected a number above 0 other than 1, such as 0.5"
        )
    return factor


def plan(
    run: Run, tunable: str, asked: Asked, *, asked_by: str, user: Any = None, reason: str = ""
) -> Schedule:
    """Store a schedule with its commands, in place of what was planned for the setting. Raises CommandRefused."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        check_state(run, Verb.SET)
        declared = run.tunables.filter(name=tunable).first()
        if declared is None:
            raise undeclared(tunable, run.tunables.values_list("name", flat=True))
        changes = changes_of(asked, declared)
        waiting.check_step(run, Verb.SET, changes[0][0], len(changes))
        told = {name: value for name, value in asdict(asked).items() if value is not None and name != "shape"}
        made = Schedule.objects.create(
            run=run,
            tunable=tunable,
            shape=asked.shape,
            asked=told,
            user=user,
            asked_by=text(asked_by, 200),
            reason=text(reason, 10_000),
        )
        let_go(
            run,
            waiting.waiting_in(run, verb=Verb.SET, tunable=tunable),
            asked_by,
            user,
            f"schedule {made.pk}",
        )
        first = waiting.next_seq(run)
        commands = [
            Command(
                run=run, seq=first + place, verb=Verb.SET, tunable=tunable, value=value, at_step=step, schedule=made,
                user=user, asked_by=made.asked_by, reason=made.reason, created_at=timezone.now(),
            )
            for place, (step, value) in enumerate(changes)
        ]  # fmt: skip
        Command.objects.bulk_create(commands)
        tell(commands[0])
    return made


def cancel(schedule: Schedule, *, asked_by: str, user: Any = None) -> Schedule:
    """End what of a schedule has not been applied. Raises CommandRefused where nothing is left of it."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=schedule.run_id)
        left = waiting.waiting_in(run, schedule=schedule)
        if not left.exists():
            raise CommandRefused("state", "nothing of this schedule waits any more")
        let_go(run, left, asked_by, user, f"schedule {schedule.pk} was cancelled")
        schedule.cancelled_at, schedule.cancelled_by = timezone.now(), text(asked_by, 200)
        schedule.save(update_fields=["cancelled_at", "cancelled_by"])
    return schedule


def let_go(run: Run, which: Any, asked_by: str, user: Any, reason: str) -> None:
    seqs = list(which.values_list("seq", flat=True))
    if seqs:
        issue(run, Verb.CANCEL, value={"commands": seqs}, asked_by=asked_by, user=user, reason=reason)


def tell(first: Command) -> None:
    """One message for all of them: a page reads the list then."""
    announce(first)
    publish_change(f"run:{first.run.code}", "schedule", {"id": first.schedule_id, "tunable": first.tunable})
    code = first.run.code
    transaction.on_commit(lambda: wake_run(code))
