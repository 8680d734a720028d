"""The processes of a run that has several: which ranks there are, and where each one is."""

from django.db import models

from .run import Run


class Rank(models.Model):
    """As its process told it when it connected last. Written by `training.link.admission` alone."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="ranks")
    rank = models.PositiveIntegerField()
    world_size = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField(default=0)  # fencing number, 0 outside a job
    # {"hostname", "pid", "device", "local_rank", …}
    process = models.JSONField(default=dict)
    connected_at = models.DateTimeField()

    class Meta:
        ordering = ["run", "rank"]
        constraints = [models.UniqueConstraint(fields=["run", "rank"], name="one_row_per_rank")]

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.world_size} of {self.run.code}"
