"""Sends what is on a shelf: bytes in pieces, each where the last one ended, then the items that they belong to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scaleweb_sdk.rest import Declined, Unreachable, request

from .shelf import Shelf

PIECE_BYTES = 4 * 2**20
AT_ONCE = 100
PIECE_SECONDS = 60.0


def send_some(shelf: Shelf, url: str, token: str, code: str, complain: Callable[[str], None]) -> int:
    """Send the oldest items; how many are off the shelf for it. Raises Unreachable, OSError.

    What the server will not take is said by `complain` and given up.
    """
    ready: list[tuple[Path, dict[str, Any]]] = []
    gone = 0
    for path, item in shelf.waiting(AT_ONCE):
        size = item.pop("size", 0)
        try:
            if item.get("sha256"):
                send_file(path, item["sha256"], size, url, token, code)
            ready.append((path, item))
        except Declined as error:
            complain(f"log_{item['kind']}({item['key'][:80]!r}) at step {item['step']} was not kept: {error}")
            shelf.done(path)
            gone += 1
    for reason in send_items([item for _, item in ready], url, token, code):
        complain(f"not kept: {reason}")
    for path, _ in ready:
        shelf.done(path)
    return gone + len(ready)


def send_items(items: list[dict[str, Any]], url: str, token: str, code: str) -> list[str]:
    """Why some were not taken. Raises Unreachable."""
    if not items:
        return []
    try:
        return list(
            request(url, f"runs/{code}/media", token, {"items": items}, timeout=60)["refused"].values()
        )
    except Declined as error:
        if len(items) == 1:
            return [f"log_{items[0]['kind']}({items[0]['key'][:80]!r}) at step {items[0]['step']}: {error}"]
    # One of them is at fault, and must not cost the others.
    return [reason for item in items for reason in send_items([item], url, token, code)]


def send_file(path: Path, sha256: str, size: int, url: str, token: str, code: str) -> None:
    """Raises Declined with the server's reason, Unreachable, OSError."""
    with open(path, "rb") as file:
        have = 0
        for _ in range(2 * (size // PIECE_BYTES + 2)):
            file.seek(have)
            address = f"runs/{code}/media/pieces/{sha256}?offset={have}&size={size}"
            answer = request(
                url, address, token, method="PUT", raw=file.read(PIECE_BYTES), timeout=PIECE_SECONDS
            )
            if answer["whole"]:
                return
            have = int(answer["have"])
    raise Unreachable("the server took the pieces, and the file was not whole for it")
