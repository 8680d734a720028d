"""What the controller may do per experiment, and what it decided, expected and saw."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from training.models import Command, Experiment, Run


class Mode(models.TextChoices):
    OFF = "off"
    OBSERVE = "observe"  # decide and record, change nothing
    ADVISE = "advise"  # a person approves each change
    ACT = "act"


class Learning(models.TextChoices):
    USE = "use"  # the site's beliefs choose sizes and hold back; verdicts teach
    TEACH = "teach"  # verdicts teach, decisions do not follow beliefs
    OFF = "off"  # neither


class ControllerSettings(models.Model):
    experiment = models.OneToOneField(Experiment, on_delete=models.CASCADE, related_name="controller")
    mode = models.CharField(max_length=7, choices=Mode, default=Mode.OFF)
    learning = models.CharField(max_length=5, choices=Learning, default=Learning.USE)
    # {"policy name": {"enabled": bool, **parameters}}; a policy not named here runs on its defaults.
    policies = models.JSONField(default=dict, blank=True)
    # {"max_factor": 10, "cooldown_steps": 50, "max_changes": 50, "hands_off_seconds": 300}
    guards = models.JSONField(default=dict, blank=True)
    # {"policy name": "what went wrong"}: policies that failed in the last tick; the others went on.
    problems = models.JSONField(default=dict, blank=True)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        verbose_name_plural = "controller settings"

    def __str__(self) -> str:
        return f"{self.experiment}: {self.mode}"


class DecisionMode(models.TextChoices):
    """In which mode of the experiment, or of the policy, a decision was made."""

    OBSERVE = "observe"
    ADVISE = "advise"
    ACT = "act"
    SHADOW = "shadow"  # its policy only runs beside the others


class DecisionState(models.TextChoices):
    RECORDED = "recorded"  # observe mode: nothing was done
    PROPOSED = "proposed"  # advise mode: waits for a person
    BLOCKED = "blocked"  # a guard refused it; blocked_by says which and why
    REJECTED = "rejected"  # a person, or the run, refused it
    SENT = "sent"  # its command is on the way
    APPLIED = "applied"  # in force, not yet judged
    JUDGED = "judged"  # verdict is set and the change stays
    UNDONE = "undone"  # it was taken back, by verdict or by a person
    EXPIRED = "expired"  # the run ended before it could be applied or judged


class Verdict(models.TextChoices):
    BETTER = "better"
    SAME = "same"
    WORSE = "worse"
    UNCLEAR = "unclear"


class Decision(models.Model):
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="decisions")
    policy = models.CharField(max_length=100)
    state = models.CharField(max_length=8, choices=DecisionState, db_index=True)
    mode = models.CharField(max_length=7, choices=DecisionMode)
    # What is shown of it: a roll back that also lowers a rate has verb rollback and the rate's values.
    verb = models.CharField(max_length=12, default="set")
    tunable = models.CharField(max_length=200, blank=True)
    old_value = models.JSONField(null=True, blank=True)
    new_value = models.JSONField(null=True, blank=True)
    # Everything it asks for, in order: [{"verb", "tunable", "value", "old_value"}].
    changes = models.JSONField(default=list, blank=True)
    urgent = models.BooleanField(default=False)  # a rescue
    trial = models.BooleanField(default=False)  # taken back unless judged better
    # One sentence for a person, and the figures it rests on: {"window": [first, last step], name: figure}.
    reason = models.TextField()
    evidence = models.JSONField(default=dict)
    # {"metric", "effect", "low", "high", "unit"}: the expected change of the metric at the horizon.
    expected = models.JSONField(default=dict)
    # The forecast of not acting, fixed when deciding (verify.Forecast.as_json); {} where there was none.
    forecast = models.JSONField(default=dict)
    decided_step = models.BigIntegerField()
    judge_at_step = models.BigIntegerField()
    # Steps from coming into force to the verdict; judge_at_step moves with the step it came into force.
    judge_after_steps = models.BigIntegerField(default=0)
    applied_step = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    blocked_by = models.CharField(max_length=500, blank=True)
    command = models.OneToOneField(
        Command, null=True, blank=True, on_delete=models.SET_NULL, related_name="decision"
    )
    # Further commands of the same decision (a roll back and a new rate), in order: Command ids.
    more_commands = models.JSONField(default=list, blank=True)
    undo_command = models.ForeignKey(
        Command, null=True, blank=True, on_delete=models.SET_NULL, related_name="undoes"
    )
    verdict = models.CharField(max_length=7, choices=Verdict, blank=True)
    # {"metric", "measured", "forecast", "low", "high", "difference", "window"} and a sentence.
    measured = models.JSONField(default=dict, blank=True)
    judged_at = models.DateTimeField(null=True, blank=True)
    # Whether the forecast of not acting held, where nothing was done: in its 80 % and 90 % interval. None: not known.
    held80 = models.BooleanField(null=True, blank=True)
    held90 = models.BooleanField(null=True, blank=True)
    # Whether its verdict has been learned from: it counts once.
    taught = models.BooleanField(default=False)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["run", "-id"], name="decision_by_run"),
            models.Index(
                fields=["id"],
                condition=models.Q(taught=False) & ~models.Q(verdict=""),
                name="decision_to_learn_from",
            ),
        ]
        constraints = [
            # Two ticks that decide at once: the database lets one of them.
            models.UniqueConstraint(
                fields=["run", "tunable"],
                condition=models.Q(state__in=["proposed", "sent", "applied"]),
                name="one_open_decision",
            )
        ]

    def __str__(self) -> str:
        return f"{self.policy} on {self.run.code} at step {self.decided_step}: {self.state}"


class ChangeEffect(models.Model):
    """What came of a setting that a person changed (control.effects); one for the first command of a group."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="effects")
    command = models.OneToOneField(Command, on_delete=models.CASCADE, related_name="effect")
    metric = models.CharField(max_length=300, blank=True)
    # The forecast of not having changed anything (forecasts.Forecast.as_json); {} where there was none.
    forecast = models.JSONField(default=dict, blank=True)
    applied_step = models.BigIntegerField()
    judge_at_step = models.BigIntegerField()
    verdict = models.CharField(max_length=7, choices=Verdict, blank=True)
    measured = models.JSONField(default=dict, blank=True)  # verify.Judgement.as_json
    created_at = models.DateTimeField(default=timezone.now)
    judged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["run"], condition=models.Q(verdict=""), name="effect_to_judge"),
        ]

    def __str__(self) -> str:
        return f"{self.command}: {self.verdict or 'not judged yet'}"


class BeliefTally(models.Model):
    """Verdicts on one action of a policy in one context, counted over the whole site (control.learning)."""

    policy = models.CharField(max_length=100)
    action = models.CharField(max_length=200)
    context = models.CharField(max_length=100)
    # Sums of weights: 1 for a new verdict, less for an old one.
    better = models.FloatField(default=0.0)
    same = models.FloatField(default=0.0)
    worse = models.FloatField(default=0.0)
    # Within what chance gives: says only that it is hard to see.
    unclear = models.FloatField(default=0.0)
    # Gains (logarithms of ratios, positive where it helped): their number, mean and sum of squared deviations.
    gains = models.FloatField(default=0.0)
    mean = models.FloatField(default=0.0)
    squares = models.FloatField(default=0.0)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["policy", "action", "context"]
        verbose_name_plural = "belief tallies"
        constraints = [
            models.UniqueConstraint(fields=["policy", "action", "context"], name="one_tally_per_belief")
        ]

    def __str__(self) -> str:
        return f"{self.policy}: {self.action} ({self.context})"


class TickLease(models.Model):
    """Who runs the tick now: one row, taken by an update that names the state it expects."""

    name = models.CharField(max_length=20, primary_key=True)
    holder = models.CharField(max_length=32, blank=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} until {self.until}"
