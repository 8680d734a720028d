"""What people ask of jobs: submit, stop, queue again."""

import contextlib
import logging
import re
import shlex
from pathlib import PurePath
from typing import Any

from celery import current_app
from django.db import DatabaseError, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from monitoring.live.publish import publish_change
from monitoring.models import Device
from monitoring.plain import NotPlain, plain, text
from training import commands
from training.models import Attempt, Checkpoint, Job, JobState, Run, RunEvent
from training.models.job import Keep, Launcher
from training.states import ENDED, IllegalMove, RunState, move

logger = logging.getLogger(__name__)
MAX_ARGUMENTS = 1000
MAX_TEXT = 100_000
# The site's own; a job that set them could speak for another run or reach the broker.
RESERVED = re.compile(r"(SCALEWEB_.*|REDIS_URL|DATABASE_URL|DJANGO_SETTINGS_MODULE)$")


class JobRefused(Exception):
    """The job cannot be queued. `field`: the argument at fault; `message`: what was wrong and what would do."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field
        self.message = message


def submit(
    *,
    experiment: Any,
    argv: list[str],
    name: str = "",
    env: dict[str, str] | None = None,
    cwd: str = "",
    device_kind: str = "cpu",
    min_devices: int = 1,
    max_devices: int = 1,
    launcher: str = Launcher.ONCE,
    max_nodes: int = 1,
    keep: str = Keep.BATCH,
    priority: int = 0,
    max_retries: int = 0,
    config: dict[str, Any] | None = None,
    tags: list[str] | None = None,
    user: Any = None,
) -> Job:
    """Queue a command as a new run of an experiment. Raises JobRefused.

    cwd: an absolute folder on the node; empty for a folder of the attempt's own. min_devices..max_devices
    of device_kind on one node, or on up to max_nodes where launcher is torchrun: then the command runs once for each
    device, as the ranks of one training. keep: what stays as it is when their number changes (models.job.Keep).
    """
    check_argv(argv)
    check_env(env or {})
    if "\0" in cwd or (cwd and not PurePath(cwd).is_absolute()):
        raise JobRefused(
            "cwd", f"cwd={cwd!r:.100} is not an absolute folder; give its full path, or leave it out"
        )
    if device_kind not in Device.Kind.values:
        raise JobRefused("device_kind", f"device_kind={device_kind!r:.40}; expected cpu or gpu")
    if not 1 <= min_devices <= max_devices:
        raise JobRefused(
            "max_devices", f"min_devices={min_devices} max_devices={max_devices}; expected 1 <= min <= max"
        )
    check_launcher(launcher, max_nodes, max_devices, keep)
    try:
        config = plain(config or {}, "config")
    except NotPlain as error:
        raise JobRefused("config", str(error)) from None
    with transaction.atomic():
        run = Run(experiment=experiment, config=config, tags=tags or [], created_by=user)
        run.name = text(name, 200) or f"{script_of(argv)} {run.code[:4]}"
        run.save()
        job = Job.objects.create(
            run=run, argv=argv, env=env or {}, cwd=cwd, device_kind=device_kind, min_devices=min_devices,
            max_devices=max_devices, launcher=launcher, max_nodes=max_nodes, keep=keep,
            priority=priority, max_retries=max_retries, submitted_by=user,
        )  # fmt: skip
        who = user.get_username() if user else "system"
        RunEvent.objects.create(
            run=run,
            kind="state",
            new=RunState.QUEUED,
            reason=text(f"submitted: {shlex.join(argv)}", 2000),
            actor=who,
        )
        announce(job)
        publish_change(f"experiment:{experiment.pk}", "run", {"code": run.code, "state": run.state})
        transaction.on_commit(hurry)
    return job


def check_launcher(launcher: str, max_nodes: int, max_devices: int, keep: str) -> None:
    if launcher not in Launcher.values:
        raise JobRefused("launcher", f"launcher={launcher!r:.40}; expected {' or '.join(Launcher.values)}")
    if keep not in Keep.values:
        raise JobRefused("keep", f"keep={keep!r:.40}; expected {' or '.join(Keep.values)}")
    if not 1 <= max_nodes <= max_devices:
        raise JobRefused(
            "max_nodes",
            f"max_nodes={max_nodes}; expected 1 to max_devices={max_devices}: each node has a device at least",
        )
    if max_nodes > 1 and launcher != Launcher.TORCHRUN:
        raise JobRefused(
            "max_nodes",
            "a command that runs once cannot span nodes; set launcher to torchrun, or max_nodes to 1",
        )


def check_argv(argv: list[str]) -> None:
    if not isinstance(argv, list) or not argv or not all(isinstance(item, str) for item in argv):
        raise JobRefused(
            "argv", 'expected a list of arguments, such as ["python", "train.py", "--lr", "0.1"]'
        )
    if len(argv) > MAX_ARGUMENTS or max(map(len, argv)) > MAX_TEXT:
        raise JobRefused(
            "argv", f"expected at most {MAX_ARGUMENTS} arguments of at most {MAX_TEXT} characters"
        )
    if not argv[0].strip():
        raise JobRefused("argv", "the first argument is empty; it is the program to run")
    if any("\0" in item for item in argv):
        raise JobRefused("argv", "an argument holds a NUL character, which no program can be given")


def check_env(env: dict[str, str]) -> None:
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", name):
            raise JobRefused(
                "env", f"{name!r:.80} is no name of an environment variable; use letters, digits, _"
            )
        if RESERVED.match(name):
            raise JobRefused("env", f"{name} is set by ScaleWeb itself; leave it out")
        if not isinstance(value, str) or "\0" in value or len(value) > MAX_TEXT:
            raise JobRefused("env", f"the value of {name} must be text of at most {MAX_TEXT} characters")


def script_of(argv: list[str]) -> str:
    """What to call a run that got no name: the script's or module's own."""
    for place, item in enumerate(argv):
        if item == "-m" and place + 1 < len(argv):
            return argv[place + 1].rpartition(".")[2][:100]
        if item.endswith(".py"):
            return PurePath(item).stem[:100]
    return PurePath(argv[0]).name[:100]


def stop(job: Job, asked_by: str) -> None:
    """End a job: at once while it waits, else by a command and then by a signal. Raises IllegalMove."""
    with transaction.atomic():
        job = Job.objects.select_for_update().select_related("run").get(pk=job.pk)
        if job.state == JobState.QUEUED:
            job.state, job.ended_at, job.waiting_reason = JobState.STOPPED, timezone.now(), ""
            job.save(update_fields=["state", "ended_at", "waiting_reason"])
            if job.run.state not in ENDED:
                move(job.run, RunState.STOPPED, "stopped before it started", actor=asked_by)
            announce(job)
            return
        if job.state != JobState.ACTIVE:
            raise IllegalMove(f"job {job.code} is {job.state} already")
        attempt = job.attempts.filter(ended_at=None).first()
        if attempt is not None and attempt.state != Attempt.State.STOPPING:
            attempt.state = Attempt.State.STOPPING
            attempt.save(update_fields=["state"])
        # Refused where it has no process yet, or one that does not listen: its node's worker sends the signal.
        with contextlib.suppress(commands.CommandRefused):
            commands.issue(job.run, "stop", asked_by=asked_by, reason="stop of its job")
        job.run.refresh_from_db()
        if job.run.state in {RunState.STARTING, RunState.RUNNING, RunState.PAUSED}:
            move(job.run, RunState.STOPPING, "asked to stop", actor=asked_by)
        announce(job)


def requeue(job: Job, asked_by: str, checkpoint: Checkpoint | None = None) -> None:
    """Queue a job again that is over; it goes on from its newest checkpoint, or from this older one of its run's.

    Raises IllegalMove, also for a checkpoint that is gone.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update().select_related("run").get(pk=job.pk)
        if job.state in {JobState.QUEUED, JobState.ACTIVE}:
            raise IllegalMove(f"job {job.code} is {job.state}; it can be queued again once it is over")
        if job.run.state not in ENDED:
            # Its last process lives on, unknown to the job (a script run again by hand).
            raise IllegalMove(
                f"run {job.run.code} is {job.run.state}; it can be queued again once it is over"
            )
        begin = beginning(job, checkpoint)
        job.state, job.ended_at, job.retries_used, job.start_from = JobState.QUEUED, None, 0, begin
        job.save(update_fields=["state", "ended_at", "retries_used", "start_from"])
        why = "queued again" if checkpoint is None else f"queued again from step {checkpoint.step}"
        move(job.run, RunState.QUEUED, why, actor=asked_by)
        announce(job)
        transaction.on_commit(hurry)


def beginning(job: Job, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Job.start_from of a job that is queued again."""
    if checkpoint is None:
        # What somebody chose the last time is over; what a fork begins from stands until it has one of its own.
        return {} if job.start_from.get("run") == job.run.code else job.start_from
    checkpoint.refresh_from_db()
    if not checkpoint.available:
        raise IllegalMove(
            f"the checkpoint of step {checkpoint.step} is gone: its file was removed or found broken"
        )
    newest = job.run.checkpoints.order_by("-id").values_list("pk", flat=True).first()
    return {"checkpoint": checkpoint.pk, "run": job.run.code, "step": checkpoint.step, "after": newest}


def announce(job: Job) -> None:
    # Anybody with a login watches the queue: that it changed is theirs to know, whose job it was is not.
    publish_change("queue", "job", {"state": job.state})
    publish_change(f"run:{job.run.code}", "job", {"code": job.code, "state": job.state})


def hurry() -> None:
    """Place now instead of at the next tick. A broker that is away costs a tick, no more."""
    try:
        current_app.send_task("training.place", expires=10, retry=False, ignore_result=True)
    except (OperationalError, DatabaseError, OSError):
        return


def tell(attempt: int, node: str) -> None:
    """Tell the node's worker to start an attempt at once; it would find it by itself within a second."""
    try:
        current_app.send_task("training.start", [attempt], queue=f"node.{node}", expires=30, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("the broker is away, attempt %s starts at its worker's next look: %s", attempt, error)
