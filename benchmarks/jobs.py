"""The job engine's times on a whole site of this machine: a start, many short jobs, and recoveries.

python -m benchmarks.jobs [--jobs 1000] [--slots 8] [--repeats 5] [--only start,many,killed,lost] [--json]

start: from the moment of a submit to the first line of user code, on an idle node. many: short jobs, each of which
notes that it ran. killed: kill -9 of a training process until its first line runs again. lost: kill -9 of a node's
worker, supervisor and process at once, until the first line runs on another node.
"""

import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import Report, parser
from tests.support.stack import TOP, RunningStack
from tests.support.wait import until

LEASE_SECONDS = 10
# Notes the wall clock as its very first act: os and time are loaded with the interpreter, or nearly so.
FIRST_LINE = "import os, sys, time; open(sys.argv[1], 'a').write(f'{time.time()}\\n')"
LIVES_ON = FIRST_LINE + "; time.sleep(600)"


class Bench:
    def __init__(self, folder: Path, slots: int) -> None:
        self.folder = folder
        self.stack = RunningStack(
            folder / "home",
            SCALEWEB_CPU_SLOTS=str(slots),
            SCALEWEB_LEASE_SECONDS=str(LEASE_SECONDS),
            SCALEWEB_NODE="first",
        ).start()
        self.api = self.stack.api()
        self.count = 0

    def submit(self, script: str, **fields: Any) -> tuple[dict[str, Any], Path]:
        """A job, and the file in which its first line notes the time."""
        self.count += 1
        notes = self.folder / f"notes-{self.count}"
        argv = [sys.executable, "-c", script, str(notes)]
        return self.api.post("jobs", {"experiment_name": "jobs", "argv": argv} | fields), notes

    def over(self, job: dict[str, Any]) -> None:
        until(
            lambda: self.api.get(f"jobs/{job['code']}")["state"] in {"done", "failed", "stopped"},
            60,
            every=0.05,
        )

    def stop(self, job: dict[str, Any]) -> None:
        self.api.post(f"jobs/{job['code']}/stop")
        self.over(job)


def lines(notes: Path) -> list[float]:
    return [float(line) for line in notes.read_text().split()] if notes.exists() else []


def start_seconds(bench: Bench) -> float:
    before = time.time()
    job, notes = bench.submit(FIRST_LINE)
    at = until(lambda: lines(notes), 30, every=0.005)[0]
    bench.over(job)
    return at - before


def many(bench: Bench, count: int) -> dict[str, float]:
    """How long they take, and how many were lost or ran twice, by their own notes and by the records."""
    noted = bench.folder / "many"
    script = f"import os; open({str(noted)!r}, 'a').write(os.environ['SCALEWEB_RUN'] + chr(10))"
    begun = time.perf_counter()
    codes = {bench.submit(script)[0]["run"] for _ in range(count)}
    submitted = time.perf_counter() - begun

    def open_jobs() -> int:
        return sum(
            bench.api.get(f"runs/count?state={state}")["count"] for state in ("queued", "starting", "running")
        )

    until(lambda: not open_jobs(), 1800, every=0.5)
    ran = Counter(noted.read_text().split())
    return {
        "seconds": time.perf_counter() - begun,
        "submitted": submitted,
        "lost": len([code for code in codes if not ran[code]]),
        "twice": len([code for code in codes if ran[code] > 1]),
    }


def killed_seconds(bench: Bench) -> float:
    job, notes = bench.submit(LIVES_ON, max_retries=1)
    until(lambda: lines(notes), 30)
    (process,) = processes_of(notes)
    at = time.time()
    process.send_signal(signal.SIGKILL)
    again = until(lambda: lines(notes)[1:], 60, every=0.01)[0]
    bench.stop(job)
    return again - at


def lost_seconds(bench: Bench) -> float:
    """On a second node, which is then ended as by a power cut; the first one is cordoned until the job runs."""
    home = bench.folder / f"second-{bench.count}"
    home.mkdir()
    (home / "checkpoints").symlink_to(bench.stack.home / "checkpoints")
    name = home.name
    ours = re.compile("SCALEWEB_|DJANGO_|REDIS_|DATABASE_")
    kept = {key: value for key, value in os.environ.items() if not ours.match(key)}
    data = bench.stack.home
    # One machine: the second worker takes the site's own SQLite and broker, through links.
    for shared in ("scaleweb.sqlite3", "series.sqlite3", "secret_key"):
        (home / shared).symlink_to(data / shared)
    environment = kept | {
        "SCALEWEB_HOME": str(home), "SCALEWEB_URL": bench.stack.url, "SCALEWEB_CPU_SLOTS": "1",
        "REDIS_URL": f"unix://{data / 'run' / 'broker.sock'}", "SCALEWEB_LEASE_SECONDS": str(LEASE_SECONDS),
    }  # fmt: skip
    bench.api.post("nodes/first/cordon")
    with open(bench.folder / f"{name}.log", "ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "scaleweb", "worker", "-Q", f"node.{name}", "--pool", "threads",
             "-n", f"node@{name}", "-l", "INFO"],
            cwd=TOP, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        job, notes = bench.submit(LIVES_ON, max_retries=1)
        until(lambda: lines(notes), 60)
        bench.api.post("nodes/first/uncordon")
        at = time.time()
        for process in [psutil.Process(worker.pid), *processes_of(home)]:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        again = until(lambda: lines(notes)[1:], 120, every=0.01)[0]
        bench.stop(job)
        return again - at
    finally:
        worker.kill()
        worker.wait()
        for process in processes_of(home):
            with contextlib.suppress(psutil.Error):
                process.kill()


def processes_of(path: Path) -> list[psutil.Process]:
    """Processes that name this path in their command or have it as their folder of attempts."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            said = " ".join(process.cmdline()) + process.environ().get("SCALEWEB_SPOOL_DIR", "")
            if process.pid != os.getpid() and str(path) in said and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def main() -> None:
    arguments = parser(__doc__, repeats=5)
    arguments.add_argument("--jobs", type=int, default=1000)
    arguments.add_argument("--slots", type=int, default=8)
    arguments.add_argument("--only", default="start,many,killed,lost")
    options = arguments.parse_args()
    report = Report("jobs", options.json)
    single: dict[str, tuple[str, Callable[[Bench], float], float]] = {
        "start": ("submit to the first line of user code", start_seconds, 1.0),
        "killed": ("process killed, its first line again", killed_seconds, 5.0),
        "lost": (
            f"node lost, its first line elsewhere (lease {LEASE_SECONDS} s)",
            lost_seconds,
            LEASE_SECONDS + 10.0,
        ),
    }
    with tempfile.TemporaryDirectory(prefix="sw-jobs-") as folder:
        bench = Bench(Path(folder), options.slots)
        try:
            for name in options.only.split(","):
                if name == "many":
                    told = many(bench, options.jobs)
                    what = f"{options.jobs} short jobs"
                    report.line(
                        f"{what} on {options.slots} slots", options.jobs / told["seconds"], "jobs/s", **told
                    )
                    report.line(f"{what}: lost", told["lost"], "jobs", at_most=0)
                    report.line(f"{what}: run twice", told["twice"], "jobs", at_most=0)
                    continue
                title, measure, goal = single[name]
                taken = [measure(bench) for _ in range(options.repeats)]
                report.line(
                    title,
                    statistics.median(taken),
                    "s",
                    at_most=goal,
                    repeats=options.repeats,
                    worst=round(max(taken), 2),
                )
        finally:
            bench.stack.close()


if __name__ == "__main__":
    main()
