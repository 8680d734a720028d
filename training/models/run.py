"""One training: what it was given, where it stands, what it declared, what it saved, what befell it."""

from django.conf import settings
from django.db import models

from training.codes import new_code
from training.states import RunState

from .project import Experiment


class Run(models.Model):
    STATES = [(state.value, state.value) for state in RunState]

    code = models.CharField(max_length=16, unique=True, default=new_code, editable=False)
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="runs")
    name = models.CharField(max_length=200)
    # Written by `training.states.move` alone.
    state = models.CharField(max_length=10, choices=STATES, default=RunState.QUEUED, db_index=True)
    config = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=list, blank=True)
    notes = models.TextField(blank=True, max_length=100_000)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # Last sign of life over the link; "silent" is derived from it (settings.SILENT_SECONDS), never stored.
    last_seen_at = models.DateTimeField(null=True, blank=True)
    last_step = models.BigIntegerField(null=True, blank=True)
    # Lineage: the run this one was forked or resumed from, and the step it took over at.
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children"
    )
    parent_step = models.BigIntegerField(null=True, blank=True)
    # One entry per branch: {"index", "from_step", "reason": "start"|"resume"|"rollback", "at"}. Points of
    # an older branch past a newer branch's from_step are faded on charts; none is erased.
    branches = models.JSONField(default=list, blank=True)
    # {"key": last value} of every key that was logged, refreshed as batches arrive.
    summary = models.JSONField(default=dict, blank=True)
    # {"key": value}: the least and the greatest finite value of each of these keys, branches left behind included.
    lows = models.JSONField(default=dict, blank=True)
    highs = models.JSONField(default=dict, blank=True)
    # What its attempts used so far (training.ledger): device time, joules, money; {} before the first count.
    usage = models.JSONField(default=dict, blank=True)
    # What the process told of itself: hostname, pid, argv, python, git revision, world_size, sdk version.
    process = models.JSONField(default=dict, blank=True)
    # Buttons the script declared: [{"name", "description"}].
    actions = models.JSONField(default=list, blank=True)
    # Verbs that its process takes beside those that each does: [{"verb", "description", "parameters": [TunableSpec]}].
    offers = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["experiment", "-id"], name="run_by_experiment")]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"

    @property
    def source(self) -> str:
        """The name of this run's series in the store."""
        return f"run:{self.code}"


class Tunable(models.Model):
    """A setting that a run declared can change while it runs."""

    class Kind(models.TextChoices):
        FLOAT = "float"
        INT = "int"
        BOOL = "bool"
        CHOICE = "choice"

    class Scale(models.TextChoices):
        LINEAR = "linear"
        LOG = "log"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tunables")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=6, choices=Kind)
    value = models.JSONField()
    initial = models.JSONField()
    low = models.FloatField(null=True, blank=True)
    high = models.FloatField(null=True, blank=True)
    scale = models.CharField(max_length=6, choices=Scale, default=Scale.LINEAR)
    choices = models.JSONField(default=list, blank=True)
    # learning_rate, batch_size, weight_decay, gradient_clip, accumulation, loader_workers, prefetch, precision,
    # trust_ratio or "" (user's own).
    role = models.CharField(max_length=40, blank=True)
    description = models.CharField(max_length=500, blank=True)
    # What the process tells of it for whoever sets it: the optimiser's family, the batch that ran out of memory.
    about = models.JSONField(default=dict, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_step = models.BigIntegerField(null=True, blank=True)
    changed_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="one_tunable_per_name")]

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class Checkpoint(models.Model):
    """A restorable state of a run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="checkpoints")
    step = models.BigIntegerField()
    branch = models.IntegerField(default=0)
    path = models.CharField(max_length=1000)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    metrics = models.JSONField(default=dict, blank=True)
    # {tunable: {"value", "since": the step from which it was in force}}; empty where the process did not say.
    settings = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    pinned = models.BooleanField(default=False)
    # False once the process reported the file deleted by its keep rule or found it broken.
    available = models.BooleanField(default=True)
    # Which of its process's rules hold it, as it said when it last saved: "newest", "loss", "metric".
    kept_by = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-step", "-id"]
        constraints = [models.UniqueConstraint(fields=["run", "path"], name="one_checkpoint_per_path")]

    def __str__(self) -> str:
        return f"step {self.step} of {self.run.code}"


class RunEvent(models.Model):
    """What befell a run, in order: state changes, reflexes, errors, silence, resumptions."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    step = models.BigIntegerField(null=True, blank=True)
    kind = models.CharField(max_length=40)  # state, reflex, error, branch, attempt, note
    old = models.CharField(max_length=200, blank=True)
    new = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    actor = models.CharField(max_length=200, default="system")
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["run", "id"], name="event_by_run"),
            # Who took over weights of a run (`new` is that run's code): few of very many lines.
            models.Index(fields=["new"], condition=models.Q(kind="lineage"), name="lineage_by_source"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.old} -> {self.new}"
