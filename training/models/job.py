"""Requests to execute a run, their executions, and the devices those hold."""

from django.conf import settings
from django.db import models

from monitoring.models import Device, Node
from training.codes import new_code

from .project import Experiment
from .run import Run
from .working_copy import WorkingCopy


class JobState(models.TextChoices):
    QUEUED = "queued"
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class Launcher(models.TextChoices):
    ONCE = "once"  # the command runs once and is given all devices
    TORCHRUN = "torchrun"  # once for each device, as the ranks of one training


class Keep(models.TextChoices):
    """What stays as it is when the number of ranks changes."""

    BATCH = "batch"  # samples of one optimiser step: the micro-batch or accumulation changes
    RATE_RULE = (
        "rate-rule"  # what each rank does: the batch changes, and the learning rate by the optimiser's rule
    )


class Preemptible(models.TextChoices):
    """Whether a running job may be asked to leave for another."""

    SAVED = "saved"  # when its process can save a checkpoint to go on from
    ALWAYS = "always"  # it may be started anew as well
    NEVER = "never"


class JobGroup(models.Model):
    """Jobs that were asked for as one: the points of a grid, or an array of equal ones."""

    class Kind(models.TextChoices):
        GRID = "grid"
        ARRAY = "array"

    code = models.CharField(max_length=16, unique=True, default=new_code, editable=False)
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="job_groups")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=5, choices=Kind)
    # {"lr": ["1e-4", "1e-3"], …} of a grid, {"index": "0-99"} of an array.
    axes = models.JSONField(default=dict)
    count = models.PositiveIntegerField()
    # How many of them may run at one time; None: as many as there is room for.
    at_once = models.PositiveIntegerField(null=True, blank=True)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    submitted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"

    @property
    def label(self) -> str:
        """What the list of runs calls it: its name, which others may have too, and its code."""
        return f"{self.name} · {self.code}"


class Job(models.Model):
    code = models.CharField(max_length=16, unique=True, default=new_code, editable=False)
    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="job")
    argv = models.JSONField()  # list of str, never a shell string
    env = models.JSONField(default=dict, blank=True)
    cwd = models.CharField(max_length=1000, blank=True)
    # What its folder is filled with: files that were sent, or {"url", "revision"} to be fetched. Of files from a
    # repository `git` tells {"url", "revision", "branch", "dirty"}.
    working_copy = models.ForeignKey(
        WorkingCopy, null=True, blank=True, on_delete=models.PROTECT, related_name="jobs"
    )
    git = models.JSONField(default=dict, blank=True)
    device_kind = models.CharField(max_length=3, choices=Device.Kind, default="cpu")
    # Of the nodes it may run on: a part of the devices' name (h100), their least memory, labels, and main memory, which
    # it reserves on each of them.
    device_name = models.CharField(max_length=100, blank=True)
    device_memory_bytes = models.BigIntegerField(null=True, blank=True)
    memory_bytes = models.BigIntegerField(null=True, blank=True)
    node_labels = models.JSONField(default=dict, blank=True)
    min_devices = models.PositiveIntegerField(default=1)
    max_devices = models.PositiveIntegerField(default=1)
    launcher = models.CharField(max_length=8, choices=Launcher, default=Launcher.ONCE)
    max_nodes = models.PositiveIntegerField(default=1)
    keep = models.CharField(max_length=9, choices=Keep, default=Keep.BATCH)
    # Asked for by rescale; None: as many as there are, between min and max.
    wanted_devices = models.PositiveIntegerField(null=True, blank=True)
    # {"checkpoint": id, "run": code, "step"} that it goes on from: a fork's until it has one of its own, and with
    # {"after": id} one of its own that a person chose, until it has one newer than that id.
    start_from = models.JSONField(default=dict, blank=True)
    priority = models.IntegerField(default=0)
    # Where somebody has moved it in the queue; None: at its id, as it was submitted.
    position = models.FloatField(null=True, blank=True)
    preemptible = models.CharField(max_length=6, choices=Preemptible, default=Preemptible.SAVED)

    # Waiting or running, it is ended then.
    deadline = models.DateTimeField(null=True, blank=True)
    group = models.ForeignKey(JobGroup, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs")
    group_index = models.PositiveIntegerField(null=True, blank=True)
    # Waits for other jobs, or for its group to have room: written by `jobs.holding`, and not placed meanwhile.
    held = models.BooleanField(default=False)
    max_retries = models.PositiveIntegerField(default=0)
    retries_used = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=8, choices=JobState, default=JobState.QUEUED, db_index=True)
    waiting_reason = models.CharField(max_length=500, blank=True)
    # Of a waiting job: {"starts_at": ISO or None, "by": what it is known by, "words"}, written by `jobs.outlook`.
    outlook = models.JSONField(default=dict, blank=True)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    submitted_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-priority", "id"]

    def __str__(self) -> str:
        return f"{self.code} {' '.join(self.argv)[:80]}"


class JobDependency(models.Model):
    """A job waits until another one, or each of a group, is over."""

    class When(models.TextChoices):
        OK = "ok"  # each has ended well, or this one is cancelled
        ANY = "any"  # however they ended
        FAILED = "failed"  # one has failed, or this one is cancelled

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="dependencies")
    on = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="dependents")
    on_group = models.ForeignKey(
        JobGroup, null=True, blank=True, on_delete=models.SET_NULL, related_name="dependents"
    )
    on_code = models.CharField(max_length=16)  # still tells which it was, once that is deleted
    when = models.CharField(max_length=6, choices=When, default=When.OK)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "job dependencies"

    def __str__(self) -> str:
        return f"{self.job.code} after {self.on_code}:{self.when}"


class Attempt(models.Model):
    """One execution of a job. Live while `ended_at` is null and its lease has not run out."""

    class State(models.TextChoices):
        ASSIGNED = "assigned"  # devices leased, the node's worker told
        RUNNING = "running"  # the process exists
        STOPPING = "stopping"
        ENDED = "ended"

    class Outcome(models.TextChoices):
        FINISHED = "finished"
        FAILED = "failed"
        STOPPED = "stopped"
        LOST = "lost"
        RESCALED = "rescaled"  # left at a checkpoint, for other devices
        PREEMPTED = "preempted"  # left for another job, and waits to go on

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    # Fencing number: 1, 2, 3… within the job. Whoever speaks for an older one is refused.
    number = models.PositiveIntegerField()
    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="attempts")
    devices = models.ManyToManyField(Device, related_name="attempts", blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.ASSIGNED, db_index=True)
    lease_expires_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    pid = models.IntegerField(null=True, blank=True)
    # Where the ranks of several nodes meet; told by the first node's worker, empty on one node.
    master_address = models.CharField(max_length=255, blank=True)
    master_port = models.PositiveIntegerField(null=True, blank=True)
    # What its GPUs are to be limited to, asked by the layer above; 0 asks only what they allow, None nothing.
    power_wanted_watts = models.FloatField(null=True, blank=True)
    # What the node's worker made of it: {"wanted", "low", "high", "default"}, or {"wanted", "problem": sentence}.
    power = models.JSONField(default=dict, blank=True)
    # Asked to leave at a checkpoint, for whom (None: its node is drained) and why (jobs.yielding).
    preempt_asked_at = models.DateTimeField(null=True, blank=True)
    preempted_for = models.ForeignKey(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="preempted"
    )
    preempt_reason = models.CharField(max_length=500, blank=True)
    # The devices (ids) that it goes on with, where it was asked to leave only the others; empty: all of them go.
    keeps = models.JSONField(default=list, blank=True)
    # Its first node's part has left for other devices and ended: the others follow, and then it is over.
    left_at = models.DateTimeField(null=True, blank=True)
    # When it will have ended by what is known of it, and by what that is known (jobs.outlook).
    expected_end_at = models.DateTimeField(null=True, blank=True)
    expected_by = models.CharField(max_length=10, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    signal = models.CharField(max_length=20, blank=True)
    first_error_line = models.CharField(max_length=2000, blank=True)
    resumed_from = models.ForeignKey("Checkpoint", null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["job", "number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="one_attempt_per_number")]

    def __str__(self) -> str:
        return f"{self.job.code} attempt {self.number}"

    @property
    def on_its_way_out(self) -> bool:
        """Whether its parts end because they were asked to."""
        return (
            self.state == Attempt.State.STOPPING
            or self.preempt_asked_at is not None
            or self.left_at is not None
        )


class DeviceLease(models.Model):
    """A device held by an attempt. The one-to-one makes a second holder impossible, whoever races."""

    device = models.OneToOneField(Device, on_delete=models.CASCADE, related_name="lease")
    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="leases")

    def __str__(self) -> str:
        return f"{self.device} held by {self.attempt}"


class Member(models.Model):
    """A further node of an attempt. The attempt's own node is the first, with node rank 0."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="members")
    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="memberships")
    node_rank = models.PositiveIntegerField()  # 1, 2, 3…
    state = models.CharField(max_length=8, choices=Attempt.State, default=Attempt.State.ASSIGNED)
    lease_expires_at = models.DateTimeField(db_index=True)
    exit_code = models.IntegerField(null=True, blank=True)

    class Meta:
        ordering = ["attempt", "node_rank"]
        constraints = [models.UniqueConstraint(fields=["attempt", "node"], name="one_membership_per_node")]

    def __str__(self) -> str:
        return f"{self.attempt} on {self.node.name}"
