"""Files that were sent to be run: one archive, known by its hash."""

from django.conf import settings
from django.db import models

from .project import Project


class WorkingCopy(models.Model):
    """The bytes are in `training.copies.files`, stored once however many projects have them."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="working_copies")
    sha256 = models.CharField(max_length=64, db_index=True)
    size_bytes = models.BigIntegerField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "working copies"
        constraints = [
            models.UniqueConstraint(fields=["project", "sha256"], name="one_working_copy_per_project")
        ]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} of {self.project}"
