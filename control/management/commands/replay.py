"""`manage.py replay RUN`: what the controller would have decided over a stored run."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from control.replay import UnknownPolicy, replay
from training.models import Run


class Command(BaseCommand):
    help = "Say what the controller's policies would have decided over a stored run. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", help="the run's code")
        parser.add_argument("--policy", action="append", dest="policies", help="only this policy; repeatable")
        parser.add_argument("--json", action="store_true", help="one JSON object a line, with all figures")

    def handle(self, *args: Any, **options: Any) -> None:
        run = Run.objects.select_related("experiment__controller").filter(code=options["run"]).first()
        if run is None:
            raise CommandError(f"there is no run {options['run']!r:.80}; its code is in its page's address")
        try:
            result = replay(run, options["policies"])
        except UnknownPolicy as error:
            raise CommandError(str(error)) from None
        for decision in result.decisions:
            if options["json"]:
                self.stdout.write(json.dumps(decision))
                continue
            blocked = f" [{decision['blocked_by']}]" if decision["blocked_by"] else ""
            self.stdout.write(
                f"step {decision['decided_step']:>8}  {decision['policy']}: {decision['reason']}{blocked}"
            )
        for policy, message in result.problems.items():
            self.stderr.write(f"policy {policy} failed: {message}")
        if not options["json"]:
            self.stdout.write(f"{len(result.decisions)} decisions in {result.moments} moments looked at")
