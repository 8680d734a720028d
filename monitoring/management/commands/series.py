"""Looks after the series store: `manage.py series stats | check [--repair] | compact`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monitoring.storage import integrity, series


class Command(BaseCommand):
    help = "Figures of the series store, a check of every chunk, or compaction now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["stats", "check", "compact"])
        parser.add_argument("--repair", action="store_true", help="with check: rebuild what the points allow")
        parser.add_argument(
            "--seconds", type=float, default=600, help="with compact: stop after so long (600)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"run_{options['what']}")(options)

    def run_stats(self, options: dict[str, Any]) -> None:
        for name, figure in series.stats().items():
            self.stdout.write(f"{name:<16} {figure:>16,}")

    def run_check(self, options: dict[str, Any]) -> None:
        problems = integrity.check(repair=options["repair"])
        for problem in problems:
            where = f"chunk {problem.chunk}" if problem.chunk else "its figures"
            mended = " (mended)" if problem.mended else ""
            self.stdout.write(f"{problem.source} {problem.key!r}, {where}: {problem.message}{mended}")
        left = [problem for problem in problems if not problem.mended]
        if left:
            raise CommandError(f"{len(left)} faults; reads leave torn chunks out, and nothing was deleted")
        self.stdout.write("The store is whole." if not problems else "All of it was mended.")

    def run_compact(self, options: dict[str, Any]) -> None:
        self.stdout.write(f"{series.compact(limit_seconds=options['seconds']):,} points compacted")
