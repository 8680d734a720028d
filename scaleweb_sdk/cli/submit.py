"""`scaleweb submit`: one job, a grid of them, or an array."""

import argparse
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import code
from .look import follow
from .site import Site, Wrong

PRIORITIES = {"low": -100, "normal": 0, "high": 100, "urgent": 200}
UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def submit(options: argparse.Namespace) -> None:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise Wrong("what is to be run? `scaleweb submit -- python train.py --lr 0.1`")
    if options.grid and options.array:
        raise Wrong(
            "--grid and --array: one of them; an index can be a setting of a grid, --grid index=0,1,2"
        )
    body = asked(options, argv)  # what is wrong in it is said also where no site is known yet
    site = Site()
    if options.send or options.git:
        body |= code.chosen(options, site)
    body = {name: value for name, value in body.items() if value not in ("", {}, [], None)}
    if options.grid or options.array:
        group = site.post("job-groups", body)
        print(f"group {group['code']}: {group['count']} jobs  {site.url}/queue")
        for run in group["runs"][:10]:
            print(f"  run {run}  {site.url}/runs/{run}")
        if group["count"] > 10:
            print(f"  … and {group['count'] - 10} more")
        return
    job = site.post("jobs", body)
    print(f"job {job['code']}: run {job['run']}  {site.url}/runs/{job['run']}")
    if options.follow:
        follow(site, job["run"])


def asked(options: argparse.Namespace, argv: list[str]) -> dict[str, Any]:
    kind, low, high = devices(options)
    return {
        "argv": argv, "cwd": str(Path(options.cwd or os.getcwd()).absolute()), "name": options.name,
        "project": options.project, "experiment_name": options.experiment or Path.cwd().name or "default",
        "device_kind": kind, "min_devices": low, "max_devices": high,
        "device_name": options.kind if options.kind not in {"", "cpu", "gpu"} else "",
        "memory_bytes": size(options.memory, "--memory"),
        "device_memory_bytes": size(options.device_memory, "--device-memory"),
        "node_labels": dict(pair(item, "--label") for item in options.label),
        "deadline": moment(options.deadline), "after": options.after,
        "launcher": "torchrun" if options.torchrun or options.nodes > 1 else "", "keep": options.keep,
        "max_nodes": options.nodes if options.nodes > 1 else "", "priority": priority(options.priority),
        "preemptible": options.preemptible, "max_retries": options.retries, "tags": options.tag,
        "env": dict(pair(item, "--env") for item in options.env),
        "grid": axes(options.grid), "array": options.array, "at_once": options.at_once,
    }  # fmt: skip


def devices(options: argparse.Namespace) -> tuple[str, int, int]:
    """(kind, least, most)."""
    if options.gpus and options.devices:
        raise Wrong("--gpus and --devices: one of them; --gpus 2..4 is --kind gpu --devices 2..4")
    option = "--gpus" if options.gpus else "--devices"
    low, high = device_range(options.gpus or options.devices or "1", option)
    # A name such as h100 is a GPU's.
    is_gpu = bool(options.gpus) or options.gpu or options.kind not in {"", "cpu"}
    if is_gpu and options.kind == "cpu":
        raise Wrong("--kind cpu beside --gpus or --gpu: one of them")
    return "gpu" if is_gpu else "cpu", low, high


def device_range(text: str, option: str = "--devices") -> tuple[int, int]:
    low, _, high = text.replace("..", "-").partition("-")
    try:
        found = int(low), int(high or low)
    except ValueError:
        raise Wrong(f"{option} {text}: expected a number or a range such as 1..4") from None
    if not 1 <= found[0] <= found[1]:
        raise Wrong(f"{option} {text}: expected at least 1, and the smaller number first, such as 1..4")
    return found


def priority(text: str) -> int:
    if text in PRIORITIES:
        return PRIORITIES[text]
    try:
        return int(text)
    except ValueError:
        raise Wrong(f"--priority {text}: expected {', '.join(PRIORITIES)} or a whole number") from None


def size(text: str, option: str) -> int | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if found is None:
        raise Wrong(f"{option} {text}: expected a size such as 512M or 16G")
    return int(float(found[1]) * UNITS[found[2]])


def moment(text: str) -> str:
    """A time with its zone: one that is given, or 90m, 8h, 2d from now."""
    if not text:
        return ""
    span = re.fullmatch(r"\+?(\d+(?:\.\d+)?)([smhd])", text)
    try:
        if span is not None:
            return (datetime.now(UTC) + timedelta(seconds=float(span[1]) * SPANS[span[2]])).isoformat()
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise Wrong(
            f"--deadline {text}: expected a time such as 2030-01-31T18:00, or how long from now: 90m, 8h, 2d"
        ) from None


def pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise Wrong(f"{option} {text}: expected NAME=VALUE")
    return name, value


def axes(items: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in items:
        name, values = pair(item, "--grid")
        if name in found:
            raise Wrong(
                f"--grid {item}: {name} was given before; put all its values into one, as in {name}=1,2"
            )
        found[name] = values.split(",")
    return found


def add_options(one: argparse.ArgumentParser) -> None:
    one.add_argument("--experiment", default="", help="its name; by default the folder's")
    one.add_argument("--project", default="")
    one.add_argument("--name", default="", help="the run's name")
    add_resources(one)
    one.add_argument(
        "--torchrun", action="store_true", help="run the command once a device, as ranks of one training"
    )
    one.add_argument("--nodes", type=int, default=1, help="how many nodes its ranks may span (1)")
    one.add_argument(
        "--keep", choices=["batch", "rate-rule"], default="",
        help="when the number of ranks changes: the effective batch (default), or each rank's and the rate's rule",
    )  # fmt: skip
    one.add_argument("--priority", default="0", help="low, normal, high, urgent, or a whole number (0)")
    one.add_argument(
        "--preemptible", choices=["saved", "always", "never"], default="",
        help="whether it may have to leave for another job: when it saves checkpoints (default), always, never",
    )  # fmt: skip
    one.add_argument(
        "--retries", type=int, default=0, help="how often to try again, from the last checkpoint"
    )
    one.add_argument("--deadline", default="", help="ended then: a time, or 90m, 8h, 2d from now")
    one.add_argument(
        "--after", action="append", default=[], metavar="CODE[:ok|any|failed]",
        help="wait until this job, run or group has ended well (ok), ended, or failed",
    )  # fmt: skip
    one.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    one.add_argument(
        "--send", nargs="?", const=".", default="", metavar="FOLDER",
        help="pack this folder, without what .gitignore and .scalewebignore name, and run the command in it",
    )  # fmt: skip
    one.add_argument(
        "--git", nargs="?", const=".", default="", metavar="URL@REVISION",
        help="run in this revision; alone: in what this folder's repository tracks, with the changes since its commit",
    )  # fmt: skip
    one.add_argument(
        "--cwd",
        default="",
        help="folder on the node, by default this one; with --send or --git one inside it",
    )
    one.add_argument("--tag", action="append", default=[])
    one.add_argument(
        "--grid", action="append", default=[], metavar="NAME=V1,V2",
        help="one job for each combination: {NAME} in the command, else --NAME VALUE is added to it",
    )  # fmt: skip
    one.add_argument("--array", default="", metavar="0-99%8", help="equal jobs with an {index}; 8 at once")
    one.add_argument("--at-once", type=int, help="how many of a grid or array may run at one time")
    one.add_argument("--follow", action="store_true", help="print its output until it is over")
    one.add_argument("argv", nargs=argparse.REMAINDER)


def add_resources(one: argparse.ArgumentParser) -> None:
    one.add_argument("--devices", default="", help="how many, or a range such as 1..4 (1)")
    one.add_argument("--gpus", default="", help="the same, of GPUs")
    one.add_argument("--gpu", action="store_true", help="GPUs instead of CPU slots")
    one.add_argument("--kind", default="", help="cpu, gpu, or a part of a GPU's name, such as h100")
    one.add_argument("--memory", default="", help="main memory reserved on each node, and its limit: 16G")
    one.add_argument("--device-memory", default="", help="memory that each device must have, such as 40G")
    one.add_argument(
        "--label", action="append", default=[], metavar="NAME=VALUE", help="a label that its nodes must have"
    )
