"""Sends what stayed on disk: runs that were offline, and the rest of runs whose server was away."""

import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .link import Link
from .spool import Spool, SpoolInUse
from .start import Declined, Unreachable, request

SECONDS_A_SPOOL = 600.0


@dataclass
class Results:
    found: int = 0
    failed: int = 0
    said: list[str] = field(default_factory=list)


def sync(folder: Path, url: str, token: str) -> Results:
    """Send every spool below `folder`; each is deleted once the server has all of it.

    url, token: the site and the user's token, for runs that the server does not know yet. A spool that a living
    process writes is left alone. Sending twice doubles nothing: the server knows each batch by its number.
    """
    results = Results()
    for path in sorted(folder.glob("*/about.json")):
        results.found += 1
        try:
            results.said.append(send(path.parent, url, token))
        except (Kept, Unreachable, Declined, OSError, ValueError) as error:
            results.failed += 1
            results.said.append(f"{path.parent}: {error}")
    return results


class Kept(Exception):
    """Why a spool stays where it is."""


def send(folder: Path, url: str, token: str) -> str:
    """Send one spool; returns what was done. Raises Kept, Unreachable, Declined."""
    try:
        spool = Spool(folder)
    except SpoolInUse:
        raise Kept("its process still writes to it") from None
    about, last = spool.about, spool.last_seq
    if not last:
        spool.remove()
        return f"{folder.name}: empty, removed"
    spool.close()
    return deliver(folder, known_run(folder, about, url, token), last)


def known_run(folder: Path, about: dict[str, Any], url: str, token: str) -> dict[str, Any]:
    """Where the run is: as noted beside its batches, else created now and noted there."""
    address = about.get("url") or url
    if about.get("source") and about.get("token"):
        return about | {"url": address}
    if not url or not token:
        raise Kept("no address or token is known: `scaleweb login` stores them")
    if not about.get("wanted"):
        raise Kept("it holds no run of its own (another rank's run was never created)")
    made = request(url, "runs", token, about["wanted"])
    spool = Spool(folder)
    spool.describe(source=f"run:{made['code']}", token=made["token"], url=url)
    spool.close()
    return spool.about


def deliver(folder: Path, about: dict[str, Any], last: int) -> str:
    code = about["source"].removeprefix("run:")
    check_reachable(about["url"])
    link = Link(
        about["url"], about["token"], about["source"], session=about["session"], spool_dir=folder.parent,
        role=about.get("role", "process"), rank=int(about.get("rank", 0)),
        world_size=int(about.get("world_size", 1)), attempt=int(about.get("attempt", 0)),
        process=about.get("process") or {},
    )  # fmt: skip
    done = link.close(SECONDS_A_SPOOL)
    if link.refused is not None:
        raise Kept(f"run {code}: {link.refused.message}")
    if not done:
        raise Kept(
            f"run {code}: {link.acknowledged} of {last} batches were sent, then the server did not answer"
        )
    return f"run {code}: {last} batches sent"


def check_reachable(url: str) -> None:
    """Raises Unreachable at once, where a link would try for long."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/healthz", timeout=10):  # noqa: S310  the user's own setting
            return
    except urllib.error.HTTPError:
        return  # unwell, but there: what it cannot take now it says itself
    except (OSError, ValueError) as error:
        raise Unreachable(str(error)) from error
