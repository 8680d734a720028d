"""Sends what stayed on disk: runs that were offline, and the rest of runs whose server was away."""

import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from .link import Link
from .media.shelf import Shelf
from .media.upload import send_some
from .rest import Declined, Unreachable, request
from .spool import Spool, SpoolInUse

PATIENCE_SECONDS = 60.0  # without an acknowledgement; a large spool may take as long as it takes


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
    # Media after the batches that tell of their run.
    for path in sorted(folder.glob("*/about.json"), key=lambda each: (each.parent.suffix == ".media", each)):
        results.found += 1
        try:
            if path.parent.suffix == ".media":
                results.said.append(send_media(path.parent))
            else:
                results.said.append(send(path.parent, url, token))
        except (Kept, Unreachable, Declined, OSError, ValueError) as error:
            results.failed += 1
            results.said.append(f"{path.parent}: {error}")
    return results


class Kept(Exception):
    """Why a spool stays where it is."""


def send(folder: Path, url: str, token: str) -> str:
    """Send one spool; returns what was done. Raises Kept, Unreachable, Declined.

    The spool is held all the while: of two that send at once, one is told so.
    """
    try:
        spool = Spool(folder)
    except SpoolInUse:
        raise Kept(
            "another process has it: the training that writes it, or a second `scaleweb sync`"
        ) from None
    try:
        if not spool.about.get("session"):
            raise Kept("its about.json cannot be read, so it is not known what run this is")
        if not spool.last_seq:
            spool.remove()
            return f"{folder.name}: empty, removed"
        find_run(spool, url, token)
        check_reachable(spool.about["url"])
        place_media(spool)
    except BaseException:
        spool.abandon()
        raise
    return deliver(spool)


def place_media(spool: Spool) -> None:
    """Note beside the session's media where they go, too: they may have to wait for longer than the batches."""
    folder = spool.folder.with_name(f"{spool.folder.name}.media")
    if folder.is_dir():
        shelf = Shelf(folder)
        shelf.describe(**{name: spool.about[name] for name in ("url", "token", "source")})
        shelf.close()


def send_media(folder: Path) -> str:
    """Send what media of a session wait in `folder`. Raises Kept, Unreachable, Declined."""
    try:
        shelf = Shelf(folder)
    except SpoolInUse:
        raise Kept("another process has it") from None
    try:
        about, sent, said = shelf.about, 0, list[str]()
        code = str(about.get("source", "")).removeprefix("run:")
        if not shelf.empty and not (code and about.get("token") and about.get("url")):
            raise Kept("it is not known what run these media are of: send the session's other folder first")
        while not shelf.empty:
            sent += send_some(shelf, about["url"], about["token"], code, said.append)
    finally:
        shelf.close()
    return "; ".join([f"run {code}: {sent} media sent", *said])


def find_run(spool: Spool, url: str, token: str) -> None:
    """Where the run is: as noted beside its batches, else created now and noted there."""
    about = spool.about
    if about.get("source") and about.get("token"):
        about.setdefault("url", url)
        return
    if not url or not token:
        raise Kept("no address or token is known: `scaleweb login` stores them")
    if not about.get("wanted"):
        raise Kept("it holds no run of its own (another rank's run was never created)")
    # Of the same session it is the same run, where the answer to an earlier try was not noted.
    made = request(url, "runs", token, about["wanted"] | {"session": about["session"]})
    spool.describe(source=f"run:{made['code']}", token=made["token"], url=url)


def deliver(spool: Spool) -> str:
    about, last = spool.about, spool.last_seq
    code = about["source"].removeprefix("run:")
    link = Link(
        about["url"], about["token"], about["source"], session=about["session"], spool=spool,
        role=about.get("role", "process"), rank=int(about.get("rank", 0)),
        world_size=int(about.get("world_size", 1)), attempt=int(about.get("attempt", 0)),
        process=about.get("process") or {},
    )  # fmt: skip
    sent, since = 0, time.monotonic()
    while not link.complete and link.refused is None and time.monotonic() - since < PATIENCE_SECONDS:
        link.settled.wait(0.5)
        if link.acknowledged > sent:
            sent, since = link.acknowledged, time.monotonic()
    link.close(1.0)
    if link.refused is not None:
        raise Kept(f"run {code}: {link.refused.message}")
    if not link.complete:
        raise Kept(
            f"run {code}: {link.acknowledged} of {last} batches were sent, then the server did not answer"
        )
    return f"run {code}: {last} {'batch' if last == 1 else 'batches'} sent"


def check_reachable(url: str) -> None:
    """Raises Unreachable at once, where a link would try for long."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/healthz", timeout=10):  # noqa: S310  the user's own setting
            return
    except urllib.error.HTTPError:
        return  # unwell, but there: what it cannot take now it says itself
    except (OSError, ValueError) as error:
        raise Unreachable(str(error)) from error
