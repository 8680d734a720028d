"""What people use instead, from the same bad starts: factors of the best rate for their own optimiser."""

from collections.abc import Iterator

from benchmarks.control.grid import best_fixed, geometric_mean
from benchmarks.control.methods import PEERS, missing
from benchmarks.control.options import Options
from benchmarks.control.report import Row
from benchmarks.control.starts import by_workload, from_starts, share, slowdowns

QUESTION = (
    "against schedule-free AdamW, Prodigy, hypergradient descent, ReduceLROnPlateau, cosine: who is ahead?"
)


def rows(options: Options) -> Iterator[Row]:
    best = best_fixed(options)
    led = from_starts(options, best, "control")
    ours = share(led), geometric_mean(slowdowns(led))
    for name in PEERS:
        if problem := missing(name):
            yield Row(f"{name}: reach the target", None, "%", told={"note": problem})
            continue
        found = from_starts(options, best, name)
        theirs = share(found), geometric_mean(slowdowns(found))
        told = {
            "by_workload": by_workload(found),
            "ours_is_ahead": ours[0] > theirs[0] and ours[1] < theirs[1],
        }
        yield Row(f"{name}: reach the target within 3x", 100 * theirs[0], "%", told=told)
        yield Row(f"{name}: time to target", theirs[1], "x", told={"ours": round(ours[1], 3)})
