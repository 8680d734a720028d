"""One process of the stack: started, watched, started again when it dies, ended in order."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LEASH = Path(__file__).with_name("leash.py")
LARGEST_LOG_BYTES = 10 * 2**20
SHORTEST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0


@dataclass
class Child:
    """name: what the screen calls it. ready: whether it does its work by now; asked again and again at the start."""

    name: str
    argv: list[str]
    log: Path
    ready: Callable[["Child"], bool]
    environment: dict[str, str] = field(default_factory=dict)
    stop_seconds: float = 8.0
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float | None = None  # when it is to be started again
    pause: float = SHORTEST_PAUSE_SECONDS
    log_from: int = 0

    def start(self) -> None:
        with self.open_log() as log:
            self.log_from = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-S", "-E", str(LEASH), str(os.getpid()), *self.argv],
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal is for the stack, which ends them in order
            )
        self.started_at, self.due_at = time.monotonic(), None

    def open_log(self) -> IO[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_name(self.log.name + ".1"))
        return open(self.log, "ab")

    def keep_log_short(self) -> None:
        """A process that runs for months writes months of log: its older half is kept aside, the one before goes."""
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
            # The process holds the file open, to append: it is copied and emptied, not moved.
            with contextlib.suppress(OSError):  # a full disk: then the old half is not kept
                shutil.copyfile(self.log, self.log.with_name(self.log.name + ".1"))
            os.truncate(self.log, 0)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def said(self, words: bytes) -> bool:
        """Whether it has printed these words since it was started."""
        try:
            with open(self.log, "rb") as log:
                log.seek(self.log_from)
                return words in log.read()
        except OSError:
            return False

    def last_words(self, count: int = 8) -> str:
        try:
            with open(self.log, "rb") as log:
                log.seek(max(self.log_from, self.log.stat().st_size - 20_000))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return "\n".join(f"    {line}" for line in lines[-count:])

    def look(self) -> str:
        """Start it again if it died. Returns a sentence when something happened, else ""."""
        now = time.monotonic()
        if self.running or self.process is None:
            self.keep_log_short()
            return ""
        if self.due_at is None:
            # Fast at first, slower when it dies again and again.
            steady = now - self.started_at > STEADY_SECONDS
            self.pause = SHORTEST_PAUSE_SECONDS if steady else min(self.pause * 2, LONGEST_PAUSE_SECONDS)
            self.due_at = now + self.pause
            return f"{self.name} ended ({how(self.process.returncode)}) and is started again; see {self.log}"
        if now >= self.due_at:
            self.start()
        return ""

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """SIGTERM, a bounded wait, SIGKILL."""
        if self.process is None:
            return
        if self.running:
            self.process.terminate()
        end = time.monotonic() + self.stop_seconds
        while self.running and time.monotonic() < end and not hurry():
            time.sleep(0.02)
        if self.running:
            self.process.kill()
        self.process.wait()


def how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
