"""An experiment of many finished runs with long series, to try a big site on: `manage.py fill_experiment NAME`."""

import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from monitoring.storage import series
from monitoring.storage.fill import fill
from training.api.slugs import free_slug
from training.models import Experiment, Project, Run
from training.states import RunState

LARGEST_SEED = 99_999  # it is part of a run's code, which has 16 characters


class Command(BaseCommand):
    help = (
        "Make an experiment of so many runs, keys and points (the same points as `series fill` of that seed)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the experiment; one that is there gets what it lacks")
        parser.add_argument("--project", default="default", help="slug of its project (default)")
        for name, default, what in (
            ("runs", 10, "how many runs"),
            ("keys", 50, "keys a run"),
            ("points", 100_000, "points a key"),
            ("seed", 1, "another one makes other runs"),
        ):
            parser.add_argument(f"--{name}", type=int, default=default, help=f"{what} ({default})")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = {name: options[name] for name in ("runs", "keys", "points", "seed")}
        for name, value in asked.items():
            if value < 1:
                raise CommandError(f"--{name}={value}; expected 1 or more")
        if asked["seed"] > LARGEST_SEED:
            raise CommandError(f"--seed={asked['seed']}; expected at most {LARGEST_SEED}")
        experiment = self.experiment(options["project"], options["name"])
        began = time.monotonic()
        for count, source in enumerate(fill(**asked), 1):
            self.run_of(experiment, source, asked["points"])
            if count % 100 == 0:
                self.stdout.write(f"{source}: {count:,} runs in {time.monotonic() - began:,.0f} s")
        points = asked["runs"] * asked["keys"] * asked["points"]
        self.stdout.write(
            f"{points:,} points of {asked['runs']:,} runs of {experiment} in {time.monotonic() - began:,.1f} s"
        )

    def experiment(self, slug: str, name: str) -> Experiment:
        project = Project.objects.get_or_create(slug=slug, defaults={"name": slug})[0]
        found = Experiment.objects.filter(project=project, name=name).first()
        return found or Experiment.objects.create(project=project, slug=free_slug(project, name), name=name)

    def run_of(self, experiment: Experiment, source: str, points: int) -> None:
        code = source.removeprefix("run:")
        other = (
            Run.objects.filter(code=code).exclude(experiment=experiment).select_related("experiment").first()
        )
        if other is not None:
            raise CommandError(f"{code} is in {other.experiment} already; take another --seed")
        keys = series.keys(source)
        last = max((info.last_time or 0.0 for info in keys), default=0.0)
        Run.objects.get_or_create(
            code=code,
            defaults={
                "experiment": experiment,
                "name": code,
                "state": RunState.FINISHED,
                "config": {"number": int(code.rpartition("-")[2])},
                "summary": {info.key: info.last_value for info in keys},
                "last_step": points - 1,
                "branches": [
                    {"index": 0, "from_step": 0, "reason": "start", "at": timezone.now().isoformat()}
                ],
                "ended_at": datetime.fromtimestamp(last, UTC),
            },
        )
