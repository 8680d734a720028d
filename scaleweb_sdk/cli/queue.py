"""The queue by hand: `groups`, `after`, `stop`."""

import argparse
from urllib.parse import quote

from scaleweb_sdk.rest import Declined

from .site import Site, Wrong, table
from .steer import command


def groups(options: argparse.Namespace) -> None:
    found = Site().get("job-groups", limit=options.n)["results"]
    rows = [
        [
            g["code"],
            g["name"],
            g["kind"],
            g["count"],
            *(g["jobs"][state] for state in STATES),
            axes(g["axes"]),
        ]
        for g in found
    ]
    table(["group", "name", "kind", "jobs", *STATES, "varies"], rows)


STATES = ("queued", "active", "done", "failed", "stopped")


def axes(found: dict[str, list[str]]) -> str:
    told = " ".join(f"{name}={','.join(values)}" for name, values in found.items())
    return told if len(told) <= 60 else f"{told[:59]}…"


def after(options: argparse.Namespace) -> None:
    job = Site().post(f"jobs/{quote(options.job)}/after", {"after": options.on})
    waits = ", ".join(f"{each['code']} ({each['when']})" for each in job["after"])
    print(f"job {job['code']} waits for {waits}" if waits else f"job {job['code']} waits for no other job")


def stop(options: argparse.Namespace) -> None:
    """A run's job if it has one (queued ones too), else the run itself; or all jobs of a group."""
    site = Site()
    run = site.run(options.run)
    if run is None:
        try:
            stopped = site.post(f"job-groups/{quote(options.run, safe='')}/stop")["stopped"]
        except Declined as declined:
            if declined.status != 404:
                raise
            raise Wrong(
                f"{options.run!r} is no run, job, grid or array that you may see; `scaleweb runs` and "
                "`scaleweb groups` list those"
            ) from None
        print(
            f"{stopped} job{'' if stopped == 1 else 's'} of group {options.run} are stopped or asked to stop"
        )
        return
    if run["job"]:
        job = site.post(f"jobs/{run['job']}/stop")
        print(
            f"job {job['code']} of run {run['code']} is asked to stop"
            if job["state"] == "active"
            else job["state"]
        )
    else:
        command(options, {"verb": "stop"})
