"""Log lines are gathered into few rows, and read the same before and after."""

import threading
import time

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitoring.storage import log_chunks, logs, series
from monitoring.storage.log_chunks import gather, gather_some
from monitoring.storage.models import CHUNK_LINES, LogChunk
from scaleweb_sdk.protocol import LogLine

both = pytest.mark.both_databases
rows = pytest.mark.django_db(databases="__all__")
committed = pytest.mark.django_db(databases="__all__", transaction=True)


def write(source: str, sizes: list[int], at: float | None = None) -> None:
    """A batch of lines of each size; the lines are numbered through."""
    number = logs.read(source).total
    for size in sizes:
        seq = series.last_seq(source, "a" * 32) + 1
        now = time.time() if at is None else at
        found = [LogLine(now, "stdout", f"line {n}") for n in range(number, number + size)]
        logs.append(source, "a" * 32, seq, found)
        number += size


def texts(source: str, **asked) -> list[str]:
    return [text for _, _, text in logs.read(source, **asked).lines]


@both
@rows
@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 30), st.integers(0, 200))
def test_lines_are_the_same_however_often_they_are_gathered(sizes, most, start):
    source = f"run:x{LogChunk.objects.count()}-{len(sizes)}-{sum(sizes)}-{most}-{start}"
    series.delete(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_chunks, "CHUNK_LINES", most)
        half = len(sizes) // 2
        write(source, sizes[:half])
        gather_some(source)
        write(source, sizes[half:])
        before = texts(source, start=start, count=50)
        gather_some(source)
        gather_some(source)
    wanted = [f"line {n}" for n in range(sum(sizes))]
    assert texts(source, count=10_000) == wanted
    assert texts(source, start=start, count=50) == before == wanted[start : start + 50]
    assert texts(source, search="line 3") == [text for text in wanted if "line 3" in text]
    firsts = LogChunk.objects.filter(source=source).order_by("first_line").values_list("first_line", "lines")
    assert [first for first, _ in firsts][1:] == [first + lines for first, lines in firsts][:-1]


@both
@rows
def test_a_run_that_prints_a_line_a_batch_has_few_rows_in_the_end():
    write("run:x", [1] * 300)
    plain = sum(len(bytes(row.body)) for row in LogChunk.objects.all())
    assert gather() == 299
    (row,) = LogChunk.objects.all()
    assert row.lines == 300
    assert len(bytes(row.body)) < plain / 4  # neighbours are alike: they compress well together
    assert gather() == 0


@both
@rows
def test_few_new_rows_wait_and_those_of_a_silent_run_do_not():
    write("run:x", [1] * 5)
    write("run:y", [1] * 5, at=time.time() - log_chunks.SILENT_SECONDS - 1)
    assert gather() == 4
    assert LogChunk.objects.filter(source="run:x").count() == 5


@both
@rows
def test_full_rows_are_never_written_again_and_the_index_finds_the_others():
    write("run:x", [CHUNK_LINES, CHUNK_LINES, *[1] * 30])
    kept = set(LogChunk.objects.order_by("first_line").values_list("id", flat=True)[:2])
    assert gather() == 29
    assert kept <= set(LogChunk.objects.values_list("id", flat=True))
    connection = connections[settings.SERIES_DATABASE]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(
                f"EXPLAIN QUERY PLAN SELECT source FROM monitoring_logchunk WHERE {log_chunks.SMALL} GROUP BY source"
            )
            assert "small_logs" in str(cursor.fetchall())


@both
@rows
def test_a_damaged_row_says_so_in_its_place_and_hides_no_other():
    write("run:x", [1] * 30)
    torn = LogChunk.objects.get(first_line=7)
    torn.body = b"\x78damaged"
    torn.save()
    assert gather() == 0
    found = texts("run:x", count=100)
    assert "damaged in the store" in found[7]
    assert [text for at, text in enumerate(found) if at != 7] == [f"line {n}" for n in range(30) if n != 7]
    assert texts("run:x", search="line 2")[-1] == "line 29"


@both
@committed
def test_gathering_beside_a_writer_and_a_second_gatherer_loses_and_doubles_nothing():
    done = threading.Event()

    def keep_gathering():
        while not done.is_set():
            try:
                gather_some("run:x")
            except log_chunks.Overtaken:
                continue
        connections.close_all()

    gatherers = [threading.Thread(target=keep_gathering) for _ in range(2)]
    for each in gatherers:
        each.start()
    write("run:x", [3] * 120)
    done.set()
    for each in gatherers:
        each.join()
    gather()
    assert texts("run:x", count=1000) == [f"line {n}" for n in range(360)]
    assert LogChunk.objects.count() < 30


@both
@rows
def test_the_command_gathers_too(capsys):
    write("run:x", [1] * 40)
    call_command("series", "compact")
    assert "39 rows of log lines gathered" in capsys.readouterr().out


@rows
def test_a_log_that_one_long_transaction_grew_gives_its_size_back():
    for alias in connections:
        if connections[alias].vendor != "sqlite":
            pytest.skip("SQLite's setting")
        with connections[alias].cursor() as cursor:
            cursor.execute("PRAGMA journal_size_limit")
            assert cursor.fetchone()[0] == 64 * 2**20
