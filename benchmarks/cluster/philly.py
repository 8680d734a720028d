"""Turns the public Philly trace into a file that the simulator reads.

    python -m benchmarks.cluster.philly cluster_job_log --days 3 > philly.csv
    python -m benchmarks.placement --trace philly.csv

`cluster_job_log` is in the archive of https://github.com/msr-fiddle/philly-traces (Jeon et al. 2019): a JSON list of
jobs with `submitted_time`, `vc`, and attempts of `start_time`, `end_time` and `detail`, the GPUs of each host. Jobs
that never ran are left out; a job's length is that of all its attempts together, its gang that of the last one.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from .workload import COLUMNS

FORM = "%Y-%m-%d %H:%M:%S"
LARGEST = 64


def rows(log: list[dict[str, Any]], days: float = 0.0) -> Iterator[tuple[float, float, int, int]]:
    """(submitted_seconds, run_seconds, devices, project) in order of submission, from the first job on."""
    projects: dict[str, int] = {}
    found = []
    for job in log:
        seconds, devices = 0.0, 0
        for attempt in job.get("attempts") or []:
            start, end = attempt.get("start_time"), attempt.get("end_time")
            if not start or not end or start == "None" or end == "None":
                continue
            seconds += (datetime.strptime(end, FORM) - datetime.strptime(start, FORM)).total_seconds()
            devices = sum(len(host.get("gpus") or []) for host in attempt.get("detail") or [])
        if seconds > 0 and 1 <= devices <= LARGEST:
            at = datetime.strptime(job["submitted_time"], FORM)
            found.append((at, seconds, devices, projects.setdefault(str(job.get("vc")), len(projects))))
    found.sort()
    for at, seconds, devices, project in found:
        since = (at - found[0][0]).total_seconds()
        if not days or since < days * 86_400:
            yield since, seconds, devices, project


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("log", type=Path, help="the file cluster_job_log")
    arguments.add_argument("--days", type=float, default=0.0, help="only the first so many; 0: all")
    options = arguments.parse_args()
    out = csv.writer(sys.stdout)
    out.writerow(COLUMNS)
    out.writerows(rows(json.loads(options.log.read_text()), options.days))


if __name__ == "__main__":
    main()
