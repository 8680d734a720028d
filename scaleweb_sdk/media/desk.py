"""Between the calls and the server: one thread encodes and writes to disk, another sends.

call -> copy in memory -> file beside the spool -> server -> acknowledged, deleted
"""

import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scaleweb_sdk.rest import Declined, Unreachable

from .freeze import FileCopy
from .shelf import Shelf, ShelfFull
from .upload import send_some

if TYPE_CHECKING:
    from scaleweb_sdk.run import Run

logger = logging.getLogger("scaleweb")
# Copies that wait for the encoding thread. It keeps up with some 20 MB of pixels a second.
MOST_WAITING_BYTES = 256 * 2**20
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0


class Order(NamedTuple):
    kind: str
    key: str
    step: int
    branch: int
    place: int
    caption: str
    how: dict[str, Any]


class Desk:
    """Made at a run's first media. Nothing in it raises into the script."""

    def __init__(self, run: Any) -> None:
        self.run: Run = run
        self._waiting: deque[tuple[Order, Any, int, float]] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._bell, self._written, self._rest = threading.Event(), threading.Event(), threading.Event()
        self._closing = self._drained = False
        self._shelf: Shelf | None = None
        self._threads = [
            threading.Thread(target=work, name=f"scaleweb-media-{name}", daemon=True)
            for name, work in (("encode", self._encode_all), ("send", self._send_all))
        ]
        self._begun = False

    # -- the script's side --------------------------------------------------------------------------

    def put(self, order: Order, frozen: Any, size: int) -> None:
        with self._lock:
            full = self._bytes + size > MOST_WAITING_BYTES and self._waiting
            if not full:
                self._bytes += size
        if full:
            self.complain(
                "media crowded",
                f"log_{order.kind}({order.key[:80]!r}) at step {order.step} and maybe more were left out: "
                f"{MOST_WAITING_BYTES >> 20} MiB wait to be written already. Log media less often",
            )
            return
        self._waiting.append((order, frozen, size, time.time()))
        if not self._begun:
            self._begun = True
            for thread in self._threads:
                thread.start()
        self._bell.set()

    def complain(self, kind: str, message: str) -> None:
        """Said once a kind: in the script's own output, and on the run's record."""
        self.run._gathering.complaints.add(kind, message)
        if self.run.finished or self.run.link is None:
            logger.warning("scaleweb: %s", message)

    def drain(self, seconds: float) -> None:
        """Before the run's last event: everything is on disk then, and what cannot be is on the record."""
        self._closing = True
        self._bell.set()
        if self._begun:
            self._threads[0].join(seconds)

    def close(self, seconds: float) -> bool:
        """Wait for the server to have everything. What it has not stays for `scaleweb sync`."""
        self.drain(seconds)
        if not self._begun:
            return True
        link, shelf = self.run.link, self._shelf
        if link is None or not link.url:
            if shelf is not None:
                shelf.close()  # offline: what is on disk is all there is to do
            return True
        self._threads[1].join(seconds)
        return not self._threads[1].is_alive()

    # -- encoding -----------------------------------------------------------------------------------

    def _encode_all(self) -> None:
        session = 0
        while True:
            closing = self._closing
            while self._waiting:
                order, frozen, size, at = self._waiting.popleft()
                session += 1
                try:
                    self._encode(order, frozen, at, session)
                except (ShelfFull, OSError) as error:
                    self.complain(
                        "media disk",
                        f"log_{order.kind}({order.key[:80]!r}) at step {order.step} was left out: {error}",
                    )
                except Exception as error:  # noqa: BLE001  what a user handed over may be anything
                    self.complain(
                        f"{order.kind} {order.key}", f"log_{order.kind}({order.key[:80]!r}): {error}"
                    )
                with self._lock:
                    self._bytes -= size
                self._written.set()
            if closing:
                break
            self._bell.wait()
            self._bell.clear()
        self._drained = True
        self._written.set()

    def _encode(self, order: Order, frozen: Any, at: float, number: int) -> None:
        from .encode import encode  # with numpy, which not every script that logs a number should load

        link = self.run.link
        if link is None:
            return
        if self._shelf is None:
            session = link.session
            self._shelf = Shelf(link.spool.folder.with_name(f"{session}.media"), {"session": session})
            self._place(link)
        item = {"uid": f"{link.session}-{number}", "key": order.key, "kind": order.kind, "step": order.step,
                "branch": order.branch, "place": order.place, "at": at, "caption": order.caption}  # fmt: skip
        body: bytes | Path
        if isinstance(frozen, FileCopy):
            body, item["name"] = frozen.path, frozen.path.name[:200]
            if not body.stat().st_size:
                raise ValueError(f"{body} is empty")
        else:
            made = encode(order.kind, frozen, order.how)
            body, item["data"] = made.body, made.data
            if made.remark:
                self.complain(
                    f"{order.kind} {order.key} part", f"log_{order.kind}({order.key[:80]!r}): {made.remark}"
                )
            if not body and order.kind != "histogram":
                body = b" "  # an empty text is a text
        self._shelf.keep(item, body)

    def _place(self, link: Any) -> bool:
        """Note where it is to go, as far as that is known; whether it is."""
        shelf = self._shelf
        known = bool(link.url and link.token and link.source)
        if shelf is not None and known:
            shelf.describe(url=link.url, token=link.token, source=link.source)
        return known and shelf is not None

    # -- sending ------------------------------------------------------------------------------------

    def _send_all(self) -> None:
        """Until everything is sent and nothing more comes; a daemon, so that a dead server ends with the script."""
        link, pause = self.run.link, FIRST_PAUSE_SECONDS
        while link is not None and link.url:
            self._written.clear()
            drained, shelf = self._drained, self._shelf
            sent = 0
            if shelf is not None and self._ready(link):
                try:
                    sent = send_some(
                        shelf, link.url, link.token, link.source.removeprefix("run:"), self._refused
                    )
                    pause = FIRST_PAUSE_SECONDS
                except (Unreachable, Declined, OSError, KeyError, TypeError) as error:
                    logger.debug("media wait: %s", error)
                    self._rest.wait(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                    continue
            if drained and not sent and (shelf is None or shelf.empty):
                break
            if not sent:
                self._written.wait(FIRST_PAUSE_SECONDS if drained else LONGEST_PAUSE_SECONDS)
        if link is not None and link.url and self._shelf is not None:
            self._shelf.close()

    def _refused(self, said: str) -> None:
        self.complain(said, said)

    def _ready(self, link: Any) -> bool:
        try:
            return self._place(link)
        except OSError:
            return bool(link.token)
