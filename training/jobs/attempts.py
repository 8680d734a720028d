"""An attempt's life in the database: begun with its devices, claimed, renewed, ended.

Each step is one transaction that names the state it expects, so two workers, a reaper and a late message
cannot take the same step twice. `end` is the only place where a job's and its run's fate is decided.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from monitoring.live.publish import publish_change, wake_run
from monitoring.models import Device, Node
from training import commands
from training.models import Attempt, DeviceLease, Job, JobState, Member, Run, RunEvent
from training.states import ENDED, MOVES, RunState, move

from . import memory, passing_over, planning, queued, yielding
from .devices import free_devices, usable
from .farewell import last_word
from .placement import Assignment, placed_again
from .submit import announce, hurry, tell

logger = logging.getLogger(__name__)
Outcome = Attempt.Outcome
RUN_STATE: dict[str, RunState] = {
    Outcome.FINISHED: RunState.FINISHED,
    Outcome.FAILED: RunState.FAILED,
    Outcome.STOPPED: RunState.STOPPED,
    Outcome.LOST: RunState.LOST,
}
JOB_STATE: dict[str, JobState] = {
    Outcome.FINISHED: JobState.DONE,
    Outcome.FAILED: JobState.FAILED,
    Outcome.STOPPED: JobState.STOPPED,
    Outcome.LOST: JobState.FAILED,
}


def begin(assignment: Assignment) -> Attempt | None:
    """Give a queued job its devices and a new attempt. None when the job is no longer queued, or its memory is taken.

    Raises IntegrityError when another transaction holds one of the devices by now.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update().select_related("run").get(pk=assignment.job)
        if job.state != JobState.QUEUED:
            return None
        short = memory.missing_for(job, [assignment.node, *assignment.others])
        if short:
            logger.info("job %s waits: %s", job.code, short)
            return None
        last = job.attempts.order_by("-number").values_list("number", flat=True).first() or 0
        attempt = Attempt.objects.create(
            job=job, number=last + 1, node_id=assignment.node, lease_expires_at=lease_end()
        )
        DeviceLease.objects.bulk_create(
            DeviceLease(device_id=device, attempt=attempt) for device in assignment.devices
        )
        attempt.devices.set(assignment.devices)
        members = [
            Member(attempt=attempt, node_id=node, node_rank=rank, lease_expires_at=lease_end())
            for rank, node in enumerate(assignment.others, start=1)
        ]
        Member.objects.bulk_create(members)
        job.state, job.waiting_reason = JobState.ACTIVE, ""
        job.save(update_fields=["state", "waiting_reason"])
        names = [attempt.node.name, *(member.node.name for member in members)]
        where = f"attempt {attempt.number} on {', '.join(names)}"
        count = len(assignment.devices)
        bring(job.run, RunState.STARTING, f"{where} with {count} {'device' if count == 1 else 'devices'}")
        announce(job)
        for name in names:
            publish_change(f"node:{name}", "job", {"code": job.code})
        transaction.on_commit(lambda: tell(attempt.pk, attempt.node.name))
        # An older attempt that is still connected is refused now, not at the next poll.
        wake_run(job.run.code)
    return attempt


def claim(attempt: Attempt) -> bool:
    """True for the one caller that starts the attempt's process."""
    won = Attempt.objects.filter(pk=attempt.pk, state=Attempt.State.ASSIGNED, ended_at=None).update(
        state=Attempt.State.RUNNING, started_at=Now(), heartbeat_at=Now(), lease_expires_at=lease_end()
    )
    if won:
        passing_over.forget(attempt.node_id)
    return bool(won)


def renew(pks: Iterable[int]) -> set[int]:
    """Renew the leases of attempts whose processes live. Returns those that are still theirs."""
    wanted = list(pks)
    Attempt.objects.filter(pk__in=wanted, ended_at=None).update(
        heartbeat_at=Now(), lease_expires_at=lease_end()
    )
    return set(Attempt.objects.filter(pk__in=wanted, ended_at=None).values_list("pk", flat=True))


def lease_end() -> Combinable:
    """By the database's clock, which also says when it has run out: hosts' own clocks differ, and are set at times."""
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def believed(attempt: Attempt) -> set[str]:
    """Which last words of a process explain why nothing is heard of its attempt any more.

    Of a gang over several nodes, rank 0 fails because another node is gone: that is the node's end, not the job's.
    """
    finished = {str(Attempt.Outcome.FINISHED)}
    return finished if attempt.members.exists() else finished | {str(Attempt.Outcome.FAILED)}


def end(
    pk: int,
    outcome: str,
    reason: str,
    *,
    exit_code: int | None = None,
    signal: str = "",
    first_error_line: str = "",
    again: bool | None = None,
    only_expired: bool = False,
    expired_member: int | None = None,
    leaving: dict[str, Any] | None = None,
) -> bool:
    """End an attempt, free its devices, and decide what becomes of its job and run. False if it was over.

    again: True queues the job again whatever its retries (the site was shut down), False never does (the
    command cannot be started at all), None does while retries are left and the attempt failed or was lost.
    only_expired, expired_member: end it only if its lease, or that of this further node, has run out by now; the
    reaper's way. leaving: what the process wrote as it left to be started on other devices, which it then is at once.
    """
    with transaction.atomic():
        attempt = (
            Attempt.objects.select_for_update()
            .select_related("node")
            .annotate(at=Now())
            .filter(pk=pk, ended_at=None)
            .first()
        )
        if attempt is None or (only_expired and attempt.lease_expires_at > attempt.at):
            return False
        now = attempt.at
        if (
            expired_member is not None
            and not attempt.members.filter(pk=expired_member, lease_expires_at__lte=Now())
            .exclude(state=Attempt.State.ENDED)
            .exists()
        ):
            return False
        job = Job.objects.select_for_update().select_related("run").get(pk=attempt.job_id)
        run = job.run
        given_way = gives_way(attempt, outcome, leaving, only_expired or expired_member is not None)
        keeps = devices_kept(attempt) if given_way else []
        if given_way:
            how = reason if leaving is None else f"it left at the checkpoint of step {leaving.get('step')}"
            outcome, again = (Outcome.RESCALED if keeps else Outcome.PREEMPTED), True
            reason = f"{attempt.preempt_reason}: {how}"
            yielding.close_commands(run)
        elif leaving is not None and attempt.state != Attempt.State.STOPPING:
            reason = words_of(leaving) + ("" if outcome == Outcome.FINISHED else f"; it ended so: {reason}")
            outcome, again = Outcome.RESCALED, True
        elif attempt.state == Attempt.State.STOPPING and again is None:
            # Whoever was asked to stop and is gone has stopped, however it went, unless it was done just then.
            again = False
            done = outcome in {Outcome.FINISHED, Outcome.LOST} and last_word(attempt) == Outcome.FINISHED
            if outcome == Outcome.LOST:
                reason = f"{'it said that it has finished' if done else 'it was asked to stop'}, and then: {reason}"
            outcome = Outcome.FINISHED if done else Outcome.STOPPED
        elif outcome == Outcome.FINISHED:
            # A stop that the script was asked for ends with exit 0.
            word = last_word(attempt)
            outcome = word if word in {Outcome.STOPPED, Outcome.FAILED} else outcome
        elif outcome == Outcome.LOST and (word := last_word(attempt)) in believed(attempt):
            # It had come to its end by itself: nothing more was to be heard. One that says it was stopped
            # was stopped by its host's end, and goes on elsewhere.
            outcome, reason = word, f"its process said that it has {word}, and then: {reason}"
        attempt.state, attempt.ended_at, attempt.outcome = Attempt.State.ENDED, now, outcome
        attempt.exit_code, attempt.signal, attempt.first_error_line = (
            exit_code,
            signal[:20],
            first_error_line[:2000],
        )
        attempt.save()
        attempt.leases.all().delete()
        retry = outcome in {Outcome.FAILED, Outcome.LOST} and job.retries_used < job.max_retries
        if again is None and outcome == Outcome.LOST and goes_on_with_fewer(job, attempt):
            again, reason = True, f"{reason}; it goes on with the devices that are left"
        RunEvent.objects.create(
            run=run, kind="attempt", new=outcome, reason=reason[:10_000],
            data={"attempt": attempt.number, "node": attempt.node.name, "exit_code": exit_code, "signal": signal,
                  "first_error_line": attempt.first_error_line},
        )  # fmt: skip
        if again or (again is None and retry):
            job.state = JobState.QUEUED
            job.retries_used += 0 if again else 1
            tries = "" if again else f"; retry {job.retries_used} of {job.max_retries}"
            if outcome == Outcome.RESCALED and not given_way:
                assert leaving is not None
                tries = f": {reason}"
                job.wanted_devices = wanted_of(job, leaving)
            elif given_way:
                tries = f": {reason}"
                job.waiting_reason = f"waits to go on: {attempt.preempt_reason}"[:500]
            else:
                bring(run, RUN_STATE[outcome], reason)
            bring(run, RunState.QUEUED, f"attempt {attempt.number} {outcome}{tries}")
        else:
            job.state, job.ended_at = JOB_STATE[outcome], now
            bring(run, RUN_STATE[outcome], reason)
            commands.expire_open(run, f"the run ended ({RUN_STATE[outcome]}) before it was applied")
        job.save(update_fields=["state", "ended_at", "retries_used", "wanted_devices", "waiting_reason"])
        announce(job)
        for name in [attempt.node.name, *attempt.members.values_list("node__name", flat=True)]:
            publish_change(f"node:{name}", "job", {"code": job.code})
        if keeps:
            begin(with_devices(job, attempt, keeps))
        elif outcome == Outcome.RESCALED:
            begin_again(job, attempt, bool((leaving or {}).get("elsewhere")))
        transaction.on_commit(hurry)
    logger.info("attempt %s of job %s: %s (%s)", attempt.number, job.code, outcome, reason)
    return True


def gives_way(attempt: Attempt, outcome: str, leaving: dict[str, Any] | None, expired: bool) -> bool:
    """Whether an attempt that was asked to leave has: however it went, unless it came to its own end just then.

    One whose lease ran out is lost like any other; one that a person has stopped is stopped.
    """
    if attempt.preempt_asked_at is None or attempt.state == Attempt.State.STOPPING or expired:
        return False
    if leaving is not None:
        return True
    if outcome != Outcome.FINISHED:
        return True
    # A script without the SDK that is ended by SIGTERM may well exit with 0.
    return not attempt.job.run.process or last_word(attempt) not in {None, Outcome.FINISHED}


def devices_kept(attempt: Attempt) -> list[Device]:
    """What an attempt that gave way goes on with; nothing where one of those devices has failed since."""
    found = list(Device.objects.filter(usable(), pk__in=attempt.keeps).order_by("node_id", "index"))
    return found if len(found) == len(attempt.keeps) else []


def with_devices(job: Job, attempt: Attempt, devices: list[Device]) -> Assignment:
    """On its nodes in the order in which the attempt had them."""
    had = [attempt.node_id, *attempt.members.order_by("node_rank").values_list("node_id", flat=True)]
    nodes = sorted({device.node_id for device in devices}, key=had.index)
    return Assignment(job.pk, nodes[0], tuple(device.pk for device in devices), tuple(nodes[1:]))


def words_of(leaving: dict[str, Any]) -> str:
    what = "to be moved to another node" if leaving.get("elsewhere") else "to have other devices"
    return f"it left at the checkpoint of step {leaving.get('step')} {what} ({leaving.get('devices')})"


def wanted_of(job: Job, leaving: dict[str, Any]) -> int:
    """How many devices the process left for; what a file of its node says is held to what the job may have."""
    told = leaving.get("devices")
    wanted = told if isinstance(told, int) and not isinstance(told, bool) else job.min_devices
    return min(max(wanted, job.min_devices), job.max_devices)


def begin_again(job: Job, attempt: Attempt, elsewhere: bool) -> None:
    """Place a job that left for other devices at once: what it gave back is not anybody else's before it was asked.

    By the rules by which it was placed before: on nodes that it asked for, where its memory is, and within what its
    project may have beyond what it had. Where not even its least is there any more, because its node is cordoned or a
    device has failed, it waits.
    """
    waiting = queued.as_if_it_waited(job)
    nodes = {attempt.node_id, *attempt.members.values_list("node_id", flat=True)} if elsewhere else set()
    had = min(max(attempt.devices.count(), job.min_devices), job.max_devices)
    left = memory.left_by_node() if job.memory_bytes else None
    wanted = planning.within_quota(waiting, job.wanted_devices or had, had)
    found = placed_again(waiting, free_devices(), wanted, had, nodes, left, planning.current_rules())
    try:
        if found is not None:
            begin(found)
    except IntegrityError:  # a tick gave one of them away meanwhile: it waits in the queue
        logger.info("job %s waits for devices: another job was faster", job.code)


def goes_on_with_fewer(job: Job, attempt: Attempt) -> bool:
    """Whether a lost attempt of an elastic job is the node's fault alone: it had come on since it began.

    One that saved nothing would be lost again and again without an end.
    """
    saved = job.run.checkpoints.filter(created_at__gte=attempt.started_at or attempt.created_at)
    return job.max_devices > job.min_devices and saved.exclude(step=0).exists()


def take_back(attempt: Attempt) -> bool:
    """Let an attempt that was lost, but lives, go on: when nothing took its place or its devices meanwhile.

    One that had said that it has finished as its lease ran out goes on too: a script may have more to do after that.
    """
    try:
        with transaction.atomic():
            job = Job.objects.select_for_update().select_related("run").get(pk=attempt.job_id)
            newest = job.attempts.order_by("-number").first()
            if attempt.members.exists():
                return False  # its other nodes have ended their part
            if newest != attempt or (attempt.outcome, job.state) not in {
                (Outcome.LOST, JobState.FAILED), (Outcome.FINISHED, JobState.DONE)
            }:  # fmt: skip
                return False
            if memory.missing_for(job, [attempt.node_id]):
                return False
            DeviceLease.objects.bulk_create(
                DeviceLease(device=device, attempt=attempt) for device in attempt.devices.all()
            )
            Attempt.objects.filter(pk=attempt.pk).update(
                state=Attempt.State.RUNNING, ended_at=None, outcome="", lease_expires_at=lease_end()
            )
            job.state, job.ended_at = JobState.ACTIVE, None
            job.save(update_fields=["state", "ended_at"])
            bring(job.run, RunState.RUNNING, f"attempt {attempt.number} lives after all")
            announce(job)
    except IntegrityError:
        return False
    return True


def bring(run: Run, state: RunState, reason: str) -> None:
    """Move the run to `state` if it is not there, as far as the table allows."""
    run.refresh_from_db(fields=["state"])
    while run.state != state and state in MOVES[RunState(run.state)]:
        if move(run, state, reason[:10_000]):
            return
        # Its process said something over the link just then, and the run is in another state by now.
    if run.state != state and run.state not in ENDED:
        logger.error("run %s is %s and cannot become %s (%s)", run.code, run.state, state, reason)


def node_attempts(node: Node) -> list[Attempt]:
    """The attempts a node's worker has to look after."""
    found = Attempt.objects.filter(node=node, ended_at=None)
    related = found.select_related("job__run__experiment__project", "node")
    return list(related.prefetch_related("devices", "members"))


def node_members(node: Node) -> list[Member]:
    """The attempts of other nodes that this node has a part in."""
    found = Member.objects.filter(node=node, attempt__ended_at=None).exclude(state=Attempt.State.ENDED)
    related = found.select_related("attempt__job__run__experiment__project", "attempt__node", "node")
    return list(related.prefetch_related("attempt__devices", "attempt__members"))


def claim_member(member: Member) -> bool:
    """True for the one caller that starts this node's part."""
    won = Member.objects.filter(pk=member.pk, state=Attempt.State.ASSIGNED).update(
        state=Attempt.State.RUNNING, lease_expires_at=lease_end()
    )
    if won:
        passing_over.forget(member.node_id)
    return bool(won)


def end_member(member: Member, exit_code: int | None) -> None:
    Member.objects.filter(pk=member.pk).update(state=Attempt.State.ENDED, exit_code=exit_code)


def renew_members(pks: Iterable[int]) -> None:
    Member.objects.filter(pk__in=list(pks), attempt__ended_at=None).update(lease_expires_at=lease_end())
