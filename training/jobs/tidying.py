"""What attempts that are over left in their folders of work: unpacked working copies, and what scripts wrote there.

It goes by rule: after so many days, and the oldest first where all of it together is too large. Never that of an
attempt that lives, and never one that holds a registered checkpoint, which a resumption or a fork would need.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connections

from training.models import Checkpoint

from .local import Local
from .processes import group_alive

logger = logging.getLogger(__name__)
LOOK_EVERY_SECONDS = 600.0
WORK = "work"


@dataclass(frozen=True)
class Left:
    """The work of one attempt that is over: since when, and how large it is."""

    folder: Path
    since: float
    size_bytes: int


@dataclass
class Tidying:
    """`keep` is called at each look of the node's loop, and works in a thread: leases are renewed meanwhile."""

    looked_at: float = field(default_factory=time.monotonic)
    thread: threading.Thread | None = None
    # What is over does not grow any more: it is measured once.
    sizes: dict[Path, int] = field(default_factory=dict)

    def keep(self) -> None:
        now = time.monotonic()
        if now - self.looked_at < LOOK_EVERY_SECONDS or (self.thread is not None and self.thread.is_alive()):
            return
        self.looked_at = now
        self.thread = threading.Thread(target=self.run, name="tidying", daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            self.tidy(time.time())
        except (DatabaseError, OSError) as error:
            logger.warning("what attempts left behind could not be looked through: %s", error)
        finally:
            connections.close_all()

    def tidy(self, now: float) -> int:
        """Returns how many folders went."""
        left = sorted(self.all_left(), key=lambda each: each.since)
        oldest = now - settings.WORK_DAYS * 86_400 if settings.WORK_DAYS else 0.0
        total = sum(each.size_bytes for each in left)
        gone = 0
        for each in left:
            old = each.since < oldest
            large = bool(settings.WORK_BYTES) and total > settings.WORK_BYTES
            if not old and not large:
                break  # they are in order: none after it is older
            if not is_over(Local(each.folder.parent)) or needed(each.folder):
                continue
            why = (
                f"it ended more than {settings.WORK_DAYS:g} days ago"
                if old
                else f"the work of attempts that are over has {total / 2**30:,.1f} GiB, more than "
                f"{settings.WORK_BYTES / 2**30:,.1f}"
            )
            if self.remove(each, why):
                total -= each.size_bytes
                gone += 1
        return gone

    def all_left(self) -> Iterator[Left]:
        top = Path(settings.ATTEMPT_DIR)
        for folder in top.iterdir() if top.is_dir() else ():
            work = folder / WORK
            if work.is_dir() and not work.is_symlink() and not Local(folder).status().living:
                yield Left(work, ended_at(folder), self.size(work))

    def size(self, work: Path) -> int:
        known = self.sizes.get(work)
        if known is None:
            known = size_of(work)
            if (work.parent / "exit.json").exists():
                self.sizes[work] = known
        return known

    def remove(self, left: Left, why: str) -> bool:
        try:
            shutil.rmtree(left.folder)
        except OSError as error:
            logger.warning("%s could not be removed whole: %s", left.folder, error)
            self.sizes.pop(left.folder, None)
            return False
        self.sizes.pop(left.folder, None)
        logger.info("%s is removed (%.1f MiB): %s", left.folder, left.size_bytes / 2**20, why)
        return True


def is_over(local: Local) -> bool:
    """Nothing of it lives here, and the site says that it has ended, or does not know it any more."""
    if local.status().living or local.supervised():
        return False
    training = local.training()
    if training is not None and group_alive(training.pid):
        return False
    attempt = local.attempt()
    # A part on a further node of a gang ends with the whole.
    return attempt is None or attempt.ended_at is not None


def needed(work: Path) -> bool:
    return Checkpoint.objects.filter(available=True, path__startswith=f"{work}{os.sep}").exists()


def ended_at(folder: Path) -> float:
    """When it ended by its own word, else when something was last written there."""
    exit = folder / "exit.json"
    return (exit if exit.exists() else folder).stat().st_mtime


def size_of(folder: Path) -> int:
    total = 0
    for top, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(top, name)).st_size
            except OSError:
                continue
    return total
