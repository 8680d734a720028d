"""How many devices are a project's own."""

from django.db import models

from monitoring.models import Device

from .project import Project


class Quota(models.Model):
    """Devices of one kind that a project is given back when it asks; others may borrow them while they are idle.

    Without a row a project has none of its own, and lives on what is idle, as everybody does on a site without quotas.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="quotas")
    kind = models.CharField(max_length=3, choices=Device.Kind)
    devices = models.PositiveIntegerField(default=0)
    # How many more it may have while they are idle; None: as many as there are.
    borrow = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["project", "kind"]
        constraints = [models.UniqueConstraint(fields=["project", "kind"], name="one_quota_per_kind")]

    def __str__(self) -> str:
        return f"{self.devices} {self.kind} of {self.project.slug}"
