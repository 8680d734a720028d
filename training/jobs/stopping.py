"""Ends a process that was asked to stop: the command over its link, SIGTERM, SIGKILL, a grace between each two."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from training.models import Attempt

from .local import Local


@dataclass
class Stopping:
    """A part of an attempt on its way out: asked at `since`, signalled at `signalled`."""

    since: float
    signalled: float | None = None


@dataclass
class Stops:
    """`press` is called at each look of the node's loop, `forget` with the folders of what lives."""

    parts: dict[Path, Stopping] = field(default_factory=dict)

    def press(self, attempt: Attempt, local: Local) -> None:
        now = time.monotonic()
        stop = self.parts.setdefault(local.folder, Stopping(now))
        listens = bool(attempt.job.run.process)  # it has spoken over the link
        grace = settings.STOP_GRACE_SECONDS if listens else 0.0
        if stop.signalled is None and now - stop.since >= grace:
            stop.signalled = now
            local.terminate()
        elif stop.signalled is not None and now - stop.signalled >= settings.STOP_GRACE_SECONDS:
            local.kill()

    def follow(self, local: Local) -> None:
        """The same for what the first node's part has left behind: it had its word over the link."""
        since = self.parts.setdefault(local.folder, Stopping(time.monotonic())).since
        if time.monotonic() - since >= settings.STOP_GRACE_SECONDS:
            local.terminate_then_kill(settings.STOP_GRACE_SECONDS)

    def forget(self, living: set[Path]) -> None:
        self.parts = {folder: stop for folder, stop in self.parts.items() if folder in living}
