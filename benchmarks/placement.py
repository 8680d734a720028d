"""Job completion times in a simulated cluster: the site's own functions against other schedulers, on equal jobs.

    python -m benchmarks.placement [--seeds 1-10] [--only CASE] [--trace FILE.csv] [--json]

Seeds 1 to 99 are for reports, 1000 to 1999 for development. A trace has the columns submitted_seconds, run_seconds,
devices, project; the public Philly trace is turned into one by `python -m benchmarks.cluster.philly`.
"""

import argparse
import time
from pathlib import Path

from benchmarks.cluster.schedulers import ALL
from benchmarks.cluster.study import TRACES, ahead, cases, mean, study
from benchmarks.report import Report, parser, seeds_of

REPORT_SEEDS = (1, 2, 3, 4, 5)


def main() -> None:
    arguments = parser(__doc__)
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    arguments.add_argument("--seeds", type=seeds_of, default=REPORT_SEEDS, help="such as 1-10 or 1000,1003")
    arguments.add_argument("--only", default="", help="cases whose name holds this")
    arguments.add_argument(
        "--trace", type=Path, action="append", help="a trace file in place of ours; may be given again"
    )
    options = arguments.parse_args()
    report = Report("placement", options.json)
    for case in cases(options.trace or TRACES):
        if options.only not in case.name:
            continue
        start = time.process_time()
        found = study(case, options.seeds)
        for name in ALL:
            runs = found[name]
            report.line(
                f"{case.name}: {name}, mean completion", mean(runs, "mean_completion") / 60, "min",
                note=f"p99 {mean(runs, 'p99_completion') / 3600:.1f} h, makespan {mean(runs, 'makespan') / 3600:.1f} h,"
                f" fairness {mean(runs, 'fairness'):.2f}, utilisation {mean(runs, 'utilisation'):.2f},"
                f" {mean(runs, 'restarts'):.1f} restarts a job",
                p99_completion_hours=round(mean(runs, "p99_completion") / 3600, 2),
                makespan_hours=round(mean(runs, "makespan") / 3600, 2),
                fairness=round(mean(runs, "fairness"), 3), utilisation=round(mean(runs, "utilisation"), 3),
                restarts=round(mean(runs, "restarts"), 2), seeds=len(runs),
            )  # fmt: skip
        other, ratio, wins = ahead(found)
        report.line(
            f"{case.name}: ours to the best other", ratio, "ratio", at_most=1,
            note=f"{other}; ahead in {wins} of {len(options.seeds)} seeds; "
            f"{time.process_time() - start:.0f} s of processor time",
        )  # fmt: skip


if __name__ == "__main__":
    main()
