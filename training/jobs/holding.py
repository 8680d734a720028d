"""Jobs that are not placed yet, whatever is free: they wait for other jobs, or for room in their group.

`settle` is called at each placement tick. It lets go of what need not wait any more, and cancels what waits in vain.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from training.models import Attempt, Job, JobDependency, JobGroup, JobState
from training.states import IllegalMove

from . import submit
from .dependencies import OPEN, When

ROWS = 500
# Jobs that wait for one another in a line are cancelled at one tick, up to so many; the others at the next.
MAX_LINE = 100


def settle(now: datetime | None = None) -> None:
    end_late(now or timezone.now())
    held = Job.objects.filter(state=JobState.QUEUED, held=True)
    for _ in range(MAX_LINE):
        in_vain, reasons = look(held)
        for pk, why in in_vain.items():
            cancel(pk, why)
        if not in_vain:
            break
    room_in_groups(held, reasons)
    tell(held, reasons)
    free = set(held.values_list("pk", flat=True)) - set(reasons)
    for some in parts(free):
        Job.objects.filter(pk__in=some, state=JobState.QUEUED).update(held=False, waiting_reason="")


def look(held: QuerySet[Job]) -> tuple[dict[int, str], dict[int, str]]:
    """(why it is cancelled, why it waits) by job."""
    rows = list(
        JobDependency.objects.filter(job__in=held).values_list(
            "job_id", "when", "on_code", "on__state", "on__run__name", "on_group_id", "on_group__name"
        )
    )
    groups = states_of_groups({row[5] for row in rows if row[5] is not None})
    in_vain: dict[int, str] = {}
    waits: dict[int, list[str]] = defaultdict(list)
    for job, when, code, state, run_name, group, group_name in rows:
        states = groups.get(group) if group is not None else Counter([state]) if state else None
        name = f"{group_name or run_name} ({code})" if states else code
        fate, words = judge(when, states, name)
        if fate is None:
            waits[job].append(words)
        elif not fate:
            in_vain.setdefault(job, words)
    return in_vain, {
        job: f"waits for {said[0]}" + (f" and {len(said) - 1} more" if len(said) > 1 else "")
        for job, said in waits.items()
        if job not in in_vain
    }


def judge(when: str, states: Counter[str] | None, name: str) -> tuple[bool | None, str]:
    """Whether a dependency is met; None: not yet. With the words for why it waits, or why it never will be."""
    if states is None:
        return when == When.ANY, f"the job {name} that it waited for was deleted"
    still = sum(states[state] for state in OPEN)
    bad = states[JobState.FAILED] + states[JobState.STOPPED]
    left = f", {still} of {sum(states.values())} left" if sum(states.values()) > 1 else ""
    if when == When.OK and bad:
        how = "failed" if states[JobState.FAILED] else "was stopped"
        return False, f"{name}, which was to end well first, {how}"
    if still:
        to = {When.OK: "to end well", When.ANY: "to end", When.FAILED: "to fail"}[When(when)]
        return None, f"{name} {to}{left}"
    if when == When.FAILED and not states[JobState.FAILED]:
        return False, f"{name}, for whose failure it waited, did not fail"
    return True, ""


def states_of_groups(groups: set[int]) -> dict[int, Counter[str]]:
    found: dict[int, Counter[str]] = {}
    rows = Job.objects.filter(group__in=groups).order_by("group_id")
    for group, state, count in rows.values_list("group_id", "state").annotate(Count("pk")):
        found.setdefault(group, Counter())[state] = count
    return found


def room_in_groups(held: QuerySet[Job], reasons: dict[int, str]) -> None:
    """Of a group with a limit so many are let go that with those which run there are no more than that."""
    limits = JobGroup.objects.filter(at_once__isnull=False, jobs__in=held).distinct()
    for group in limits.values_list("pk", flat=True):
        with transaction.atomic():
            # Two ticks at once must not both fill the same room.
            locked = JobGroup.objects.select_for_update().get(pk=group)
            members = Job.objects.filter(group=locked)
            out = (
                members.filter(state=JobState.ACTIVE).count()
                + members.filter(state=JobState.QUEUED, held=False).count()
            )
            room = max(0, (locked.at_once or 0) - out)
            waiting = [
                pk for pk in held.filter(group=locked).values_list("pk", flat=True) if pk not in reasons
            ]
            Job.objects.filter(pk__in=waiting[:room], state=JobState.QUEUED).update(
                held=False, waiting_reason=""
            )
            why = f"waits for its group {locked.name} ({locked.code}): {locked.at_once} of it at once"
            reasons.update(dict.fromkeys(waiting[room:], why))


def end_late(now: datetime) -> None:
    """End what is past its deadline: what waits is cancelled, what runs is asked to stop."""
    late = Job.objects.filter(state__in=OPEN, deadline__lte=now)
    for pk, deadline in late.values_list("pk", "deadline"):
        stopping = Attempt.objects.filter(job=pk, ended_at=None, state=Attempt.State.STOPPING)
        if not stopping.exists():
            cancel(pk, f"its deadline, {deadline:%Y-%m-%d %H:%M:%S} UTC, has passed")


def cancel(pk: int, why: str) -> None:
    job = Job.objects.select_related("run").filter(pk=pk, state__in=OPEN).first()
    if job is None:
        return
    try:
        submit.stop(job, "system", why)
    except IllegalMove:
        return  # it ended just then


def tell(held: QuerySet[Job], reasons: dict[int, str]) -> None:
    """Write down why they wait, where it changed."""
    changed: dict[str, list[int]] = defaultdict(list)
    for pk, was in held.values_list("pk", "waiting_reason"):
        why = reasons.get(pk, was)[:500]
        if why != was:
            changed[why].append(pk)
    for why, pks in changed.items():
        for some in parts(pks):
            Job.objects.filter(pk__in=some, state=JobState.QUEUED).update(waiting_reason=why)
    for job in Job.objects.select_related("run").filter(
        pk__in=[pk for pks in changed.values() for pk in pks[:1]]
    ):
        submit.announce(job)


def parts(pks: Iterable[int]) -> list[list[int]]:
    listed = sorted(pks)
    return [listed[at : at + ROWS] for at in range(0, len(listed), ROWS)]
