"""Things that break: does the training get over them?"""

from collections.abc import Iterator

from benchmarks.control.grid import best_fixed
from benchmarks.control.options import Options
from benchmarks.control.report import Row
from benchmarks.control.trial import Trial

QUESTION = "NaN, spikes, bad batches, a lost checkpoint, out of memory: who recovers?"
BROKEN = ("nan_loss", "nan_weights", "lost_checkpoint", "spike", "bad_batches")


def rows(options: Options) -> Iterator[Row]:
    best = best_fixed(options)
    for fault in BROKEN:
        pairs = [(each, seed) for each in best for seed in options.seeds]
        own = [3 * each.steps[seed] for each, seed in pairs]
        # What follows a fault is another course of the same training: it has the patience of every start where that is
        # longer than three times what its seed took, by luck, without the fault. Both are told.
        trials = [
            Trial(each.workload.where, seed, each.rate, max(each.patience, limit), "control", fault)
            for (each, seed), limit in zip(pairs, own, strict=True)
        ]  # fmt: skip
        outcomes = options.run(trials)
        alone = options.run(Trial(t.workload, t.seed, t.rate, t.most, "fixed", fault) for t in trials)
        there = [outcome.reached is not None for outcome in outcomes]
        in_own = [
            outcome.reached is not None and outcome.reached <= limit
            for outcome, limit in zip(outcomes, own, strict=True)
        ]
        yield Row(
            f"{fault.replace('_', ' ')}: recovered to the target", 100 * sum(there) / len(there), "%", at_least=100,
            told={
                "runs": len(there),
                "within_three_times_their_own": 100 * sum(in_own) / len(in_own),
                "without_controller": 100 * sum(each.reached is not None for each in alone) / len(alone),
            },
        )  # fmt: skip
    trials = [
        Trial(each.workload.where, seed, each.rate, 3 * each.steps[seed], "control", "out_of_memory")
        for each in best if each.workload.build(0).loader is not None for seed in options.seeds
    ]  # fmt: skip
    if not trials:
        return
    outcomes = options.run(trials)
    # A reflex must not change the batch; a policy may, by a decision that says so and moves the rate along.
    same = [each.reached is not None and each.effective_batch == each.decided_batch for each in outcomes]
    yield Row(
        "out of memory: survived at the effective batch that was chosen", 100 * sum(same) / len(same), "%",
        at_least=100,
        told={
            "runs": len(same),
            "reached": sum(each.reached is not None for each in outcomes),
            "changed_by_a_decision": sum(each.decided_batch != each.began_with_batch for each in outcomes),
        },
    )  # fmt: skip
