"""Server time of a chart, 1,000 px wide: from the store's files to the bytes of the answer.

    python -m benchmarks.chart_read [--points 1000000,10000000] [--repeats 20] [--database sqlite|postgres] [--json]

Each read is taken as JSON and as typed arrays; at the greatest length also a twentieth of the range, 900 exact steps,
and the whole beside full ingest in the same process.
"""

import statistics
import threading
import time
from typing import Any

from benchmarks.private_store import database_of, fill_loss, ingest, made_batches, private_store
from benchmarks.report import Report, parser

GOALS = {1_000_000: 5, 10_000_000: 20}  # milliseconds


def as_json(parts: list[Any]) -> bytes:
    import msgspec

    return msgspec.json.encode({"series": [part.as_map() for part in parts]})


def milliseconds(source: str, repeats: int, encode, **range_: Any) -> float:
    """The median time of a read and its encoding."""
    from monitoring.storage import series

    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        encode(series.read(source, ["loss"], width=1000, **range_))
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def keep_writing(stop: threading.Event) -> None:
    batches = list(made_batches(20_000, 200))
    turn = 0
    while not stop.is_set():
        ingest(f"run:beside{turn}", batches)
        turn += 1


def measure(report: Report, lengths: list[int], repeats: int) -> None:
    from monitoring.api import columns

    forms = (("typed arrays", columns.encode), ("JSON", as_json))
    for points in lengths:
        fill_loss(f"run:{points}", points)
        for form, encode in forms:
            value = milliseconds(f"run:{points}", repeats, encode)
            name = f"chart of {points:,} points, {form}"
            report.line(name, value, "ms", at_most=GOALS.get(points), repeats=repeats)
    points = max(lengths)
    for name, start, end in (
        ("a twentieth of the range", points // 2, points * 11 // 20),
        ("900 steps, exact", points // 2, points // 2 + 899),
    ):
        value = milliseconds(f"run:{points}", repeats, columns.encode, start=start, end=end)
        report.line(f"{name}, of {points:,} points", value, "ms", repeats=repeats)
    stop = threading.Event()
    writing = threading.Thread(target=keep_writing, args=(stop,))
    writing.start()
    try:
        value = milliseconds(f"run:{points}", repeats, columns.encode)
    finally:
        stop.set()
        writing.join()
    report.line(f"chart of {points:,} points beside full ingest", value, "ms", repeats=repeats)


def main() -> None:
    arguments = parser(__doc__, repeats=20)
    arguments.add_argument("--points", default="1000000,10000000", help="lengths of the series, by commas")
    arguments.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options = arguments.parse_args()
    with database_of(options.database), private_store():
        measure(
            Report("chart_read", options.json), [int(n) for n in options.points.split(",")], options.repeats
        )


if __name__ == "__main__":
    main()
