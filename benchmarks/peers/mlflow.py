"""MLflow: logs over HTTP to `mlflow server` with its default store, asynchronously and in gathered requests.

Without MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS each call of log_metrics is a request of its own.
"""

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress

from benchmarks.peers.driver import CONFIG, KEYS, Driver, Logger, python

EXPERIMENT = "bench"


class MlflowLogger(Logger):
    def __init__(self, name: str):
        import mlflow

        mlflow.set_experiment(EXPERIMENT)
        self.mlflow = mlflow
        super().__init__(mlflow.start_run(run_name=name).info.run_id)
        mlflow.log_params(CONFIG)

    def log(self, values: dict[str, float], step: int) -> None:
        self.mlflow.log_metrics(values, step=step, synchronous=False)

    def close(self) -> None:
        self.mlflow.flush_async_logging()
        self.mlflow.end_run()


class Mlflow(Driver):
    name = "mlflow"
    note = "4 workers, SQLite, asynchronous logging, calls of a second in one request"

    def environment(self) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.port}", "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet", "MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS": "1",
        }  # fmt: skip

    def command(self) -> list[str]:
        folder = self.folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        return [
            python(), "-m", "mlflow", "server", "--host", "127.0.0.1",
            "--port", str(self.port), "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
            "--artifacts-destination", str(folder / "artifacts"),
            # Else its workers are killed and started anew for ever where importing takes over 5 s.
            "--uvicorn-opts", "--timeout-worker-healthcheck 120",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        return self.server.get("/health") == b"OK"

    def prepared(self) -> dict[str, str]:
        # Processes that start at once would race to make it.
        where = "/api/2.0/mlflow/experiments"
        with suppress(OSError):  # made at an earlier start
            self.server.post(f"{where}/create", {"name": EXPERIMENT})
        found = json.loads(self.server.get(f"{where}/get-by-name", experiment_name=EXPERIMENT))
        self.experiment = found["experiment"]["experiment_id"]
        return {}

    def open(self, name: str) -> Logger:
        os.environ.setdefault("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{self.port}")
        return MlflowLogger(name)

    def readable(self, run: str, keys: Sequence[str] = KEYS) -> int:
        told = json.loads(self.server.get("/api/2.0/mlflow/runs/get", run_id=run))
        last = {
            metric["key"]: int(metric.get("step", 0)) for metric in told["run"]["data"].get("metrics", [])
        }
        return min(last.get(key, -1) for key in keys) + 1

    def chart(self, run: str, key: str, width: int) -> int:
        told = self.server.get(
            "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
            run_ids=run, metric_key=key, max_results=width,
        )  # fmt: skip
        return len(json.loads(told)["metrics"])

    def fill_runs(self, count: int) -> int:
        now, end = int(time.time() * 1000), time.monotonic() + 90
        for number in range(count):
            if time.monotonic() > end:
                return number
            made = json.loads(
                self.server.post(
                    "/api/2.0/mlflow/runs/create",
                    {"experiment_id": self.experiment, "run_name": f"listed {number}", "start_time": now},
                )
            )["run"]["info"]["run_id"]
            metrics = [{"key": key, "value": number / 7, "timestamp": now, "step": 0} for key in KEYS]
            params = [{"key": key, "value": str(value)} for key, value in CONFIG.items()]
            self.server.post(
                "/api/2.0/mlflow/runs/log-batch", {"run_id": made, "metrics": metrics, "params": params}
            )
        return count

    def list_runs(self, count: int) -> int:
        body = {"experiment_ids": [self.experiment], "max_results": count}
        return len(json.loads(self.server.post("/api/2.0/mlflow/runs/search", body)).get("runs", []))

    def list_values(self, count: int) -> int:
        return self.list_runs(count)  # there is nothing less


DRIVER = Mlflow
