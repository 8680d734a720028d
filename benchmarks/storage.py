"""Bytes that a stored point takes, all in: what the database grows by, compacted, with keys, indexes and spare pages.

    python -m benchmarks.storage [--steps 20000,1000000] [--database sqlite|postgres] [--json]

Five keys logged together for so many steps, and one key alone. Twenty short runs make one figure, so that a file's
fixed part does not decide it.
"""

from benchmarks.private_store import database_of, fill_loss, ingest, made_batches, private_store, settle
from benchmarks.report import Report, parser

SHORT_RUNS, SHORT = 20, 100_000


def grown(fill) -> float:
    """Bytes a point of what `fill` stores."""
    from monitoring.storage import series

    settle()
    before = series.stats()
    fill()
    settle()
    after = series.stats()
    return (after["bytes"] - before["bytes"]) / (after["points"] - before["points"])


def runs_of(steps: int) -> None:
    from monitoring.storage import series

    for number in range(SHORT_RUNS if steps <= SHORT else 1):
        ingest(f"run:{steps}-{number}", list(made_batches(steps, 200)))
        series.compact(limit_seconds=600, source=f"run:{steps}-{number}")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--steps", default="20000,1000000", help="lengths of the runs, by commas")
    arguments.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options = arguments.parse_args()
    report = Report("storage", options.json)
    with database_of(options.database), private_store():
        for steps in map(int, options.steps.split(",")):
            runs = SHORT_RUNS if steps <= SHORT else 1
            name = f"5 keys x {steps:,} steps, {runs} run{'s' if runs > 1 else ''}, {options.database}"
            report.line(name, grown(lambda steps=steps: runs_of(steps)), "bytes/point", at_most=4)
        name = f"1 key alone x 1,000,000 steps, {options.database}"
        report.line(name, grown(lambda: fill_loss("run:alone", 1_000_000)), "bytes/point")


if __name__ == "__main__":
    main()
