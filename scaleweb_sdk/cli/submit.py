"""`scaleweb submit`."""

import argparse
import os
from pathlib import Path
from typing import Any

from .look import follow
from .site import Site, Wrong


def submit(options: argparse.Namespace) -> None:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise Wrong("what is to be run? `scaleweb submit -- python train.py --lr 0.1`")
    low, high = device_range(options.devices)
    body: dict[str, Any] = {
        "argv": argv, "cwd": str(Path(options.cwd or os.getcwd()).absolute()), "name": options.name,
        "project": options.project, "experiment_name": options.experiment or Path.cwd().name or "default",
        "device_kind": "gpu" if options.gpu else "cpu", "min_devices": low, "max_devices": high,
        "launcher": "torchrun" if options.torchrun or options.nodes > 1 else "", "keep": options.keep,
        "max_nodes": options.nodes if options.nodes > 1 else "", "priority": options.priority,
        "max_retries": options.retries, "tags": options.tag,
        "env": dict(pair(item) for item in options.env),
    }  # fmt: skip
    site = Site()
    job = site.post("jobs", {name: value for name, value in body.items() if value not in ("", {}, [])})
    print(f"job {job['code']}: run {job['run']}  {site.url}/runs/{job['run']}")
    if options.follow:
        follow(site, job["run"])


def device_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    try:
        found = int(low), int(high or low)
    except ValueError:
        raise Wrong(f"--devices {text}: expected a number or a range such as 1-4") from None
    if not 1 <= found[0] <= found[1]:
        raise Wrong(f"--devices {text}: expected at least 1, and the smaller number first, such as 1-4")
    return found


def pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise Wrong(f"--env {text}: expected NAME=VALUE")
    return name, value
