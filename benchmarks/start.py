"""How long `make run` takes to be ready, with everything installed: first start (databases are made) and later ones.

python -m benchmarks.start [--repeats 5] [--json]
"""

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import Report, parser
from tests.support.stack import RunningStack


def main() -> None:
    options = parser(__doc__, repeats=5).parse_args()
    first: list[float] = []
    later: list[float] = []
    stops: list[float] = []
    for _ in range(options.repeats):
        with TemporaryDirectory(prefix="sw-") as folder:
            for taken in (first, later):
                stack = RunningStack(Path(folder) / "home")
                start = time.perf_counter()
                stack.start()
                taken.append(time.perf_counter() - start)
                start = time.perf_counter()
                stack.stop()
                stops.append(time.perf_counter() - start)
    report = Report("start", options.json)
    for name, taken, goal in (("first start", first, 10), ("later start", later, 10), ("stop", stops, None)):
        report.line(
            name, statistics.median(taken), "s",
            at_most=goal, repeats=options.repeats, worst=round(max(taken), 2),
        )  # fmt: skip


if __name__ == "__main__":
    main()
