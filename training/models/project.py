"""Projects, who may touch them, and the experiments in them."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models


class Role(models.TextChoices):
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


ROLE_RANK = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMIN: 3}


class Project(models.Model):
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="projects")

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug

    def role_of(self, user) -> str | None:
        """The user's role here, or None. A superuser is an admin of every project."""
        if user.is_superuser:
            return Role.ADMIN
        return Membership.objects.filter(project=self, user=user).values_list("role", flat=True).first()

    def allows(self, user, role: str) -> bool:
        """Whether the user's role here is at least `role`."""
        has = self.role_of(user)
        return has is not None and ROLE_RANK[Role(has)] >= ROLE_RANK[Role(role)]


class Membership(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_role_per_member")]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"


class Experiment(models.Model):
    """A question, with the goal its runs are judged by."""

    class Direction(models.TextChoices):
        MIN = "min"
        MAX = "max"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="experiments")
    slug = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    notes = models.TextField(blank=True, max_length=100_000)
    goal_metric = models.CharField(max_length=300, blank=True)
    goal_direction = models.CharField(max_length=3, choices=Direction, default=Direction.MIN)
    goal_target = models.FloatField(null=True, blank=True)
    budget_device_hours = models.FloatField(null=True, blank=True)
    deadline = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    archived = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["project", "slug"], name="one_experiment_per_slug")]

    def __str__(self) -> str:
        return f"{self.project.slug}/{self.slug}"

    def clean(self) -> None:
        """Raises ValidationError for a goal that nothing could be measured against."""
        wrong = {}
        if self.goal_target is not None and not self.goal_metric:
            wrong["goal_target"] = "A target needs goal_metric: the key it is a figure of."
        if self.budget_device_hours is not None and self.budget_device_hours < 0:
            wrong["budget_device_hours"] = f"{self.budget_device_hours} hours; expected 0 or more."
        if wrong:
            raise ValidationError(wrong)
