"""A full disk under the series: nothing is stored half, and once a run is deleted all goes on where it stood."""

from contextlib import contextmanager

import numpy as np
import pytest
from django.conf import settings
from django.db import OperationalError, connections

from monitoring.storage import logs, series
from monitoring.storage.log_chunks import gather
from scaleweb_sdk.protocol import Batch, LogLine, PackedColumn

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
POINTS = 20_000


def batch(seq: int) -> Batch:
    """Points that no compression makes small."""
    steps = np.arange(POINTS) + seq * POINTS
    values = np.random.default_rng(seq).normal(size=POINTS)
    column = PackedColumn("loss", steps.astype("<i8").tobytes(), (steps * 0.5).tobytes(), values.tobytes())
    return Batch(seq, packed=[column])


@contextmanager
def no_room():
    """SQLite's own limit on its file: it then says that the disk is full."""
    connection = connections[settings.SERIES_DATABASE]
    if connection.vendor != "sqlite":
        pytest.skip("a full disk is made with SQLite's page limit")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
        yield
        cursor.execute("PRAGMA max_page_count = 1073741823")


def test_a_full_disk_costs_nothing_that_was_acknowledged_and_deletion_makes_room():
    for source in ("run:old", "run:new"):
        for seq in (1, 2):
            series.append(source, "a" * 32, [batch(seq)])
        series.compact(source=source)
    series.append("run:new", "a" * 32, [batch(3)])
    for seq in range(30):
        logs.append("run:new", "b" * 32, seq + 1, [LogLine(float(seq), "stdout", str(seq))])
    kept = [column.values.tolist() for column in series.raw("run:new")]
    with no_room():
        with pytest.raises(OperationalError, match="full"):
            series.append("run:new", "a" * 32, [batch(4)])
        series.compact(source="run:new")  # takes no room: what it replaces is gone first
        assert series.last_seq("run:new", "a" * 32) == 3
        assert series.check() == []
        assert [column.values.tolist() for column in series.raw("run:new")] == kept
        series.delete("run:old")
        assert series.append("run:new", "a" * 32, [batch(4)]) == 4
    series.compact(source="run:new")
    gather()
    assert series.check() == []
    assert sum(len(column.steps) for column in series.raw("run:new")) == 4 * POINTS
    assert [text for _, _, text in logs.read("run:new").lines] == [str(seq) for seq in range(30)]
