"""The site's nodes by hand: `scaleweb node list`, `workers`, `label`, `cordon`, `drain` and `uncordon`."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from scaleweb_sdk.rest import Declined

from .site import Site, Wrong, table


def add_to(verbs: Any) -> None:
    one = verbs.add_parser("list", help="the site's nodes, and what their devices do")
    one.set_defaults(work=show)
    one = verbs.add_parser("workers", help="the site's Celery workers and ticks, and what is wrong with them")
    one.set_defaults(work=workers)
    one = verbs.add_parser(
        "label",
        help="the labels of a node that jobs ask for by --label, as in zone=a; zone= takes one away (administrators)",
    )
    one.add_argument("name", help="the node's name, as `scaleweb node list` prints it")
    one.add_argument("labels", nargs="*", metavar="NAME=VALUE", help="left out, they are shown")
    one.set_defaults(work=label)
    for name, work, help in (
        ("cordon", cordon, "place nothing new on a node; what runs goes on"),
        ("drain", drain, "place nothing new, and move what runs elsewhere at a checkpoint"),
        ("uncordon", uncordon, "let a node take jobs again"),
    ):
        one = verbs.add_parser(name, help=f"{help} (administrators)")
        one.add_argument("name", help="the node's name, as `scaleweb node list` prints it")
        one.set_defaults(work=work)


def show(options: argparse.Namespace) -> None:
    found = Site().get("nodes", limit=200)["results"]
    table(["node", "state", "", "devices", "busy", "why not"], [row(node) for node in found])


def workers(options: argparse.Namespace) -> None:
    found = Site().get("workers")
    table(
        ["worker", "host", "queues", "runs", "done", "up"],
        [
            [
                worker["name"], worker["hostname"], ", ".join(worker["queues"]),
                ", ".join(worker["running"]) or "nothing", worker["done"], f"{worker['uptime_seconds'] / 3600:.1f} h",
            ]
            for worker in found["workers"]
        ],
    )  # fmt: skip
    print()
    table(
        ["tick", "every", "last done (UTC)", "took", ""],
        [
            [
                tick["task"], f"{tick['every_seconds']:g} s", (tick["done_at"] or "unknown")[:19],
                "" if tick["seconds"] is None else f"{tick['seconds']:.3f} s",
                "late" if tick["late"] else "",
            ]
            for tick in found["ticks"]
        ],
    )  # fmt: skip
    if found["wrong"]:
        raise Wrong(" ".join(found["wrong"]))


def row(node: dict[str, Any]) -> list[Any]:
    kinds = sorted({device["kind"] for device in node["devices"]})
    devices = ", ".join(f"{sum(d['kind'] == kind for d in node['devices'])} {kind}" for kind in kinds)
    closed = "draining" if node["draining"] else "cordoned" if node["cordoned"] else ""
    busy = sum(device["busy"] for device in node["devices"])
    return [node["name"], node["state"], closed, devices or "none", busy, node["passed_over_reason"]]


def label(options: argparse.Namespace) -> None:
    site, path = Site(), f"nodes/{quote(options.name, safe='')}"
    with known(options.name):
        labels = {name: str(value) for name, value in site.get(path)["labels"].items()}
        for pair in options.labels:
            name, equals, value = pair.partition("=")
            if not equals:
                raise Wrong(
                    f"{pair!r} is no label; expected NAME=VALUE, as in zone=a, or NAME= to take it away"
                )
            labels[name] = value
            if not value:
                del labels[name]
        if options.labels:
            labels = site.put(f"{path}/labels", {"labels": labels})["labels"]
    print(
        "\n".join(f"{name}={value}" for name, value in sorted(labels.items()))
        or f"{options.name} has no labels"
    )


@contextmanager
def known(name: str) -> Iterator[None]:
    try:
        yield
    except Declined as declined:
        if declined.status != 404:
            raise
        raise Wrong(f"there is no node {name!r}; `scaleweb node list` lists those there are") from None


def asked(options: argparse.Namespace, verb: str) -> Site:
    site = Site()
    with known(options.name):
        site.post(f"nodes/{quote(options.name, safe='')}/{verb}")
    return site


def cordon(options: argparse.Namespace) -> None:
    asked(options, "cordon")
    print(f"{options.name} takes nothing new; what runs on it goes on")


def drain(options: argparse.Namespace) -> None:
    site = asked(options, "drain")
    left = site.get(f"nodes/{quote(options.name, safe='')}/history")["drain"] or {"leaving": 0, "staying": 0}
    print(
        f"{options.name} takes nothing new; {jobs(left['leaving'])} on it leave at a checkpoint and go on elsewhere"
        if left["leaving"] != 1
        else f"{options.name} takes nothing new; 1 job on it leaves at a checkpoint and goes on elsewhere"
    )
    if left["staying"]:
        stay = "stays to its" if left["staying"] == 1 else "stay to their"
        print(f"{jobs(left['staying'])} {stay} end: without checkpoints, or not to be asked (preemptible)")


def jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def uncordon(options: argparse.Namespace) -> None:
    asked(options, "uncordon")
    print(f"{options.name} takes jobs again")
