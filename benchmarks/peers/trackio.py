"""Trackio: logs into SQLite files of its folder, as it does by default; its server reads them."""

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.peers.driver import CONFIG, KEYS, Driver, Logger, python

PROJECT = "bench"
TOKEN = "bench"


class TrackioLogger(Logger):
    def __init__(self, name: str):
        import trackio

        super().__init__(name)
        self.run = trackio.init(
            project=PROJECT, name=name, config=CONFIG, embed=False, auto_log_cpu=False, auto_log_gpu=False
        )

    def log(self, values: dict[str, float], step: int) -> None:
        self.run.log(values, step=step)

    def close(self) -> None:
        self.run.finish()


class Trackio(Driver):
    name = "trackio"
    note = "logs straight into the files that its server reads"

    def environment(self) -> dict[str, str]:
        return {
            "TRACKIO_DIR": str(self.folder / "data"), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(self.folder / "hf"), "GRADIO_ANALYTICS_ENABLED": "False",
            "TRACKIO_WRITE_TOKEN": TOKEN,
        }  # fmt: skip

    def command(self) -> list[str]:
        show = f"import trackio; trackio.show(server_port={self.port}, open_browser=False, block_thread=True)"
        return [python(), "-c", show]

    def is_ready(self) -> bool:
        return bool(self.server.get("/version"))

    def ask(self, name: str, **arguments: Any) -> Any:
        told = json.loads(self.server.post(f"/api/{name}", arguments))
        if "data" not in told:
            raise OSError(f"{name}: {told}")
        return told["data"]

    def open(self, name: str) -> Logger:
        return TrackioLogger(name)

    def readable(self, run: str, keys: Sequence[str] = KEYS) -> int:
        return int(self.ask("get_run_summary", project=PROJECT, run=run)["num_logs"])

    def chart(self, run: str, key: str, width: int) -> int:
        # Its page asks for logs of all keys, 3,000 rows at most; this is the leaner call of its API.
        return len(self.ask("get_metric_values", project=PROJECT, run=run, metric_name=key, max_points=width))

    def fill_runs(self, count: int) -> int:
        # `finish` waits half a second; the server takes runs by the hundred.
        self.server.headers = {"X-Trackio-Write-Token": TOKEN}
        for first in range(0, count, 100):
            logs = [
                {
                    "project": PROJECT, "run": f"listed {number}", "step": 0, "config": CONFIG,
                    "metrics": dict.fromkeys(KEYS, number / 7),
                }
                for number in range(first, min(first + 100, count))
            ]  # fmt: skip
            self.ask("bulk_log", logs=logs, hf_token=None)
        return count

    def list_runs(self, count: int) -> int:
        return len(self.ask("get_runs_for_project", project=PROJECT))

    def list_values(self, count: int) -> int:
        found = self.ask("get_runs_for_project", project=PROJECT)
        runs = [{"run": each["name"], "run_id": each.get("id")} for each in found]
        # It takes 64 runs a question at most.
        parts = (runs[first : first + 64] for first in range(0, len(runs), 64))
        return sum(
            len(self.ask("get_logs_batch", project=PROJECT, runs=part, scalar_only=True)) for part in parts
        )


DRIVER = Trackio
