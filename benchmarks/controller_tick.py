"""A tick of the controller over many running runs in mode act: reading, deciding, recording.

    python -m benchmarks.controller_tick [--runs 1000] [--repeats 5] [--json]

Every run has 1,000 steps of loss, lr and gradient norm in the store, half of them compacted; one in twenty diverges. No
process listens to what the controller orders, and all is on one core beside the database.
"""

import os
import statistics
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks.report import Report, parser

STEPS = 1000


def fill(runs: int) -> None:
    from control.models import ControllerSettings, Mode
    from monitoring.storage import series
    from scaleweb_sdk.protocol import Batch, PackedColumn
    from training.models import Checkpoint, Experiment, Project, Run, Tunable

    project = Project.objects.create(slug="bench", name="bench")
    experiment = Experiment.objects.create(project=project, slug="bench", name="bench", goal_metric="loss")
    ControllerSettings.objects.create(experiment=experiment, mode=Mode.ACT)
    made = Run.objects.bulk_create(
        Run(experiment=experiment, name=f"run {number}", state="running", last_step=STEPS - 1)
        for number in range(runs)
    )
    Tunable.objects.bulk_create(
        Tunable(
            run=run,
            name="lr",
            kind="float",
            value=0.1,
            initial=0.1,
            low=1e-6,
            high=10.0,
            scale="log",
            role="learning_rate",
        )
        for run in made
    )
    Checkpoint.objects.bulk_create(
        Checkpoint(run=run, step=step, path=f"/c/{run.code}/{step}", metrics={"loss": 1.0})
        for run in made
        for step in (0, 500)
    )
    dice = np.random.default_rng(1)
    steps = np.arange(STEPS, dtype="<i8")
    times = 1.75e9 + steps * 0.03
    for number, run in enumerate(made):
        loss = (2.3 * np.exp(-steps / 300) + 0.1) * np.exp(0.05 * dice.standard_normal(STEPS))
        if number % 20 == 0:
            loss[-100:] = 9.0
        for seq, part in ((1, slice(0, STEPS // 2)), (2, slice(STEPS // 2, STEPS))):
            columns = [
                PackedColumn(
                    key, steps[part].tobytes(), times[part].tobytes(), values[part].astype("<f8").tobytes()
                )
                for key, values in (("loss", loss), ("lr", np.full(STEPS, 0.1)), ("grad_norm", np.abs(loss)))
            ]
            series.append(run.source, "s" * 32, [Batch(seq, packed=columns)])
            if seq == 1 and number % 2:
                series.compact(source=run.source)


def main() -> None:
    arguments = parser(__doc__, repeats=5)
    arguments.add_argument("--runs", type=int, default=1000)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        os.environ["SCALEWEB_HOME"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        for database in settings.DATABASES:
            call_command("migrate", database=database, verbosity=0)
        fill(options.runs)
        from control.loop import tick

        taken: list[float] = []
        first: Any = None
        for _ in range(options.repeats + 1):
            start = time.perf_counter()
            done = tick()
            taken.append(time.perf_counter() - start)
            first = first or done
    report = Report("controller_tick", options.json)
    report.line(f"first tick over {options.runs} runs, which decides", taken[0], "s", note=str(first))
    report.line(
        f"later ticks over {options.runs} runs", statistics.median(taken[1:]), "s",
        at_most=1, repeats=options.repeats,
    )  # fmt: skip


if __name__ == "__main__":
    main()
