"""The series store alone: durable ingest, chart reads while idle and while written, bytes a point.

    python -m benchmarks.store [--points 10000000] [--repeats 5] [--json]

Figures as a training logs them: a noisy loss, a learning rate, a gradient norm, an accuracy and a step time, at uneven
times. One row a point in an indexed table of the same SQLite is measured beside it: what one writes in an afternoon.
"""

import argparse
import json
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

KEYS = ("loss", "lr", "grad_norm", "accuracy", "_step_seconds")
POINTS_A_BATCH = 200


def columns_at(
    first: int, count: int, dice: np.random.Generator
) -> list[tuple[str, list[int], list[float], list[float]]]:
    steps = np.arange(first, first + count)
    times = 1.75e9 + steps * 0.031 + dice.normal(0, 0.001, count)
    loss = 2.3 * np.exp(-steps / 40_000) + 0.1 + dice.normal(0, 0.05, count)
    values = {
        "loss": loss.astype(np.float32).astype(float),
        "lr": np.round(0.05 * (1 + np.cos(steps / 50_000)), 6),
        "grad_norm": np.abs(dice.normal(1, 0.3, count)).astype(np.float32).astype(float),
        "accuracy": np.round(np.clip(1 - loss / 3, 0, 1) * 128) / 128,
        "_step_seconds": 0.031 + np.abs(dice.normal(0, 0.001, count)),
    }
    return [(key, steps.tolist(), times.tolist(), values[key].tolist()) for key in KEYS]


def made_batches(points: int) -> list[Any]:
    from scaleweb_sdk.protocol import Batch, Column

    dice = np.random.default_rng(3)
    a_key = points // len(KEYS)
    return [
        Batch(
            seq,
            columns=[
                Column(*column) for column in columns_at(first, min(POINTS_A_BATCH, a_key - first), dice)
            ],
        )
        for seq, first in enumerate(range(0, a_key, POINTS_A_BATCH), 1)
    ]


def ingest(source: str, batches: list[Any]) -> float:
    """Points a second until the last batch is committed, through the one writer, 256 in flight."""
    from monitoring.storage import series

    count = sum(len(column.steps) for batch in batches for column in batch.columns)
    start = time.perf_counter()
    flying: list[Any] = []
    for batch in batches:
        flying.append(series.writer().submit(source, "s" * 32, batch))
        if len(flying) >= 256:
            flying.pop(0).result(30)
    for future in flying:
        future.result(30)
    return count / (time.perf_counter() - start)


def naive_ingest(folder: Path, batches: list[Any]) -> tuple[float, float, float]:
    """(points/s, bytes a point, seconds of a 1,000-bucket chart) of one row a point, a commit a batch."""
    path = folder / "naive.sqlite3"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE points (source TEXT, key TEXT, step INT, time REAL, value REAL)")
    database.execute("CREATE INDEX by_step ON points (source, key, step)")
    count = 0
    start = time.perf_counter()
    for batch in batches:
        for column in batch.columns:
            rows = zip(column.steps, column.times, column.values, strict=True)
            database.executemany(f"INSERT INTO points VALUES ('run:x', '{column.key}', ?, ?, ?)", rows)
            count += len(column.steps)
        database.commit()
    rate = count / (time.perf_counter() - start)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    wide = max(1, count // len(KEYS) // 1000)
    start = time.perf_counter()
    database.execute(
        "SELECT step / ?, MIN(value), MAX(value), AVG(value) FROM points "
        "WHERE source = 'run:x' AND key = 'loss' GROUP BY 1",
        [wide],
    ).fetchall()
    return rate, path.stat().st_size / count, time.perf_counter() - start


def chart(source: str, repeats: int, **fields: Any) -> float:
    from monitoring.storage import series

    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        parts = series.read(source, ["loss"], width=1000, **fields)
        for part in parts:
            json.dumps(part.as_map())
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def measure(points: int, repeats: int) -> list[dict[str, Any]]:
    from monitoring.storage import series

    found: list[dict[str, Any]] = []

    def note(name: str, value: float, unit: str) -> None:
        found.append({"name": name, "value": round(value, 3), "unit": unit})

    batches = made_batches(1_000_000)
    rates = [ingest(f"run:ingest{turn}", batches) for turn in range(repeats)]
    note("durable ingest", statistics.median(rates), "points/s")
    with tempfile.TemporaryDirectory() as folder:
        naive_rate, naive_bytes, naive_chart = naive_ingest(Path(folder), batches)
    note("one row a point: ingest", naive_rate, "points/s")
    note("one row a point: storage", naive_bytes, "bytes/point")
    note("one row a point: chart of 200,000 points", naive_chart * 1000, "ms")
    start = time.perf_counter()
    series.compact(limit_seconds=600)
    note("compaction", 1_000_000 * repeats / (time.perf_counter() - start), "points/s")
    settle()
    before = series.stats()
    long_batches = made_batches(points * len(KEYS) if points <= 2_000_000 else 10_000_000)
    ingest("run:long", long_batches)
    series.compact(limit_seconds=600, source="run:long")
    settle()
    # A long series of one key: the loss alone, at `points` points.
    fill_one("run:one", points)
    settle()
    after = series.stats()
    note(
        "storage, all in",
        (after["bytes"] - before["bytes"]) / (after["points"] - before["points"]),
        "bytes/point",
    )
    note(f"chart of {points:,} points", chart("run:one", repeats), "ms")
    note(
        "the same, a twentieth of the range",
        chart("run:one", repeats, start=points // 2, end=points * 11 // 20),
        "ms",
    )
    note("the same, 900 steps", chart("run:one", repeats, start=points // 2, end=points // 2 + 900), "ms")
    note("chart of 2,000,000 points", chart("run:long", repeats), "ms")
    stop = threading.Event()
    writing = threading.Thread(target=lambda: keep_writing(stop, batches))
    writing.start()
    note(f"chart of {points:,} points beside full ingest", chart("run:one", repeats), "ms")
    stop.set()
    writing.join()
    series.stop_writer()
    return found


def settle() -> None:
    """Let the background task give back what it gives back over some ticks."""
    from monitoring.storage import series

    size = -1
    while size != (size := series.stats()["bytes"]):
        series.compact(limit_seconds=60)


def keep_writing(stop: threading.Event, batches: list[Any]) -> None:
    turn = 0
    while not stop.is_set():
        ingest(f"run:beside{turn}", batches[:200])
        turn += 1


def fill_one(source: str, points: int) -> None:
    from monitoring.storage import series
    from scaleweb_sdk.protocol import Batch, PackedColumn

    dice = np.random.default_rng(5)
    for seq, first in enumerate(range(0, points, 50_000), 1):
        steps = np.arange(first, min(first + 50_000, points))
        times = 1.75e9 + steps * 0.031 + dice.normal(0, 0.001, len(steps))
        values = (
            (2.3 * np.exp(-steps / 4e6) + 0.1 + dice.normal(0, 0.05, len(steps)))
            .astype(np.float32)
            .astype(float)
        )
        column = PackedColumn("loss", steps.astype("<i8").tobytes(), times.tobytes(), values.tobytes())
        series.append(source, "s" * 32, [Batch(seq, packed=[column])])
        if seq % 20 == 0:
            series.compact(limit_seconds=600, source=source)
    series.compact(limit_seconds=600, source=source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000_000, help="length of the long series")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        if not os.environ.get("DATABASE_URL"):
            os.environ["SCALEWEB_HOME"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        call_command("migrate", database=settings.SERIES_DATABASE, verbosity=0)
        for result in measure(arguments.points, arguments.repeats):
            value = f"{result['value']:,.0f}" if result["value"] > 1000 else f"{result['value']:.2f}"
            print(
                json.dumps(result)
                if arguments.json
                else f"{result['name']:<55} {value:>12} {result['unit']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
