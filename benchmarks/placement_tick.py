"""A placement tick over many waiting jobs and devices: reading the rows, placing, writing down why jobs wait.

    python -m benchmarks.placement_tick [--jobs 5000] [--nodes 125] [--repeats 5] [--json]

Nodes have eight GPUs; all but one in a hundred are held, so hardly anything starts: the queue as it stands for most of
a day. Times are of the processor, on one core beside the database.
"""

import gc
import os
import random
import statistics
import tempfile
import time

from benchmarks.report import Report, parser

DEVICES_A_NODE = 8


def fill(jobs: int, nodes: int) -> None:
    from django.utils import timezone

    from monitoring.models import Device, Node
    from training.models import Attempt, DeviceLease, Experiment, Job, JobState, Project, Run

    dice = random.Random(1000)
    experiments = [
        Experiment.objects.create(
            project=Project.objects.create(slug=f"team{number}", name=f"team {number}"), slug="e", name="e"
        )
        for number in range(20)
    ]
    hosts = Node.objects.bulk_create(Node(name=f"node{number}") for number in range(nodes))
    devices = Device.objects.bulk_create(
        Device(node=host, kind="gpu", index=index) for host in hosts for index in range(DEVICES_A_NODE)
    )

    def queued(count: int, state: str) -> list[Job]:
        runs = Run.objects.bulk_create(
            Run(experiment=dice.choice(experiments), name=f"run {number}", state="queued")
            for number in range(count)
        )
        return Job.objects.bulk_create(
            Job(run=run, argv=["true"], device_kind="gpu", min_devices=least, max_devices=least, state=state,
                priority=dice.randrange(3))
            for run in runs
            for least in [dice.choice([1, 1, 2, 4, 8])]
        )  # fmt: skip

    busy = [device for device in devices if dice.random() < 0.99]
    attempts = Attempt.objects.bulk_create(
        Attempt(job=job, number=1, node=device.node, lease_expires_at=timezone.now())
        for job, device in zip(queued(len(busy), JobState.ACTIVE), busy, strict=True)
    )
    DeviceLease.objects.bulk_create(
        DeviceLease(device=device, attempt=attempt) for device, attempt in zip(busy, attempts, strict=True)
    )
    queued(jobs, JobState.QUEUED)


def main() -> None:
    arguments = parser(__doc__, repeats=5)
    arguments.add_argument("--jobs", type=int, default=5000)
    arguments.add_argument("--nodes", type=int, default=125)
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
        # Starts are told to a broker in this process: one that is away would be what the first tick waits for.
        from celery import current_app

        current_app.conf.broker_url = "memory://"
        fill(options.jobs, options.nodes)
        # What filling left behind is no worker's: a collection of it would fall into any one tick.
        gc.collect()
        gc.freeze()
        from training.jobs.tasks import place_tick

        taken = []
        begun = 0
        for _ in range(options.repeats + 1):
            start = time.process_time()
            begun = max(begun, place_tick())
            taken.append(time.process_time() - start)
    report = Report("placement_tick", options.json)
    size = f"{options.jobs:,} waiting jobs, {options.nodes * DEVICES_A_NODE:,} devices"
    report.line(f"first tick, {size}: all are told why", 1000 * taken[0], "ms", note=f"{begun} started")
    report.line(
        f"later ticks, {size}",
        1000 * statistics.median(taken[1:]),
        "ms",
        at_most=200,
        repeats=options.repeats,
    )


if __name__ == "__main__":
    main()
