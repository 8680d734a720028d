"""Aim: logs into RocksDB files of its repository, as it does by default; `aim up` reads them."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.driver import CONFIG, KEYS, Driver, Logger, python


class AimLogger(Logger):
    def __init__(self, folder: Path, name: str):
        from aim import Run

        self.run = Run(repo=str(folder), system_tracking_interval=None, capture_terminal_logs=False)
        self.run.name = name
        self.run["config"] = CONFIG
        super().__init__(self.run.hash)

    def log(self, values: dict[str, float], step: int) -> None:
        self.run.track(values, step=step)

    def close(self) -> None:
        self.run.close()


class Aim(Driver):
    name = "aim"
    note = "logs straight into the files that its server reads"

    def command(self) -> list[str]:
        from aim.sdk.repo import Repo

        folder = self.folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        Repo.from_path(str(folder), init=True)
        start = "from aim.cli.cli import cli_entry_point; cli_entry_point()"
        where = ["--repo", str(folder), "--host", "127.0.0.1", "--port", str(self.port)]
        return [python(), "-c", start, "up", *where, "--yes"]

    def is_ready(self) -> bool:
        return bool(self.server.get("/api/projects/"))

    def open(self, name: str) -> Logger:
        return AimLogger(self.folder / "data", name)

    def metrics(self, run: str, points: int, key: str = "") -> list[dict[str, Any]]:
        """The search that its metrics page sends."""
        query = f"run.hash == '{run}'" + (f" and metric.name == '{key}'" if key else "")
        told = self.server.get("/api/runs/search/metric/", q=query, p=points, report_progress="false")
        return [trace for found in decoded(told).values() for trace in found["traces"]]

    def readable(self, run: str, keys: Sequence[str] = KEYS) -> int:
        last = {
            trace["name"]: struct.unpack("<d", trace["iters"]["blob"][-8:])[0]
            for trace in self.metrics(run, 50)
            if trace["iters"]["blob"]
        }
        return int(min((last.get(key, -1.0) for key in keys), default=-1.0)) + 1

    def chart(self, run: str, key: str, width: int) -> int:
        found = self.metrics(run, width, key)
        return len(found[0]["values"]["blob"]) // 8 if found else 0

    def list_runs(self, count: int) -> int:
        return self.search(count, exclude_params="true", exclude_traces="true")

    def list_values(self, count: int) -> int:
        return self.search(count, exclude_params="true")

    def search(self, count: int, **without: str) -> int:
        asked = {"limit": count, "report_progress": "false", **without}
        return len(decoded(self.server.get("/api/runs/search/run/", **asked)))


def decoded(told: bytes) -> dict[str, Any]:
    from aim.storage.treeutils import decode_tree

    def parts() -> Iterator[tuple[bytes, bytes]]:
        at = 0
        while at < len(told):
            both = []
            for _ in range(2):
                (length,) = struct.unpack_from("I", told, at)
                both.append(told[at + 4 : at + 4 + length])
                at += 4 + length
            yield both[0], both[1]

    tree = decode_tree(parts()) if told else {}
    return {key: value for key, value in tree.items() if not key.startswith("progress")}


DRIVER = Aim
