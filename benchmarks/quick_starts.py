"""Bad starts of trainings of quick steps, steered by a whole site of this machine: how many reach their target?

    python -m benchmarks.quick_starts [--step-ms 1,3,10] [--seeds 1-3] [--alone] [--json]

The built-in workload `regression` from a hundredth, a thirtieth and a tenth of its best fixed rate, and from ten times
it; a step takes as long as is asked for, by waiting. The target is reached when the median of the last three figures
has, within three times the steps of the best fixed rate. Unlike `benchmarks.control`, which looks every so many steps,
a site looks every so many seconds, at what has come to it by then. --alone: with the controller off.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Report, parser, seeds_of
from tests.support.stack import RunningStack

BEST_RATE, BEST_STEPS = 0.0949, 750  # of seeds 1 to 10, benchmarks.control
FACTORS = (0.01, 1 / 30, 0.1, 10.0)
TOGETHER = 2  # trainings at once


def train(seed: int, rate: float, step_ms: float, experiment: str) -> None:
    """One training in this process; prints the steps to the target, or "none"."""
    import statistics

    import torch

    import scaleweb_sdk
    import scaleweb_sdk.torch
    from benchmarks.control.workload import load

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    workload = load("regression")
    built = workload.build(seed)
    optimizer = built.optimizer(rate)
    measured: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        run = scaleweb_sdk.init(experiment=experiment, name=f"{rate:g} seed {seed}", capture=False)
        loop = scaleweb_sdk.torch.attach(
            run, built.model, optimizer, built.loader, checkpoint_dir=folder, checkpoint_every=50,
            lr_bounds=(1e-8, 100.0),
        )  # fmt: skip
        done, due = 0, time.perf_counter()
        for _, batch in loop.batches():
            before = loop.step
            with loop.guard():
                loop.backward(built.loss(batch))
            if loop.step == before:
                continue
            done += 1
            due = max(due + step_ms / 1000, time.perf_counter())
            time.sleep(max(0.0, due - time.perf_counter()))
            if done % workload.measure_every == 0:
                measured.append(built.progress())
            there = len(measured) > 2 and workload.reached(statistics.median(measured[-3:]))
            if there or done >= 3 * BEST_STEPS:
                print(f"steps {done if there else 'none'}", flush=True)
                break
        run.finish()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--step-ms", default="1,3,10", help="of a step, separated by commas")
    arguments.add_argument("--seeds", type=seeds_of, default=(1, 2, 3))
    arguments.add_argument("--alone", action="store_true", help="with the controller off")
    arguments.add_argument(
        "--train", nargs=4, metavar=("SEED", "RATE", "MS", "EXPERIMENT"), help="one of them"
    )
    given = arguments.parse_args()
    if given.train:
        seed, rate, step_ms, experiment = given.train
        train(int(seed), float(rate), float(step_ms), experiment)
        return
    report = Report("quick_starts", given.json)
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        stack = RunningStack(Path(folder) / "home").start()
        try:
            for step_ms in map(float, given.step_ms.split(",")):
                reached = measured(stack, step_ms, given.seeds, "off" if given.alone else "act")
                found = [steps for each in reached.values() for steps in each]
                report.line(
                    f"steps of {step_ms:g} ms: reach the target within 3x the best fixed rate's steps",
                    100 * sum(steps is not None for steps in found) / len(found), "%",
                    runs=len(found), by_factor={f"{factor:.3g}": each for factor, each in reached.items()},
                )  # fmt: skip
        finally:
            stack.stop()


def measured(
    stack: RunningStack, step_ms: float, seeds: tuple[int, ...], mode: str
) -> dict[float, list[int | None]]:
    """By factor of the best rate: the steps to the target of each seed, None where it was not reached."""
    api = stack.api()
    name = f"steps of {step_ms:g} ms"
    experiment = api.post("experiments", {"name": name, "project": "default", "goal_metric": "loss"})
    api.again("PATCH", f"experiments/{experiment['id']}/controller", json={"mode": mode})
    environment = stack.environment | {"SCALEWEB_URL": stack.url, "SCALEWEB_TOKEN": stack.token()}
    asked = [(factor, seed) for factor in FACTORS for seed in seeds]
    found: dict[float, list[int | None]] = {factor: [] for factor in FACTORS}
    for start in range(0, len(asked), TOGETHER):
        trainings = [
            (factor, subprocess.Popen(
                [sys.executable, "-m", "benchmarks.quick_starts", "--train", str(seed), f"{BEST_RATE * factor:.4g}",
                 str(step_ms), name],
                env=environment, stdout=subprocess.PIPE, text=True,
            ))
            for factor, seed in asked[start : start + TOGETHER]
        ]  # fmt: skip
        for factor, training in trainings:
            said, _ = training.communicate(timeout=300)
            if training.returncode:
                raise SystemExit(f"a training ended with {training.returncode}: {said}")
            (steps,) = [line.split()[1] for line in said.splitlines() if line.startswith("steps ")]
            found[factor].append(None if steps == "none" else int(steps))
    return found


if __name__ == "__main__":
    main()
