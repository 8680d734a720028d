"""A run's checkpoints: `checkpoints`, `pin`, `unpin`, and `fork`, a new run that goes on from one."""

import argparse
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .clone import changes
from .look import follow
from .site import Site, Wrong, number, table

TOLD = 10  # steps of a run's checkpoints in a refusal


def checkpoints(options: argparse.Namespace) -> None:
    site = Site()
    found = islice(each_of(site, site.known_run(options.run)["code"]), options.n)
    rows = [
        [each["step"], size(each["size_bytes"]), metrics(each), state_of(each), each["reason"]]
        for each in found
    ]
    table(["step", "size", "metrics", "", "why"], rows)


def each_of(site: Site, code: str) -> Iterator[dict[str, Any]]:
    """Newest first, those that are gone too: of a long run there are many pages."""
    cursor = ""
    while True:
        page = site.get(f"runs/{code}/checkpoints", cursor=cursor, limit=1000)
        yield from page["results"]
        if not page["next"]:
            return
        cursor = parse_qs(urlsplit(page["next"]).query)["cursor"][0]


def state_of(checkpoint: dict[str, Any]) -> str:
    if not checkpoint["available"]:
        return "gone"
    return "pinned" if checkpoint["pinned"] else ""


def metrics(checkpoint: dict[str, Any]) -> str:
    shown = [(name, value) for name, value in checkpoint["metrics"].items() if not name.startswith("_")]
    return "  ".join(f"{name} {number(value)}" for name, value in shown[:3])


def size(count: int | None) -> str:
    return "-" if count is None else f"{count / 2**20:,.1f} MiB"


def at_step(site: Site, code: str, step: int) -> dict[str, Any]:
    """The newest checkpoint of that step that is still there. Raises Wrong, with those that are."""
    there = []
    for each in each_of(site, code):
        if each["available"]:
            if each["step"] == step:
                return each
            there.append(str(each["step"]))
    more = ", …" if len(there) > TOLD else ""
    raise Wrong(
        f"run {code} has no checkpoint of step {step}; it has {', '.join(there[:TOLD]) or 'none'}{more}"
    )


def pin(options: argparse.Namespace) -> None:
    """`pin` and `unpin`."""
    site, pinned = Site(), options.command == "pin"
    code = site.known_run(options.run)["code"]
    checkpoint = at_step(site, code, options.step)
    site.post(f"runs/{code}/checkpoints/{checkpoint['id']}/pin", {"pinned": pinned})
    kept = "is kept whatever the keep rule says" if pinned else "is left to the keep rule"
    print(f"the checkpoint of step {options.step} of run {code} {kept}")


def fork(options: argparse.Namespace) -> None:
    site = Site()
    code = site.known_run(options.run)["code"]
    body = changes(options) | {"checkpoint": at_step(site, code, options.step)["id"]}
    made = site.post(f"runs/{code}/fork", body)
    print(f"job {made['code']}: run {made['run']}  {site.url}/runs/{made['run']}")
    if options.follow:
        follow(site, made["run"])
