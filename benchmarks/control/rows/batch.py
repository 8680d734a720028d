"""The batch follows the gradient's noise: fewer steps, and what that costs in samples.

Once in a script that accumulates two micro-batches, so that the noise is measured all along, and once in one that does
not, where the policy has to probe and the clock judges.
"""

from collections.abc import Iterator, Sequence

from benchmarks.control.grid import MOST, best_fixed, geometric_mean
from benchmarks.control.options import Options
from benchmarks.control.report import Row
from benchmarks.control.trial import Outcome, Trial

QUESTION = "started with an eighth of the batch: what does a batch that follows the noise bring?"
SMALLER = 8
# Of the best rate of the workload's own batch, for one that is an eighth: between its eighth and its own.
RATES = (1 / 8, 1 / 4, 1 / 2, 1.0)
STEPS = (("batch_size", "cost", "steps"),)
PROBE = (("batch_size", "probe", "true"),)
SEEDS = 3  # of those asked for: each trial is long


def rows(options: Options) -> Iterator[Row]:
    seeds = options.seeds[:SEEDS]
    fixed: list[Outcome] = []
    following: list[Outcome] = []
    by_time: list[Outcome] = []
    for each in best_fixed(options):
        loader = each.workload.build(0).loader
        if loader is None or loader.batch_size < 2 * SMALLER:
            continue
        small = loader.batch_size // SMALLER

        def trials(
            rate: float,
            method: str,
            parts: int = 1,
            settings: tuple[tuple[str, str, str], ...] = (),
            where: str = each.workload.where,
            small: int = small,
        ) -> list[Trial]:
            policies = ("batch_size",) if method == "control" else ()
            return [
                Trial(
                    where, seed, rate, 2 * MOST, method, policies=policies, batch=small // parts, accumulate=parts,
                    settings=settings,
                )
                for seed in seeds
            ]  # fmt: skip

        rates = [float(f"{each.rate * share:.3g}") for share in RATES]
        options.run(trial for rate in rates for trial in trials(rate, "fixed"))
        rate = min(rates, key=lambda rate: steps_to_target(options.run(trials(rate, "fixed"))))
        fixed += options.run(trials(rate, "fixed"))
        following += options.run(trials(rate, "control", 2, STEPS))
        by_time += options.run(trials(rate, "control", settings=PROBE))
    if not fixed:
        return
    yield Row(
        "a step costs the same whatever its batch: steps to target against the fixed batch at its best rate",
        ratio([o.reached or o.steps for o in following], [o.reached or o.steps for o in fixed]), "x",
        told=told(following) | {
            "samples_against_fixed": ratio([o.samples for o in following], [o.samples for o in fixed]),
            "fixed_reached": sum(o.reached is not None for o in fixed),
        },
    )  # fmt: skip
    yield Row(
        "on this machine: processor seconds to target against the fixed batch at its best rate",
        ratio([o.seconds for o in by_time], [o.seconds for o in fixed]), "x",
        told=told(by_time) | {
            "samples_against_fixed": ratio([o.samples for o in by_time], [o.samples for o in fixed]),
            "note": "the process's own time on the processor; the time of measuring progress counts",
        },
    )  # fmt: skip


def steps_to_target(outcomes: Sequence[Outcome]) -> float:
    return geometric_mean([outcome.reached or outcome.trial.most for outcome in outcomes])


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Geometric mean of the pairs' ratios; a run that did not reach the target counts with all that it did."""
    return geometric_mean([mine / other for mine, other in zip(ours, theirs, strict=True)])


def told(outcomes: Sequence[Outcome]) -> dict[str, object]:
    return {
        "runs": len(outcomes),
        "reached": sum(outcome.reached is not None for outcome in outcomes),
        "batches_at_the_end": [outcome.effective_batch for outcome in outcomes],
    }
