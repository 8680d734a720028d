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


OPEN = (CommandState.PENDING, CommandState.SENT)
# In one of these states a command had no effect and shows no intent that still stands.
VOID = (CommandState.REJECTED, CommandState.EXPIRED, CommandState.SUPERSEDED)


class Verb(models.TextChoices):
    SET = "set"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    CHECKPOINT = "checkpoint"
    ROLLBACK = "rollback"
    ADOPT = "adopt"  # go on from the checkpoint of another run of the same experiment
    PIN = "pin"  # keep a checkpoint whatever the keep rule says, or leave it to the rule
    ACTION = "action"
    # Taken by runs that offer them: training/offers.py.
    RESCALE = "rescale"  # leave at a checkpoint, and go on with other devices
    PRUNE = "prune"
    QUANTISE = "quantise"
    COMPILE = "compile"
    CANCEL = "cancel"  # let go of commands that wait for a step: those in `drops`


class Schedule(models.Model):
    """Changes of one setting at steps to come, asked for together: commands with an `at_step`, made by schedules.py."""

    class Shape(models.TextChoices):
        ONCE = "once"  # at one step
        REPEAT = "repeat"  # every so many steps, times a factor
        COSINE = "cosine"  # along half a cosine from one step to another

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="schedules")
    tunable = models.CharField(max_length=200)
    shape = models.CharField(max_length=6, choices=Shape)
    # What was asked for, as the API says it: {"at_step", "factor" or "value", "every", "until_step", "until_value"}.
    asked = models.JSONField(default=dict)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    asked_by = models.CharField(max_length=200)
    reason = models.TextField(blank=True, max_length=10_000)
    created_at = models.DateTimeField(auto_now_add=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.run.code} {self.tunable}: {self.shape}"


class Command(models.Model):
    """Written by `training.commands` alone."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="commands")
    seq = models.BigIntegerField()  # 1, 2, 3… within the run; applied in this order, each once
    verb = models.CharField(max_length=12, choices=Verb)
    # set: tunable name and value. rollback: value {"checkpoint": id, "step", "path"}. action: name in tunable.
    # stop: value {"why"} or none. adopt: value {"run", "checkpoint", "step", "path", "sha256", "host"}.
    # rescale: value {"devices", "elsewhere"}.
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
    # Settings that are changed at one boundary, all or none, share a group.
    group = models.CharField(max_length=32, blank=True)
    at_step = models.BigIntegerField(null=True, blank=True)  # waits for the boundary of this step
    schedule = models.ForeignKey(
        Schedule, null=True, blank=True, on_delete=models.SET_NULL, related_name="commands"
    )
    # The value that whoever asked saw: the process refuses a setting that is another by then. None: whatever it is.
    expects = models.JSONField(null=True, blank=True)
    # Numbers of waiting commands that this one takes the place of.
    drops = models.JSONField(default=list, blank=True)
    # Who asks may name the request: asked again with the same name it is this one.
    key = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["run", "seq"]
        constraints = [
            models.UniqueConstraint(fields=["run", "seq"], name="one_command_per_seq"),
            models.UniqueConstraint(
                fields=["run", "key", "tunable"], condition=~models.Q(key=""), name="one_command_per_key"
            ),
        ]
        indexes = [models.Index(fields=["state", "run"], name="command_by_state")]

    def __str__(self) -> str:
        return f"{self.run.code} #{self.seq} {self.verb} {self.tunable}"
