"""Processes told apart for certain: a process id is used again, a process id with its start time is not."""

import contextlib
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Process:
    """A process of this host. `started`: seconds since the epoch, as the kernel tells it."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    @classmethod
    def told(cls, values: dict[str, Any] | None, prefix: str = "") -> "Process | None":
        """The process that a file names; None when it names none."""
        try:
            return cls(int((values or {})[f"{prefix}pid"]), float((values or {})[f"{prefix}started"]))
        except (KeyError, TypeError, ValueError):
            return None

    def alive(self) -> bool:
        """Whether it runs: not ended, not a zombie, not another process with its number."""
        try:
            found = psutil.Process(self.pid)
            # The kernel counts in ticks since boot; the clock that turns them into a date may be set meanwhile.
            return abs(found.create_time() - self.started) < 2 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def signal_group(self, number: int) -> bool:
        """Signal the process group that it leads. False when there is none any more."""
        # A group keeps its leader's number from being used again; another process under it: the group is gone.
        if not self.alive() and (taken_over(self) or not group_alive(self.pid)):
            return False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
            return True
        return False


def group_alive(group: int) -> bool:
    """Whether anything but zombies is left of a process group."""
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) == group:
                return True
    return False


def taken_over(process: Process) -> bool:
    """Whether another process has its number now."""
    found = Process.of(process.pid)
    return found is not None and abs(found.started - process.started) >= 2


def members(group: int, name: str, value: str) -> set[int]:
    """What is left of a process group, and of what it started: processes with name=value in their environment.

    Those may have left the group. Zombies do not count, nor does the caller.
    """
    found = set()
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            if process.info["status"] == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            if os.getpgid(process.pid) == group or process.environ().get(name) == value:
                found.add(process.pid)
    return found


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a file whole: a reader sees the old one or the new one, never half."""
    temporary = path.with_name(path.name + ".new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_json(path: Path) -> dict[str, Any] | None:
    """None when there is no such file, or no map in it."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
