"""Starts the site, says where it is, keeps it up, and ends it in order."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from scaleweb.env import BadSetting

from .checks import CannotStart


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scaleweb.stack",
        description="The whole of ScaleWeb on this machine: broker, web, node worker, control worker, beat.",
        epilog="Data is kept in SCALEWEB_HOME (default .scaleweb/). Every setting: docs/settings.md",
    )
    parser.add_argument(
        "--host",
        default=os.environ.get("SCALEWEB_BIND") or "127.0.0.1",
        help="address to listen on (SCALEWEB_BIND)",
    )
    parser.add_argument("--port", default=os.environ.get("PORT") or "8000", help="port to listen on (PORT)")
    parser.add_argument(
        "--no-demo",
        action="store_true",
        default=os.environ.get("DEMO", "1") == "0",
        help="start empty (DEMO=0)",
    )
    options = parser.parse_args()
    try:
        from .stack import Stack

        port = int(options.port) if options.port.isdigit() else 0
        if not 1 <= port <= 65535:
            raise CannotStart(f"PORT={options.port!r} is no port; use a number from 1 to 65535.")
        stack = Stack(options.host, port, demo=not options.no_demo)
    except (CannotStart, BadSetting) as error:
        print(error, file=sys.stderr)
        return 1

    def on_signal(number: int, _: object) -> None:
        stack.asked += 1

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        stack.start()
        while not stack.asked:
            stack.look()
            time.sleep(0.1)
    except (CannotStart, BadSetting) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        stack.stop()
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    raise SystemExit(main())
