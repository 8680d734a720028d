"""What the controller learned: show it, carry it to another site, forget it."""

import json
import sys
from argparse import FileType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from control import beliefs
from control.learning.offered import percent


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        shown = verbs.add_parser("show", help="beliefs with their figures")
        shown.add_argument("--policy", default="", help="of this policy only")
        exported = verbs.add_parser("export", help="all of it as JSON")
        exported.add_argument("file", nargs="?", type=FileType("w"), default=sys.stdout)
        imported = verbs.add_parser("import", help="take exported beliefs in place of those there are")
        imported.add_argument("file", nargs="?", type=FileType("r"), default=sys.stdin)
        imported.add_argument(
            "--merge", action="store_true", help="add them to those there are; twice counts twice"
        )
        forgotten = verbs.add_parser("reset", help="forget")
        forgotten.add_argument("--policy", default="", help="this policy's only")

    def handle(self, *args: Any, **options: Any) -> None:
        verb = options["verb"]
        if verb == "show":
            self.show(options["policy"])
        elif verb == "export":
            json.dump(beliefs.export(), options["file"], indent=1)
            options["file"].write("\n")
            options["file"].flush()
        elif verb == "import":
            self.take(options["file"], options["merge"])
        else:
            self.stdout.write(f"{beliefs.reset(options['policy'])} beliefs forgotten")

    def take(self, file: Any, merge: bool) -> None:
        try:
            count = beliefs.load(json.load(file), merge)
        except json.JSONDecodeError as error:
            raise CommandError(f"this is no JSON: {error}") from None
        except beliefs.BadBeliefs as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{count} beliefs taken")

    def show(self, policy: str) -> None:
        book = beliefs.book()
        keys = [key for key in sorted(book.tallies) if policy in ("", key[0])]
        for name, action, context in keys:
            tally, belief = book.tallies[name, action, context], book.belief(name, action, context)
            self.stdout.write(
                f"{name}: {action} ({context}): "
                f"better {tally.better:.4g}, same {tally.same:.4g}, worse {tally.worse:.4g}; "
                f"gain {percent(belief.gain)} ({percent(belief.low)} to {percent(belief.high)})"
            )
        if not keys:
            self.stdout.write("nothing learned yet")
