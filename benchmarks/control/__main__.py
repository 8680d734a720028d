"""The table of docs/benchmarks.md on the controller: pairs of real trainings, with it and without.

    python -m benchmarks.control [--json] [--only ROWS] [--seeds 1-10] [--workload FILE.py] [--quick] [--jobs N]

Each row is a module of rows/. Seeds 1 to 99 are for reports, 1000 to 1999 for development: what was tuned on a seed
proves nothing on it.
"""

import argparse
import importlib
import pkgutil
import sys
import time

from benchmarks.report import Report, parser, seeds_of

from . import rows
from .options import REPORT_SEEDS, Options, cores
from .workload import BUILT_IN, BadWorkload, load

ORDER = ("starts", "harm", "faults")


def names() -> list[str]:
    """All rows, those of ORDER first: they run the trials that others share."""
    found = [module.name for module in pkgutil.iter_modules(rows.__path__)]
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def main() -> None:
    arguments = parser(__doc__)
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    arguments.add_argument("--only", nargs="+", default=names(), metavar="ROW", help=", ".join(names()))
    arguments.add_argument("--seeds", type=seeds_of, default=REPORT_SEEDS, help="such as 1-10 or 1000,1003")
    arguments.add_argument(
        "--workload", action="append", metavar="NAME or FILE.py",
        help=f"instead of the built-in {', '.join(BUILT_IN)}; may be given again",
    )  # fmt: skip
    arguments.add_argument("--jobs", type=int, default=cores(), help="trainings at once")
    arguments.add_argument("--quick", action="store_true", help="two seeds, fewer starts and rates")
    given = arguments.parse_args()
    wanted = [name for part in given.only for name in part.split(",")]
    if unknown := [name for name in wanted if name not in names()]:
        arguments.error(f"no row {', '.join(unknown)}; the rows are {', '.join(names())}")
    seeds = given.seeds[:2] if given.quick else given.seeds
    options = Options(seeds, tuple(given.workload or BUILT_IN), given.jobs, given.quick)
    try:
        for name in options.names:
            load(name)
    except BadWorkload as error:
        arguments.error(str(error))
    for name in wanted:
        began = time.perf_counter()
        module = importlib.import_module(f"{rows.__name__}.{name}")
        report = Report("control", given.json)
        if not given.json:
            print(f"-- {name}: {module.QUESTION}", flush=True)
        for row in module.rows(options):
            row.print(report, module.QUESTION)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    options.pool.shutdown()


if __name__ == "__main__":
    main()
