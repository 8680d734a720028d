"""What a run logged beside figures: images, audio, tables, histograms, text, files."""

from django.db import models

from .run import Run


class MediaKind(models.TextChoices):
    IMAGE = "image"
    AUDIO = "audio"
    TABLE = "table"
    HISTOGRAM = "histogram"
    TEXT = "text"
    FILE = "file"


class Media(models.Model):
    """One item at one step. Its bytes lie on disk by their hash (`training.media.files`); a histogram is all `data`.

    Written by `training.media.items` alone.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="media")
    # The sender's own name for it: what is sent twice is stored once.
    uid = models.CharField(max_length=64)
    key = models.CharField(max_length=300)
    kind = models.CharField(max_length=9, choices=MediaKind)
    step = models.BigIntegerField()
    branch = models.IntegerField(default=0)
    place = models.PositiveIntegerField(default=0)  # among those logged together under the key
    at = models.FloatField()  # seconds since the epoch, the sender's clock
    caption = models.CharField(max_length=500, blank=True)
    name = models.CharField(max_length=200, blank=True)  # of a file, as it was called where it came from
    sha256 = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    content_type = models.CharField(max_length=100, blank=True)
    # image: width, height. table: rows, columns, rows_given. audio: rate. histogram: edges, counts.
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "media"
        constraints = [models.UniqueConstraint(fields=["run", "uid"], name="one_media_per_uid")]
        indexes = [models.Index(fields=["run", "key", "step"], name="media_by_key")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key} at step {self.step}"
