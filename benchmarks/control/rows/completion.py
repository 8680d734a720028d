"""Jobs in a simulated cluster: does sharing devices out by goodput end them sooner than anything else?"""

from collections.abc import Iterator

from benchmarks.cluster.study import ahead, cases, mean, study
from benchmarks.control.options import Options
from benchmarks.control.report import Row

QUESTION = "mean job completion time: who is ahead?"


def rows(options: Options) -> Iterator[Row]:
    seeds = options.seeds[:2] if options.quick else options.seeds[:3]
    for case in cases():
        found = study(case, seeds)
        other, ratio, wins = ahead(found)
        yield Row(
            f"{case.name}: mean completion time, ours to the best other", ratio, "ratio", at_most=1,
            told={
                "note": f"{other}; ahead in {wins} of {len(seeds)} seeds",
                "minutes": {name: round(mean(runs, "mean_completion") / 60, 1) for name, runs in found.items()},
            },
        )  # fmt: skip
