"""`scaleweb clone`: a new run like an old one, on the same files, with some of it changed."""

import argparse
import shlex
from typing import Any
from urllib.parse import quote

from .look import follow
from .site import Site, Wrong
from .submit import device_range, pair, priority


def changes(options: argparse.Namespace) -> dict[str, Any]:
    """What is to differ from the job that is run again; what was not asked for is left out."""
    body: dict[str, Any] = {
        "env": dict(pair(item, "--env") for item in options.env) | dict.fromkeys(options.unset),
        "name": options.name, "argv": shlex.split(options.command_line),
    }  # fmt: skip
    if options.devices:
        body["min_devices"], body["max_devices"] = device_range(options.devices)
    if options.priority:
        body["priority"] = priority(options.priority)
    if options.retries is not None:
        body["max_retries"] = options.retries
    return {name: value for name, value in body.items() if value not in ("", {}, [])}


def clone(options: argparse.Namespace) -> None:
    site = Site()
    run = site.known_run(options.run)
    if not run["job"]:
        raise Wrong(f"run {run['code']} was not submitted as a job, so there is no command to run again")
    settings = dict(pair(item, "--set") for item in options.set)
    body = changes(options) | ({"settings": settings} if settings else {})
    made = site.post(f"jobs/{quote(run['job'])}/clone", body)
    print(f"job {made['code']}: run {made['run']}  {site.url}/runs/{made['run']}")
    if options.follow:
        follow(site, made["run"])


def add_options(one: argparse.ArgumentParser) -> None:
    one.add_argument("run", help="the old run's code, or its job's")
    one.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, as in lr=1e-3"
    )
    add_changes(one)


def add_changes(one: argparse.ArgumentParser) -> None:
    """Of what a job like an old one may change."""
    one.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    one.add_argument("--unset", action="append", default=[], metavar="NAME", help="a variable to leave out")
    one.add_argument("--name", default="")
    one.add_argument("--devices", default="", help="how many, or a range such as 1..4")
    one.add_argument("--priority", default="", help="low, normal, high, urgent, or a whole number")
    one.add_argument("--retries", type=int)
    one.add_argument("--follow", action="store_true", help="print its output until it is over")
    one.add_argument(
        "--command",
        default="",
        dest="command_line",
        metavar="LINE",
        help="instead of the old one, as one word",
    )
