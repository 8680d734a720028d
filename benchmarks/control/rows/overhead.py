"""What the controller takes of a training that it sits in: in production it is another process's time."""

from collections.abc import Iterator

from benchmarks.control.grid import best_fixed
from benchmarks.control.options import Options
from benchmarks.control.report import Row
from benchmarks.control.rows.harm import started_well

QUESTION = "what does control cost the training process?"


def rows(options: Options) -> Iterator[Row]:
    best = best_fixed(options)
    outcomes = options.run(started_well(each, seed) for each in best for seed in options.seeds)
    applying = sum(outcome.applying_seconds for outcome in outcomes)
    training = sum(outcome.seconds - outcome.control_seconds for outcome in outcomes)
    ticks = sum(outcome.ticks for outcome in outcomes)
    yield Row(
        "cost of control in the training process, share of step time", 100 * applying / training, "%", at_most=1,
        told={"note": "reading orders at step boundaries and putting them into force; the decisions are the site's"},
    )  # fmt: skip
    yield Row(
        "one look of the controller at one run, elsewhere",
        1000 * sum(outcome.control_seconds for outcome in outcomes) / max(1, ticks),
        "ms",
        told={"looks": ticks},
    )
