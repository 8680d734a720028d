"""Old points give way to their roll-ups by rule, and everything that reads them says so."""

import csv
import io
import json

import numpy as np
import pytest

from monitoring.storage import series
from monitoring.storage.models import SeriesAxis, SeriesChunk, SeriesRollup
from scaleweb_sdk.protocol import Batch, Column
from tests.api.conftest import client_of, project, run  # noqa: F401  fixtures
from tests.support.domain import a_member
from training.models import Role

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]
DAY, NOW = 86_400.0, 2.0e9
OLD, NEW = NOW - 20 * DAY, NOW - DAY


def put(source: str, at: float, seq: int = 1, keys=("a", "b"), first: int = 0, count: int = 1024) -> None:
    """A chunk of each key that begins at this time, a point a second."""
    steps = list(range(first, first + count))
    times = [at + step - first for step in steps]
    values = [float(step % 100) for step in steps]
    values[5] = float("nan")
    series.append(source, "s" * 32, [Batch(seq, columns=[Column(key, steps, times, values) for key in keys])])
    series.compact(source=source)


@pytest.fixture
def rules(settings):
    settings.KEEP_FINE_DAYS = {"run": 0, "node": 14}
    return settings


def test_only_old_points_of_the_kinds_that_have_a_rule_go(rules):
    for source, at in (("node:old", OLD), ("node:new", NEW), ("run:old", OLD)):
        put(source, at)
    assert series.age(now=NOW) == 2
    assert list(series.raw("node:old")) == []
    for source in ("node:new", "run:old"):
        assert [column.steps.size for column in series.raw(source)] == [1024, 1024]
    rules.KEEP_FINE_DAYS = {"run": 10, "node": 0}
    assert series.age(now=NOW) == 2
    assert list(series.raw("run:old")) == []
    assert series.age(now=NOW) == 0


def test_a_chart_over_points_that_are_gone_is_coarser_and_says_so(rules):
    put("node:n", OLD)
    before = series.read("node:n", ["a"], width=10)[0]
    series.age(now=NOW)
    (wide,) = series.read("node:n", ["a"], width=10)
    for name in wide.columns:
        assert np.array_equal(wide.columns[name], before.columns[name], equal_nan=True)
    assert wide.non_finite == before.non_finite
    assert (before.aged, wide.aged) == (False, True)
    (close,) = series.read("node:n", ["a"], width=1000, start=0, end=100)
    assert (close.exact, close.aged, close.bucket) == (False, True, 128)
    assert close.columns["max"].tolist() == [99.0]
    (by_time,) = series.read("node:n", ["a"], x="time", start=OLD + 300, end=OLD + 400)
    assert by_time.aged
    assert by_time.columns["step"][0] <= 300


def test_where_no_point_is_gone_a_chart_stays_exact(rules):
    put("node:n", OLD)
    put("node:n", NEW, seq=2, first=5000)
    # The newer points joined the chunk of the older ones, which is not full: they go together, later.
    assert series.age(now=NOW) == 0
    put("node:m", OLD)
    assert series.age(now=NOW) == 2
    put("node:m", NEW, seq=2, first=5000)
    (close,) = series.read("node:m", ["a"], start=5000, end=6023, width=2000)
    assert (close.exact, close.aged) == (True, False)
    (column,) = series.raw("node:m", ["a"])
    assert column.steps[0] == 5000
    assert [info.points for info in series.keys("node:m")] == [2048, 2048]


def test_the_space_goes_and_the_check_and_the_rest_of_the_store_take_it_well(rules):
    put("node:n", OLD)
    assert SeriesAxis.objects.count() == 1
    series.age(now=NOW)
    assert not SeriesAxis.objects.exists()
    assert all(len(chunk.columns) == 0 for chunk in SeriesChunk.objects.all())
    assert series.check() == []
    assert series.tail(["node:n"], ["a"], 5) == {}
    SeriesRollup.objects.filter(id=SeriesChunk.objects.first().pk).delete()
    (problem,) = series.check()
    assert "neither points nor roll-ups" in problem.message
    series.delete("node:n")
    assert not SeriesRollup.objects.exists()


def test_a_chunk_too_short_for_roll_ups_keeps_its_points(rules):
    put("node:n", OLD, count=100)
    assert series.age(now=NOW) == 0
    assert [column.steps.size for column in series.raw("node:n")] == [100, 100]


def test_an_export_has_the_buckets_of_points_that_are_gone(rules, project, run):  # noqa: F811
    rules.KEEP_FINE_DAYS = {"run": 14, "node": 0}
    client = client_of(a_member(project, "vera", Role.VIEWER))
    put(run.source, OLD, keys=["a"])
    whole = client.ask("GET", f"runs/{run.code}/export", {"format": "csv"}).getvalue().decode()
    assert whole.startswith("key,branch,step,time,value\n")
    assert series.age(now=NOW) == 1
    put(run.source, NEW, seq=2, keys=["a"], first=5000)
    text = client.ask("GET", f"runs/{run.code}/export", {"format": "csv"}).getvalue().decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    buckets, points = rows[:8], rows[8:]
    assert sum(int(row["count"]) for row in buckets) == 1024
    assert {row["max"] for row in buckets} == {"99.0"}
    assert [int(row["step"]) for row in points] == list(range(5000, 6024))
    lines = client.ask("GET", f"runs/{run.code}/export").getvalue().decode().splitlines()
    assert [json.loads(line).get("count") for line in lines[:9]] == [128] * 8 + [None]
