"""What a run costs that nobody watches, and what a viewer adds: CPU of the SDK's thread and of the site.

    python -m benchmarks.unwatched [--seconds 10] [--json]

A process logs 5 values every 10 ms and does nothing else. What is told are Linux's own counts of time on a core, which
other work on the machine hardly changes: of the link's thread, and of the web process and the broker beyond what they
take with no run at all. First without a viewer, then with one.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks.report import Report, parser
from benchmarks.site import measured_site
from benchmarks.step_overhead import viewer

TRAINER = """
import json, sys, tempfile, time
import scaleweb_sdk

run = scaleweb_sdk.init(experiment="bench", project="bench", capture=False, dir=tempfile.mkdtemp())
while not run.code:
    time.sleep(0.01)
print(json.dumps({"code": run.code, "thread": run.link._thread.native_id}), flush=True)
values = {"loss": 1.0, "lr": 0.01, "accuracy": 0.5, "epoch": 1.0, "speed": 311.0}
while True:
    run.step(values)
    time.sleep(0.01)
"""
# Who watched last is forgotten within ten seconds; what a start leaves to do is done by then.
SETTLE_SECONDS = 15


def on_core(pid: int, thread: int | None = None) -> int:
    """Nanoseconds on a core so far: of a process's living threads, or of one."""
    tasks = Path(f"/proc/{pid}/task")
    chosen = [tasks / str(thread)] if thread else list(tasks.iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in chosen)


def percent_of_a_core(seconds: float, asked: dict[str, tuple[int, int | None]]) -> dict[str, float]:
    begun, before = time.monotonic_ns(), {name: on_core(*who) for name, who in asked.items()}
    time.sleep(seconds)
    taken = time.monotonic_ns() - begun
    return {name: 100 * (on_core(*who) - before[name]) / taken for name, who in asked.items()}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=10.0, help="that are counted")
    options = arguments.parse_args()
    report = Report("unwatched", options.json)
    with measured_site() as site, ExitStack() as ends:
        broker = next(p for p in psutil.Process().children() if "valkey" in p.name())
        asked: dict[str, tuple[int, int | None]] = {
            "web process": (site.pid, None),
            "broker": (broker.pid, None),
        }
        time.sleep(SETTLE_SECONDS)
        idle = percent_of_a_core(options.seconds, asked)
        for name, share in idle.items():
            report.line(f"{name} without a run, of a core", share, "percent")

        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALEWEB_")}
        training = subprocess.Popen(
            [sys.executable, "-c", TRAINER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=kept | {"SCALEWEB_URL": site.url, "SCALEWEB_TOKEN": site.user_token},
        )  # fmt: skip
        ends.callback(training.wait)
        ends.callback(training.kill)
        assert training.stdout is not None
        said = json.loads(training.stdout.readline())
        asked["link's thread"] = (training.pid, said["thread"])
        for case in ("nobody watches", "a viewer"):
            if case == "a viewer":
                ends.enter_context(viewer(site, said["code"]))
            time.sleep(SETTLE_SECONDS)
            for name, share in percent_of_a_core(options.seconds, asked).items():
                beyond = "" if name not in idle else " beyond that"
                report.line(f"{name}{beyond}, {case}, of a core", share - idle.get(name, 0.0), "percent")


if __name__ == "__main__":
    main()
