"""Rules over series and states, what they found, and whom that was told to."""

from django.conf import settings
from django.db import models

from monitoring.models import Node
from training.models import Experiment, Project, Run


class Severity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Channel(models.Model):
    """A way out of the site. Without a project it is the whole site's, and its administrators'."""

    class Kind(models.TextChoices):
        MAIL = "mail"
        WEBHOOK = "webhook"

    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.CASCADE, related_name="channels"
    )
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=7, choices=Kind)
    target = models.CharField(max_length=1000)  # an address of mail, or of the web
    # Signs what a webhook is sent (sending.webhook); shown once, when it is made.
    secret = models.CharField(max_length=100, blank=True, editable=False)
    tell_resolved = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class Rule(models.Model):
    """What to watch. Without a project it looks at the whole site; with an experiment, at its runs alone."""

    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.CASCADE, related_name="alert_rules"
    )
    experiment = models.ForeignKey(
        Experiment, null=True, blank=True, on_delete=models.CASCADE, related_name="alert_rules"
    )
    name = models.CharField(max_length=200)
    condition = models.CharField(max_length=40)  # a name of alerts.conditions
    parameters = models.JSONField(default=dict, blank=True)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    # How long the condition must hold without a break before anybody is told.
    hold_seconds = models.FloatField(default=0)
    # One that comes back within this time is the same alert again, and nobody is told twice.
    quiet_seconds = models.FloatField(default=300)
    enabled = models.BooleanField(default=True)
    muted_until = models.DateTimeField(null=True, blank=True)
    channels = models.ManyToManyField(Channel, blank=True, related_name="rules")
    # Up to when it has been looked for; the next look begins here.
    looked_until = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=500, blank=True)  # why the last look failed, for its owner
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    # One that was removed looks at nothing and is in no list; its row keeps what its alerts say (alerts.rules).
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """One rule held for one subject. Firing while `resolved_at` is null."""

    class EndReason(models.TextChoices):
        """What ended it where its condition did not."""

        CHANGED = "rule changed"
        OFF = "rule switched off"
        REMOVED = "rule removed"

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="alerts")
    # "run:<code>", "node:<name>", "job:<code>" and, for a key of several, "/<key>" behind it.
    subject = models.CharField(max_length=500)
    label = models.CharField(max_length=300)  # how a person calls the subject
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="alerts")
    node = models.ForeignKey(Node, null=True, on_delete=models.CASCADE, related_name="alerts")
    message = models.CharField(max_length=1000)
    value = models.FloatField(null=True)
    step = models.BigIntegerField(null=True)
    started_at = models.DateTimeField()  # when the condition began to hold
    fired_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    # With a default of the database: a worker of before goes on to insert while a site is brought up to date.
    end_reason = models.CharField(max_length=20, choices=EndReason, blank=True, default="", db_default="")
    times = models.PositiveIntegerField(default=1)  # how often it came back within `quiet_seconds`
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            # Two ticks at once: the database lets one of them fire it.
            models.UniqueConstraint(
                fields=["rule", "subject"], condition=models.Q(resolved_at=None), name="one_firing_alert"
            )
        ]
        indexes = [
            models.Index(fields=["rule", "subject", "-id"], name="alert_by_subject"),
            models.Index(fields=["run", "-id"], name="alert_by_run"),
            models.Index(fields=["-id"], condition=models.Q(resolved_at=None), name="alert_firing"),
        ]

    def __str__(self) -> str:
        return f"{self.rule}: {self.label}"


class Delivery(models.Model):
    """One message on its way over a channel, until it arrived or was given up."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=8)  # firing, resolved, test
    body = models.JSONField()  # what a webhook gets, see sending.message
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    tries = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(state="waiting"), name="delivery_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.event} over {self.channel}: {self.state}"
