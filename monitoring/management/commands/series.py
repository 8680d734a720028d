"""Looks after the series store: `manage.py series stats | check [--repair] | compact | age | fill`."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monitoring.storage import integrity, series
from monitoring.storage.fill import fill
from monitoring.storage.log_chunks import gather


class Command(BaseCommand):
    help = "Figures of the series store, a check of every chunk, compaction or retention now, or a big store to try."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["stats", "check", "compact", "age", "fill"])
        parser.add_argument("--repair", action="store_true", help="with check: rebuild what the points allow")
        parser.add_argument(
            "--seconds", type=float, default=600, help="with compact and age: stop after so long (600)"
        )

        for name, default, what in (
            ("runs", 10, "how many runs"),
            ("keys", 50, "keys a run"),
            ("points", 100_000, "points a key"),
            ("seed", 1, "another one makes other runs"),
        ):
            parser.add_argument(f"--{name}", type=int, default=default, help=f"with fill: {what} ({default})")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"run_{options['what']}")(options)

    def run_stats(self, options: dict[str, Any]) -> None:
        for name, figure in series.stats().items():
            self.stdout.write(f"{name:<16} {figure:>16,}")

    def run_check(self, options: dict[str, Any]) -> None:
        problems = integrity.check(repair=options["repair"])
        for problem in problems:
            where = (
                f"chunk {problem.chunk}" if problem.chunk else "its figures" if problem.key else "the store"
            )
            mended = " (mended)" if problem.mended else ""
            self.stdout.write(f"{problem.source} {problem.key!r}, {where}: {problem.message}{mended}")
        left = [problem for problem in problems if not problem.mended]
        if left:
            raise CommandError(f"{len(left)} faults; reads leave torn chunks out, and nothing was deleted")
        self.stdout.write("The store is whole." if not problems else "All of it was mended.")

    def run_compact(self, options: dict[str, Any]) -> None:
        rows = gather(limit_seconds=options["seconds"])
        points = series.compact(limit_seconds=options["seconds"])
        self.stdout.write(f"{points:,} points compacted, {rows:,} rows of log lines gathered")

    def run_age(self, options: dict[str, Any]) -> None:
        self.stdout.write(f"the points of {series.age(limit_seconds=options['seconds']):,} chunks gave way")

    def run_fill(self, options: dict[str, Any]) -> None:
        asked = {name: options[name] for name in ("runs", "keys", "points", "seed")}
        for name, value in asked.items():
            if value < 1:
                raise CommandError(f"--{name}={value}; expected 1 or more")
        began = time.monotonic()
        count = 0
        for count, source in enumerate(fill(**asked), 1):
            if count % 100 == 0:
                self.stdout.write(f"{source}: {count:,} runs in {time.monotonic() - began:,.0f} s")
        points = count * asked["keys"] * asked["points"]
        self.stdout.write(f"{points:,} points of {count:,} runs in {time.monotonic() - began:,.1f} s")
