"""TensorBoard: event files, one event a value as SummaryWriter.add_scalar writes them; its server reads them."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.driver import KEYS, Driver, Logger, python


class EventLogger(Logger):
    def __init__(self, folder: Path, name: str):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        super().__init__(name)
        self.event, self.summary = Event, Summary
        # By default the file is written every 120 s.
        self.writer = EventFileWriter(str(folder / name), flush_secs=1)

    def log(self, values: dict[str, float], step: int) -> None:
        for key, value in values.items():
            summary = self.summary(value=[self.summary.Value(tag=key, simple_value=value)])
            self.writer.add_event(self.event(step=step, wall_time=time.time(), summary=summary))

    def close(self) -> None:
        self.writer.close()


class TensorBoard(Driver):
    name = "tensorboard"
    note = "writes files alone, flushed every second instead of every 120; charts are 1,000 random samples"

    def command(self) -> list[str]:
        folder = self.folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        return [
            python(), "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(self.port),
            "--host", "127.0.0.1", "--load_fast", "false",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        return bool(self.server.get("/data/environment"))

    def open(self, name: str) -> Logger:
        return EventLogger(self.folder / "data", name)

    def scalars(self, run: str, key: str) -> list[list[float]]:
        found: list[list[float]] = json.loads(
            self.server.get("/data/plugin/scalars/scalars", run=run, tag=key)
        )
        return found

    def readable(self, run: str, keys: Sequence[str] = KEYS) -> int:
        # The newest is always among the samples. A run that it has not found yet is a 404.
        try:
            return min(int(self.scalars(run, key)[-1][1]) + 1 for key in keys)
        except (OSError, IndexError):
            return 0

    def chart(self, run: str, key: str, width: int) -> int:
        return len(self.scalars(run, key))

    def list_runs(self, count: int) -> int:
        return sum(name.startswith("listed ") for name in json.loads(self.server.get("/data/runs")))


DRIVER = TensorBoard
