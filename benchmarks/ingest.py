"""Durable ingest in points a second: acknowledged after commit, and read back at the end.

    python -m benchmarks.ingest [--points 1000000] [--repeats 3] [--database sqlite|postgres|both] [--processes 4]

The writer alone takes batches of 5 keys x 200 steps, 256 in flight. Over the link, processes send batches of 10 keys x
1,000 points as an SDK does that fell behind; sender and server share the machine's cores. On SQLite one row a point in
an indexed table, a commit a batch, is measured beside it: what one writes in an afternoon.
"""

import asyncio
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.private_store import database_of, ingest, made_batches, private_store
from benchmarks.report import Report, parser
from benchmarks.site import MeasuredSite, measured_site

KEYS, POINTS_A_KEY = 10, 1000
GOALS = {"sqlite": 500_000, "postgres": 300_000}


def writer_alone(report: Report, database: str, points: int, repeats: int) -> None:
    from monitoring.storage import series

    batches = list(made_batches(points // 5, 200))
    rates = [ingest(f"run:{turn}", batches) for turn in range(repeats)]
    report.line(
        f"the writer alone, {database}", statistics.median(rates), "points/s", at_least=GOALS[database],
        repeats=repeats,
    )  # fmt: skip
    start = time.perf_counter()
    compacted = series.compact(limit_seconds=600)
    report.line(f"compaction, {database}", compacted / (time.perf_counter() - start), "points/s")
    stored = sum(info.points for turn in range(repeats) for info in series.keys(f"run:{turn}"))
    confirm(stored, sum(len(c.steps) for b in batches for c in b.columns) * repeats)


def confirm(stored: int, sent: int) -> None:
    if stored != sent:
        raise SystemExit(f"{stored:,} points can be read of {sent:,} that were acknowledged")


def naive_rate(points: int) -> float:
    batches = list(made_batches(points // 5, 200))
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "naive.sqlite3")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE points (source TEXT, key TEXT, step INT, time REAL, value REAL)")
        database.execute("CREATE INDEX by_step ON points (source, key, step)")
        start = time.perf_counter()
        for batch in batches:
            for column in batch.columns:
                rows = zip(column.steps, column.times, column.values, strict=True)
                database.executemany(f"INSERT INTO points VALUES ('run:x', '{column.key}', ?, ?, ?)", rows)
            database.commit()
        seconds = time.perf_counter() - start
        database.close()
    return points / seconds


def frames_of(count: int) -> list[bytes]:
    """Encoded beforehand: the sender's work is not what is measured."""
    from scaleweb_sdk.protocol import Batch, Column, encode

    now = time.time()
    made = []
    for turn in range(count):
        steps = list(range(turn * POINTS_A_KEY, (turn + 1) * POINTS_A_KEY))
        times = [now + step * 0.01 for step in steps]
        columns = [
            Column(f"key{key}", steps, times, [1.0 / (1 + step + key) for step in steps])
            for key in range(KEYS)
        ]
        made.append(encode(Batch(turn + 1, columns=columns)))
    return made


async def send(site: MeasuredSite, rank: int, ranks: int, frames: list[bytes]) -> None:
    from websockets.asyncio.client import connect

    from scaleweb_sdk.protocol import LINK_PATH, Ack, Hello, Refusal, decode_down, encode

    headers = {"Authorization": f"Bearer {site.token}"}
    async with connect(site.ws + LINK_PATH, additional_headers=headers, compression=None) as socket:
        hello = Hello(1, uuid.uuid4().hex, "bench", f"run:{site.run}", rank=rank, world_size=ranks)
        await socket.send(encode(hello))

        async def acknowledged() -> None:
            while True:
                frame: Any = decode_down(await socket.recv(decode=False))
                if isinstance(frame, Refusal):
                    raise SystemExit(f"refused: {frame.message}")
                if isinstance(frame, Ack) and frame.seq == len(frames):
                    return

        waiting = asyncio.create_task(acknowledged())
        for frame in frames:
            await socket.send(frame)
        await waiting


async def over_the_link(site: MeasuredSite, processes: int, frames: list[bytes]) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(send(site, rank, processes, frames) for rank in range(processes)))
    return len(frames) * processes * KEYS * POINTS_A_KEY / (time.perf_counter() - began)


def link(report: Report, database: str, points: int, processes: int, repeats: int) -> None:
    with measured_site() as site:
        from monitoring.storage import series

        frames = frames_of(max(1, points // (processes * KEYS * POINTS_A_KEY)))
        rates = [asyncio.run(over_the_link(site, processes, frames)) for _ in range(repeats)]
        report.line(
            f"over the link, {processes} processes, {database}", statistics.median(rates), "points/s",
            at_least=GOALS[database], repeats=repeats,
        )  # fmt: skip
        stored = sum(info.points for info in series.keys(f"run:{site.run}"))
        confirm(stored, len(frames) * processes * KEYS * POINTS_A_KEY * repeats)


def main() -> None:
    arguments = parser(__doc__, repeats=3)
    arguments.add_argument("--points", type=int, default=1_000_000)
    arguments.add_argument("--processes", type=int, default=4)
    arguments.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    arguments.add_argument("--part", choices=["writer", "link", "all"], default="all")
    options = arguments.parse_args()
    report = Report("ingest", options.json)
    if options.database == "both" or options.part == "all":
        # Django takes one database a process.
        databases = ["sqlite", "postgres"] if options.database == "both" else [options.database]
        for database in databases:
            for part in ["writer", "link"] if options.part == "all" else [options.part]:
                again([*sys.argv[1:], "--database", database, "--part", part])
        return
    with database_of(options.database):
        if options.part == "link":
            link(report, options.database, options.points, options.processes, options.repeats)
            return
        with private_store():
            writer_alone(report, options.database, options.points, options.repeats)
        if options.database == "sqlite":
            report.line("one row a point, indexed, sqlite", naive_rate(options.points), "points/s")


def again(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks.ingest", *arguments])
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
