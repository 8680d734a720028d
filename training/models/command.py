"""One change sent to a run, and its fate."""

from django.conf import settings
from django.db import models

from .run import Run


class CommandState(models.TextChoices):
    PENDING = "pending"  # stored, not yet handed to the process
    SENT = "sent"  # handed to the process
    APPLIED = "applied"  # the process applied it at `applied_step`
    REJECTED = "rejected"  # the process or a rule refused it, `message` says why
    EXPIRED = "expired"  # the run ended, or `expires_at` passed, before it was applied
    SUPERSEDED = "superseded"  # a newer command for the same tunable took its place before it was sent


class Verb(models.TextChoices):
    SET = "set"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    CHECKPOINT = "checkpoint"
    ROLLBACK = "rollback"
    ADOPT = "adopt"  # go on from the checkpoint of another run of the same experiment
    ACTION = "action"
    # Refused in words until its part is built: the wire and the table already carry it.
    RESCALE = "rescale"
    # Taken by runs that offer them: training/offers.py.
    PRUNE = "prune"
    QUANTISE = "quantise"
    COMPILE = "compile"


class Command(models.Model):
    """Written by `training.commands` alone."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="commands")
    seq = models.BigIntegerField()  # 1, 2, 3… within the run; applied in this order, each once
    verb = models.CharField(max_length=12, choices=Verb)
    # set: tunable name and value. rollback: value {"checkpoint": id, "step", "path"}. action: name in tunable.
    # stop: value {"why"} or none. adopt: value {"run", "checkpoint", "step", "path", "sha256", "host"}.
    tunable = models.CharField(max_length=200, blank=True)
    value = models.JSONField(null=True, blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    # "ada", "controller:divergence", "token:ci": what the screens show as who asked.
    asked_by = models.CharField(max_length=200)
    by_person = models.BooleanField(default=True)
    reason = models.TextField(blank=True, max_length=10_000)
    origin = models.CharField(max_length=100, blank=True)  # "decision:12" for the layer above, opaque here
    state = models.CharField(max_length=10, choices=CommandState, default=CommandState.PENDING)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    applied_step = models.BigIntegerField(null=True, blank=True)
    old_value = models.JSONField(null=True, blank=True)
    new_value = models.JSONField(null=True, blank=True)
    message = models.TextField(blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    acks = models.JSONField(default=dict, blank=True)  # {"rank": {"step", "ok", "message"}}

    class Meta:
        ordering = ["run", "seq"]
        constraints = [models.UniqueConstraint(fields=["run", "seq"], name="one_command_per_seq")]
        indexes = [models.Index(fields=["state", "run"], name="command_by_state")]

    def __str__(self) -> str:
        return f"{self.run.code} #{self.seq} {self.verb} {self.tunable}"
