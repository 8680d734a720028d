"""The tick: follow what was sent, judge what is in force, decide what is next.

    observe -> policies -> guards -> record, propose or send -> follow -> judge -> keep or undo

Idempotent: a tick that dies anywhere is finished by the next one. Two at once: one holds the lease, and
should that fail, every change of a decision's state names the state it starts from.
"""

import gc
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.utils import timezone

from monitoring.live import publish
from training.models.command import VOID

from . import actions, beliefs, effects, gathering, history
from .deadline import Patience
from .models import ControllerSettings, Decision, DecisionState, TickLease
from .registry import BUILT_IN, Registry, available
from .report import TickReport
from .rounds import Round

logger = logging.getLogger(__name__)
S = DecisionState
LEASE_SECONDS = 60
# Runs whose rows are written in one transaction: a commit waits for the disk, and other writers for the transaction.
HANDFUL = 20
RENEW_SECONDS = 5
# Between two rounds over all runs. The last tenth is left to the beat, which does not come to the millisecond.
ROUND_SECONDS = 4.9


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """No search for reference cycles meanwhile: among the rows and points of a thousand runs it finds none, over and
    over, for a fifth of a tick's time. What is no longer used goes at once, as ever."""
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()


def tick_in_turn(now: datetime | None = None) -> TickReport:
    """What each beat does: a round over all runs where one is due, else over those that set out."""
    if not is_due(now):
        return tick_starts(now)
    report = tick(now)
    if report.skipped:
        # Another one was at work just now: the next beat makes this round.
        TickLease.objects.filter(name="round").update(until=now or timezone.now())
    return report


def is_due(now: datetime | None = None) -> bool:
    """Whether the next round over all runs is due; who is told so makes it."""
    now = now or timezone.now()
    due, _ = TickLease.objects.get_or_create(name="round", defaults={"until": now})
    if due.until > now:
        return False
    later = now + timedelta(seconds=ROUND_SECONDS)
    return bool(TickLease.objects.filter(name="round", until__lte=now).update(until=later))


@collector_at_rest()
def tick(now: datetime | None = None, registry: Registry | None = None) -> TickReport:
    """One round over all watched runs. `now` and `registry` are given by tests and replays only."""
    now = now or timezone.now()
    registry = registry or available()
    return look(now, registry, None)


def tick_starts(
    now: datetime | None = None, registry: Registry | None = None, quickly: bool = False
) -> TickReport:
    """A round over those alone that set out a moment ago: a start of quick steps is over before the next full one."""
    now = now or timezone.now()
    starts = history.setting_out(now, quickly)
    if not starts:
        return TickReport()
    # What they log is to be here at the next look.
    publish.watch([f"run:{code}" for code in starts.values()])
    return look(now, registry or available(), list(starts))


def tick_starts_until_the_next_beat() -> int:
    """Further rounds over those that set out quickly, START_EVERY_SECONDS apart; how many."""
    rounds, began = 0, time.monotonic()
    while time.monotonic() - began < history.BEAT_SECONDS - 2 * history.START_EVERY_SECONDS:
        if not history.setting_out(timezone.now(), quickly=True):
            break
        time.sleep(history.START_EVERY_SECONDS)
        tick_starts(quickly=True)
        rounds += 1
    return rounds


def look(now: datetime, registry: Registry, only: Sequence[int] | None) -> TickReport:
    """One round; only: the runs (primary keys) that are looked at, None for all that are watched."""
    holder = uuid.uuid4().hex
    report = TickReport()
    if not take_lease(holder, now):
        report.skipped = True
        return report
    renewed = time.monotonic()
    round_ = Round(registry, now, report, beliefs.book(), Patience(BUILT_IN))
    try:
        everything = history.watch(registry.policies, only=only)
        # What compares the runs of a group needs all of them.
        grouped = registry.grouped if only is None else ()
        groups = gathering.gather(everything, grouped, now, round_.patience)
        round_.groups, round_.problems = groups, groups.problems
        for start in range(0, len(everything), HANDFUL):
            if time.monotonic() - renewed > RENEW_SECONDS:
                if not renew_lease(holder):
                    # What was read is old by now, and another tick is at work on the same runs.
                    logger.warning("controller: the tick took so long that another one took over")
                    break
                renewed = time.monotonic()
            round_.of(everything[start : start + HANDFUL])
        if only is not None:
            return report
        write_problems(round_.problems, report)
        note_failed_undoings()
        report.learned = beliefs.teach()
        effects.follow(now)
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
