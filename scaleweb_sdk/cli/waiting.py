"""`scaleweb queue` and `scaleweb quota`: what waits and why, who uses what, and an operator's hand on both."""

import argparse
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote

from .checkpoints import at_step
from .site import Site, Wrong, table
from .submit import priority


def queue(options: argparse.Namespace) -> None:
    """Without an action: the queue as its page shows it."""
    site = Site()
    action = options.action
    if action == "move":
        side = {"before": options.before} if options.before else {"behind": options.behind}
        job = site.post(f"jobs/{quote(options.job)}/move", side)
        print(
            f"job {job['code']} is {'before' if options.before else 'behind'} {options.before or options.behind}"
        )
    elif action == "priority":
        wanted = priority(options.priority)
        found = site.post(f"{meant(site, options.job)}/priority", {"priority": wanted})
        print(
            f"{jobs(found['changed'])} of group {options.job} that wait have priority {wanted}"
            if "changed" in found
            else f"job {found['code']} has priority {wanted}"
        )
    elif action == "requeue":
        found = site.post(f"{meant(site, options.job)}/requeue", chosen(site, options))
        print(
            f"{jobs(found['queued'])} of group {options.job} that failed or were stopped are queued again"
            if "queued" in found
            else f"job {found['code']} is queued again"
        )
    elif action == "stop":
        found = site.post(f"{meant(site, options.job)}/stop")
        print(
            f"{jobs(found['stopped'])} of group {options.job} are stopped or asked to stop"
            if "stopped" in found
            else f"job {found['code']} is {'asked to stop' if found['state'] == 'active' else found['state']}"
        )
    else:
        show(site.get("queue"))


def chosen(site: Site, options: argparse.Namespace) -> dict[str, Any]:
    """The checkpoint that a job is to go on from, where one was named by its step."""
    if options.step is None:
        return {}
    run = site.run(options.job)
    if run is None:
        raise Wrong(f"--step is for one job: {options.job!r} is no job or run that you may see")
    return {"checkpoint": at_step(site, run["code"], options.step)["id"]}


def meant(site: Site, code: str) -> str:
    """The address of a job by its own code or its run's, or of a grid or array."""
    if site.found(f"job-groups/{quote(code, safe='')}") is not None:
        return f"job-groups/{quote(code, safe='')}"
    run = site.run(code)
    if run is None:
        raise Wrong(
            f"{code!r} is no job, run, grid or array that you may see; `scaleweb queue`, `scaleweb runs` and "
            "`scaleweb groups` list those"
        )
    if run["job"] is None:
        raise Wrong(f"run {run['code']} was started by hand and has no place in the queue")
    return f"jobs/{run['job']}"


def jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"


def show(found: dict[str, Any]) -> None:
    if found["stalled"]:
        print(f"Note: {found['stalled']}\n")
    print(f"{found['devices']['busy']} of {found['devices']['total']} devices busy\n")
    table(
        ["project", "devices", "used", "of its own", "may borrow", "measured", "waiting"],
        [
            [
                share["project"] or "others", share["kind"], share["used"], share["quota"],
                "any" if share["borrow"] is None else share["borrow"], percent(share["utilisation_ratio"]),
                share["waiting"],
            ]
            for share in found["shares"]
        ],
    )  # fmt: skip
    print(f"\n{len(found['waiting'])} waiting, {len(found['active'])} running")
    rows = [
        [
            place,
            job["code"],
            job["project"],
            job["run_name"],
            asked(job),
            job["priority"],
            starts(job),
            why(job),
        ]
        for place, job in enumerate(found["waiting"], start=1)
    ]
    if rows:
        table(["", "job", "project", "run", "asks for", "priority", "starts", "waits because"], rows)
    active = [
        [job["code"], job["project"], job["run_name"], job["run_state"], *where(job)]
        for job in found["active"]
    ]
    if active:
        print()
        table(["job", "project", "run", "state", "where", ""], active)


def asked(job: dict[str, Any]) -> str:
    low, high = job["min_devices"], job["max_devices"]
    return f"{low if low == high else f'{low}-{high}'} {job['device_kind']}"


def starts(job: dict[str, Any]) -> str:
    at = job["outlook"]["starts_at"]
    if at is None:
        return "unknown" if job["outlook"]["words"] else "-"
    minutes = (datetime.fromisoformat(at).timestamp() - time.time()) / 60
    return "soon" if minutes < 1 else f"in {minutes:.0f} min" if minutes < 120 else f"in {minutes / 60:.0f} h"


def why(job: dict[str, Any]) -> str:
    return "; ".join(filter(None, [job["waiting_reason"], job["outlook"]["words"]]))


def where(job: dict[str, Any]) -> list[str]:
    if not job["attempts"]:
        return ["-", ""]
    last = job["attempts"][-1]
    leaves = f"leaves: {last['preempt_reason']}" if last["preempt_asked_at"] else ""
    return [f"{last['node']} {', '.join(last['devices'])}", leaves]


def percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{100 * ratio:.0f} %"


def quota(options: argparse.Namespace) -> None:
    site = Site()
    path = f"projects/{quote(options.project)}/quotas"
    kind = "cpu" if options.cpu else "gpu"
    if options.none:
        found = site.delete(path, {"kind": kind})
    elif options.devices is not None:
        borrow = None if options.borrow in ("", "any") else count(options.borrow)
        found = site.put(path, {"kind": kind, "devices": options.devices, "borrow": borrow})
    else:
        found = site.get(path)
    rows = [
        [one["kind"], one["devices"], "any" if one["borrow"] is None else one["borrow"], one["used"]]
        for one in found["quotas"]
    ]
    if not rows:
        print(f"{options.project} has no devices of its own, and uses what is idle")
        return
    table(["devices", "of its own", "may borrow", "used"], rows)
    for one in found["quotas"]:
        if one["beyond"]:
            print(f"Note: {one['beyond']}")


def count(text: str) -> int:
    if not text.isdigit():
        raise Wrong(f"--borrow {text}: expected a number, or any")
    return int(text)
