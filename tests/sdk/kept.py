"""Scripts that keep their runs in a folder, and what they kept."""

import os
import subprocess
import sys
import textwrap
from enum import IntEnum

import scaleweb_sdk
from scaleweb_sdk.spool import Spool
from scaleweb_sdk.thinning import numbers, packed


def read(folder):
    """({key: [(step, value)…]}, events, lines) of the one run kept in `folder`."""
    (place,) = folder.iterdir()
    points: dict = {}
    events, lines = [], []
    for batch in Spool(place).after(0):
        for column in packed(batch):
            pairs = zip(numbers("q", column.steps), numbers("d", column.values), strict=True)
            points.setdefault(column.key, []).extend(pairs)
        events += batch.events
        lines += [(line.stream, line.text) for line in batch.lines]
    return points, events, lines


def offline(folder, **fields):
    return scaleweb_sdk.init(mode="offline", dir=folder, **{"capture": False, **fields})


def script(folder, text, **options):
    """Run a script of its own process that keeps its run in `folder`; what came of it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCALEWEB_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=100,
        env=environment | {"SCALEWEB_MODE": "offline", "SCALEWEB_SPOOL_DIR": str(folder)}, **options,
    )  # fmt: skip


class Raising:
    """Raises whatever is asked of it."""

    def __init__(self, error):
        self.error = error

    def __float__(self):
        raise self.error

    def __repr__(self):
        raise self.error


class Colour(IntEnum):
    RED = 3
