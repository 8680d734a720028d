"""Torn chunks, compactors that die or race, deletion, logs."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, connections

from monitoring.storage import compact as compaction
from monitoring.storage import logs, series
from monitoring.storage.fill import fill
from monitoring.storage.models import LogChunk, SeriesAxis, SeriesBatch, SeriesChunk, SeriesRollup
from monitoring.storage.writer import SeriesWriter, WriterStopped, item_of, store
from scaleweb_sdk.protocol import Batch, LogLine
from tests.storage.test_store import line
from tests.support.wait import until

both = pytest.mark.both_databases
rows = pytest.mark.django_db(databases="__all__")
committed = pytest.mark.django_db(databases="__all__", transaction=True)


@both
@rows
def test_the_tail_of_a_source_whose_only_chunk_is_torn_is_empty():
    series.append("run:x", "a" * 32, [line(range(1000), range(1000))])
    series.compact(source="run:x")
    chunk = SeriesChunk.objects.get()
    chunk.columns = bytes(chunk.columns)[:-3]
    chunk.save()
    assert series.tail(["run:x"], ["loss"], 5) == {}


def steps_of(source):
    return [step for column in series.raw(source, ["loss"]) for step in column.steps.tolist()]


@both
@rows
@pytest.mark.parametrize("column", ["columns", "rollups"])
def test_a_torn_chunk_is_found_left_out_and_the_rest_is_read(column):
    for source in ("run:x", "run:y"):
        series.append(source, "a" * 32, [line(range(1000), range(1000))])
        series.compact(source=source)
    chunk = SeriesChunk.objects.get(series__source="run:x")
    row, field = (
        (chunk, "columns") if column == "columns" else (SeriesRollup.objects.get(pk=chunk.pk), "body")
    )
    torn = bytearray(bytes(getattr(row, field)))
    torn[len(torn) // 2] ^= 0xFF
    setattr(row, field, bytes(torn))
    row.save()
    series.append("run:x", "a" * 32, [line(range(1000, 1100), range(100), seq=2)])
    (problem,) = [found for found in series.check() if found.chunk]
    assert (problem.source, problem.key, problem.chunk) == ("run:x", "loss", chunk.pk)
    if column == "columns":
        assert steps_of("run:x") == list(range(1000, 1100))
        assert series.tail(["run:x"], ["loss"], 2)["run:x"]["loss"][0].tolist() == [1098, 1099]
        series.compact(source="run:x")
        assert steps_of("run:x") == list(range(1000, 1100))
        assert SeriesChunk.objects.filter(pk=chunk.pk).exists()  # nothing is deleted: a person may look at it
    else:
        assert steps_of("run:x") == list(range(1100))
        assert sum(series.read("run:x", ["loss"], width=50)[0].columns["count"]) == 1100
        from monitoring.storage.integrity import check

        assert [found.mended for found in check(repair=True) if found.chunk] == [True]
        assert [found for found in series.check() if found.chunk] == []
    assert steps_of("run:y") == list(range(1000))


@both
@committed
def test_two_compactors_at_once_double_nothing():
    for seq in range(1, 60):
        series.append("run:x", "a" * 32, [line(range(seq * 10, seq * 10 + 10), range(10), seq=seq)])
    done = []

    def work():
        try:
            done.append(series.compact(source="run:x"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    series.compact(source="run:x")
    assert len(done) == 3
    assert steps_of("run:x") == list(range(10, 600))
    assert not SeriesBatch.objects.exists()


@both
@committed
def test_a_read_beside_a_compaction_sees_each_point_once():
    for seq in range(1, 200):
        series.append("run:x", "a" * 32, [line(range(seq * 5, seq * 5 + 5), range(5), seq=seq)])
    stop, faults = threading.Event(), []

    def look():
        try:
            while not stop.is_set():
                found = steps_of("run:x")
                if found != list(range(5, 1000)):
                    faults.append(len(found))
                count = sum(series.read("run:x", ["loss"], width=100)[0].columns["count"])
                info = series.keys("run:x")[0].points
                if (count, info) != (995, 995):
                    faults.append((count, info))
        finally:
            connections.close_all()

    reader = threading.Thread(target=look)
    reader.start()
    try:
        compaction.BATCHES_AT_ONCE, before = 7, compaction.BATCHES_AT_ONCE
        series.compact(source="run:x")
    finally:
        compaction.BATCHES_AT_ONCE = before
        stop.set()
        reader.join()
    assert not faults
    assert not SeriesBatch.objects.exists()


KILLED = """
    import os, sys, threading
    sys.path.insert(0, {top!r})
    os.environ["DJANGO_SETTINGS_MODULE"] = "scaleweb.settings"
    import django
    django.setup()
    from django.core.management import call_command
    from monitoring.storage import compact, series
    if not os.path.exists(os.environ["SCALEWEB_HOME"] + "/migrated"):
        call_command("migrate", database="series", verbosity=0)
        open(os.environ["SCALEWEB_HOME"] + "/migrated", "w").close()
    from tests.storage.test_store import line
    compact.BATCHES_AT_ONCE = 3
    compact.FEWEST_BATCHES = 1
    threading.Thread(target=lambda: [series.compact() for _ in range(10**6)], daemon=True).start()
    seq = series.last_seq("run:x", "s")
    while True:
        seq += 1
        series.writer().submit("run:x", "s", line(range(seq * 4, seq * 4 + 4), range(4), seq=seq)).result()
        print(seq, flush=True)
"""


@pytest.mark.processes
def test_kill_9_at_any_moment_loses_and_doubles_nothing_that_was_acknowledged(tmp_path):
    top = str(Path(__file__).resolve().parents[2])
    environment = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "DJANGO_SETTINGS_MODULE"}}
    environment["SCALEWEB_HOME"] = str(tmp_path)
    dice = random.Random(5)
    acknowledged = 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED.format(top=top))], env=environment, cwd=top, text=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        for _ in range(dice.randint(5, 120)):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        acknowledged = int(rest[-1]) if rest else acknowledged
    look = (
        f"import os, sys; sys.path.insert(0, {top!r})\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'scaleweb.settings'\n"
        "import django; django.setup()\n"
        "from monitoring.storage import series\n"
        "steps = [s for c in series.raw('run:x') for s in c.steps.tolist()]\n"
        "in_order = steps == list(range(4, 4 + len(steps)))\n"
        "print(len(steps), in_order, series.last_seq('run:x', 's'), len(series.check()))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", look], env=environment, cwd=top, text=True, capture_output=True, check=True
    ).stdout.split()
    points, in_order, last, problems = int(said[0]), said[1], int(said[2]), int(said[3])
    assert (in_order, problems) == ("True", 0)
    assert points == last * 4
    # The last one may have been committed and not yet told.
    assert acknowledged <= last <= acknowledged + 6


@both
@committed
def test_deletion_takes_everything_of_one_source_and_gives_the_space_back():
    dice = random.Random(1)
    for source in ("run:x", "run:y"):
        for seq in range(1, 20):
            steps = range(seq * 5000, seq * 5000 + 5000)
            series.append(source, "a" * 32, [line(steps, dice.choices(range(10**9), k=5000), seq=seq)])
            if seq == 15:
                series.compact(source=source)
        logs.append(source, "b" * 32, 1, [LogLine(1.0, "stdout", "hello")])
    before = series.stats()
    series.delete("run:x")
    after = series.stats()
    assert series.keys("run:x") == []
    assert logs.read("run:x").total == 0
    assert series.last_seq("run:x", "a" * 32) == 0
    assert steps_of("run:y") == list(range(5000, 100_000))
    assert after["points"] == before["points"] - 95_000
    if connections[settings.SERIES_DATABASE].vendor == "sqlite":
        with connections[settings.SERIES_DATABASE].cursor() as cursor:
            cursor.execute("PRAGMA freelist_count")
            assert cursor.fetchone()[0] == 0


@both
@rows
def test_log_lines_are_numbered_paged_and_searched():
    for seq in range(1, 11):
        lines = [
            LogLine(float(seq), "stderr" if n % 2 else "stdout", f"line {seq * 10 + n - 10}")
            for n in range(10)
        ]
        logs.append("run:x", "a" * 32, seq, lines)
    page = logs.read("run:x", start=-5, count=5)
    assert (page.first_line, page.total, [text for _, _, text in page.lines]) == (
        95, 100, [f"line {n}" for n in range(95, 100)],
    )  # fmt: skip
    assert [text for _, _, text in logs.read("run:x", start=18, count=4).lines] == [
        f"line {n}" for n in range(18, 22)
    ]
    assert logs.read("run:x", start=500, count=4).lines == []
    assert logs.read("run:x", start=-500, count=4).first_line == 0
    found = logs.read("run:x", search="LINE 7", count=3)
    assert [text for _, _, text in found.lines] == ["line 77", "line 78", "line 79"]
    assert logs.read("run:x", search="nothing").lines == []
    assert logs.read("run:none").total == 0


@both
@rows
def test_lines_with_any_text_are_kept():
    texts = ["", "a\0b", "é🎉", "x" * 100_000, "\t\x1b[31mred"]
    logs.append("run:x", "a" * 32, 1, [LogLine(1.0, "stdout", text) for text in texts])
    assert [text for _, _, text in logs.read("run:x").lines] == ["", "a\ufffdb", *texts[2:]]


@both
@committed
def test_the_writer_commits_from_many_threads_and_stops_when_all_is_stored():
    futures, guard = [], threading.Lock()

    def send(name):
        for seq in range(1, 51):
            future = series.writer().submit("run:x", name * 32, line([seq], [seq], seq=seq))
            with guard:
                futures.append(future)

    threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    series.stop_writer()
    assert all(future.done() and future.exception() is None for future in futures)
    assert len(steps_of("run:x")) == 200
    # One at fault does not take the others along.
    good = series.writer().submit("run:x", "e" * 32, line([1], [1]))
    gap = series.writer().submit("run:x", "f" * 32, line([1], [1], seq=7))
    assert good.result(10) == 1
    assert "expected 1" in str(gap.exception(10))
    series.stop_writer()
    assert until(lambda: len(steps_of("run:x")) == 201)


@rows
def test_the_series_have_a_database_of_their_own_under_sqlite():
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps both in one database")
    series.append("run:x", "a" * 32, [Batch(seq=1, lines=[LogLine(1.0, "stdout", "x")])])
    assert settings.SERIES_DATABASE == "series"
    assert LogChunk.objects.db == "series"
    assert "monitoring_logchunk" not in connection.introspection.table_names()


@rows
def test_the_command_tells_checks_and_compacts(capsys):
    series.append("run:x", "a" * 32, [line(range(1000), range(1000))])
    series.compact(source="run:x")
    for seq in range(2, 60):
        series.append("run:x", "a" * 32, [line([seq], [seq], seq=seq)])
    call_command("series", "compact")
    call_command("series", "stats")
    call_command("series", "check")
    said = capsys.readouterr().out
    assert "58 points compacted" in said
    assert "1,058" in said
    assert "The store is whole." in said
    chunk = SeriesChunk.objects.get()
    chunk.columns = bytes(chunk.columns)[:-3]
    chunk.save()
    with pytest.raises(CommandError, match="1 faults"):
        call_command("series", "check", "--repair")
    assert f"run:x 'loss', chunk {chunk.pk}: columns:" in capsys.readouterr().out


@both
@committed
def test_two_processes_with_the_same_first_batch_store_it_once():
    """A reconnect to another web process, while the first one still commits."""
    start = threading.Barrier(4)

    def work():
        try:
            start.wait()
            store([item_of("run:x", "a" * 32, line(range(10), range(10)))])
        finally:
            connections.close_all()

    for _ in range(5):
        series.delete("run:x")
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert steps_of("run:x") == list(range(10))


@both
@committed
def test_lines_of_two_processes_of_one_run_are_numbered_one_after_the_other():
    def work(session):
        try:
            for seq in range(1, 21):
                logs.append("run:x", session * 32, seq, [LogLine(float(seq), "stdout", f"{session}{seq}")])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(session,)) for session in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    page = logs.read("run:x")
    assert page.total == 60
    assert sorted(text for _, _, text in page.lines) == sorted(f"{s}{n}" for s in "abc" for n in range(1, 21))


@both
@committed
def test_what_is_deleted_while_it_is_compacted_stays_deleted():
    for turn in range(8):
        source = f"run:x{turn}"
        for seq in range(1, 4):
            series.append(source, "a" * 32, [line([seq], [seq], seq=seq)])
        compacting = threading.Thread(
            target=lambda source=source: (series.compact(source=source), connections.close_all())
        )
        compacting.start()
        series.delete(source)
        compacting.join()
        assert series.keys(source) == []
        assert not SeriesChunk.objects.filter(series__source=source).exists()


@both
@committed
def test_no_batch_is_taken_that_a_stopping_writer_would_forget():
    for _ in range(20):
        made, futures = SeriesWriter(), []

        def send(made=made, futures=futures):
            try:
                for seq in range(1, 1000):
                    futures.append(made.submit("run:x", "a" * 32, Batch(seq=seq)))
            except WriterStopped:
                return

        sender = threading.Thread(target=send)
        sender.start()
        until(lambda futures=futures: futures)
        made.stop()
        sender.join()
        assert all(future.done() for future in futures)


@both
@committed
def test_a_source_of_many_chunks_is_deleted_in_several_transactions(monkeypatch):
    monkeypatch.setattr(series, "CHUNKS_DELETED_AT_ONCE", 3)
    list(fill(runs=2, keys=8, points=300))
    one, other = "run:fill-1-00000", "run:fill-1-00001"
    series.delete(one)
    assert series.keys(one) == []
    assert SeriesChunk.objects.filter(series__source=one).count() == 0
    assert {each.source for each in SeriesAxis.objects.all()} == {other}
    assert [info.points for info in series.keys(other)] == [300] * 8
    assert series.check() == []
    series.delete("run:none")


@both
@rows
def test_a_big_store_is_made_by_a_command_and_the_same_by_the_same_seed(monkeypatch, capsys):
    monkeypatch.setattr(compaction, "CHUNK_POINTS", 1024)
    call_command("series", "fill", "--runs", "2", "--keys", "5", "--points", "2500")
    assert "25,000 points of 2 runs" in capsys.readouterr().out
    assert series.check() == []
    assert series.stats()["points"] == 25_000
    first = [column.values for column in series.raw("run:fill-1-00001")]
    assert [len(values) for values in first] == [2500] * 5
    series.delete("run:fill-1-00001")
    call_command("series", "fill", "--runs", "2", "--keys", "5", "--points", "2500")
    again = [column.values for column in series.raw("run:fill-1-00001")]
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert series.stats()["points"] == 25_000
    with pytest.raises(CommandError, match="--runs=0; expected 1 or more"):
        call_command("series", "fill", "--runs", "0")
