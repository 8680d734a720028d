"""Tables of the series store. Under SQLite they live in a file of their own (see `router`)."""

from django.db import models
from django.db.models.functions import Length
from django.db.models.lookups import LessThan

# A row of log lines is small below both; neighbours that are small become one.
CHUNK_LINES = 1000
CHUNK_BYTES = 131_072

__all__ = [
    "LogChunk",
    "SeriesAxis",
    "SeriesBatch",
    "SeriesChunk",
    "SeriesKey",
    "SeriesRollup",
    "SeriesSession",
]


class SeriesSession(models.Model):
    """The last batch accepted from one sending process: what makes a batch sent twice stored once."""

    source = models.CharField(max_length=200)
    session = models.CharField(max_length=64)
    last_seq = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "session"], name="one_session_per_source")]


class SeriesBatch(models.Model):
    """A batch as it came, until compaction turns it into chunks."""

    source = models.CharField(max_length=200)
    session = models.CharField(max_length=64)
    seq = models.BigIntegerField()
    branch = models.IntegerField(default=0)
    points = models.IntegerField()
    received_at = models.FloatField()  # seconds since the epoch
    body = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["source", "id"], name="batch_by_source")]


class SeriesKey(models.Model):
    """One key of one source, with figures over all its points."""

    source = models.CharField(max_length=200)
    key = models.CharField(max_length=300)
    figures = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="one_key_per_source")]


class SeriesAxis(models.Model):
    """Steps and times that chunks of several keys share; the chunks name it in their bytes (see `chunks`).

    users: how many chunks do; the transaction that takes the last one away removes the axis.
    """

    source = models.CharField(max_length=200, db_index=True)
    users = models.IntegerField()
    body = models.BinaryField()


class SeriesChunk(models.Model):
    """Compressed columns of one key over a range of steps.

    Its bytes come last: to read what lies behind them, SQLite walks through all their pages.
    """

    series = models.ForeignKey(SeriesKey, on_delete=models.CASCADE, related_name="chunks")
    branch = models.IntegerField(default=0)
    first_step = models.BigIntegerField()
    last_step = models.BigIntegerField()
    first_time = models.FloatField()
    last_time = models.FloatField()
    points = models.IntegerField()
    columns = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["series", "branch", "first_step"], name="chunk_by_step"),
            # Points are counted here: the rows themselves lie among megabytes of columns.
            models.Index(fields=["points"], name="chunk_points"),
        ]


class SeriesRollup(models.Model):
    """The roll-ups of the chunk with this id: apart, because a chart reads them and not the points."""

    id = models.BigAutoField(primary_key=True)
    body = models.BinaryField()


class LogChunk(models.Model):
    """A block of log lines of one source, in order."""

    source = models.CharField(max_length=200)
    first_line = models.BigIntegerField()
    lines = models.IntegerField()
    at = models.FloatField()
    body = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "first_line"], name="one_chunk_per_line")]
        indexes = [
            models.Index(
                fields=["source", "at"],
                condition=models.Q(lines__lt=CHUNK_LINES) & models.Q(LessThan(Length("body"), CHUNK_BYTES)),
                name="small_logs",
            )
        ]
