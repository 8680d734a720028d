"""What a process can say of itself: where it runs, what it was started with, what it uses."""

import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Cheap facts for the run's record: no child process is started for them."""
    facts: dict[str, Any] = {
        "hostname": platform.node(),
        "pid": os.getpid(),
        "argv": [argument[:1000] for argument in sys.argv[:200]],
        "python": platform.python_version(),
        "os": platform.platform(),
        "started_at": time.time(),
    }
    try:
        facts["cwd"] = os.getcwd()
    except OSError:  # a folder that was deleted under the process
        return facts
    revision = git_revision(Path(facts["cwd"]))
    if revision:
        facts["git"] = revision
    return facts


def device_of(local_rank: int | None, environ: Mapping[str, str] = os.environ) -> str:
    """The device that a rank computes on by convention: the visible GPU of its local rank, as its launcher named it."""
    seen = environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in (seen or "").split(",") if name.strip()]
    if seen is None:
        return ""
    if not names:
        return "cpu"
    place = local_rank or 0
    return names[place] if place < len(names) else names[0] if len(names) == 1 else ""


def git_revision(folder: Path) -> str:
    """The commit that is checked out, read from the files; "" outside a repository."""
    for place in (folder, *folder.parents):
        git = place / ".git"
        if git.is_dir():
            break
    else:
        return ""
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.exists():
            return loose.read_text().strip()
        for line in (git / "packed-refs").read_text().splitlines():
            if line.endswith(f" {name}"):
                return line.split(" ")[0]
    except (OSError, ValueError):
        pass
    return ""


class Usage:
    """CPU and memory of this process, from the standard library alone."""

    def __init__(self) -> None:
        self.last = (time.monotonic(), cpu_seconds())

    def read(self) -> dict[str, float]:
        """`_process_cpu_ratio`: cores in use since the last call; `_process_memory_bytes`: resident, where known."""
        now, used = time.monotonic(), cpu_seconds()
        before, self.last = self.last, (now, used)
        figures = {}
        if now > before[0]:
            figures["_process_cpu_ratio"] = (used - before[1]) / (now - before[0])
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            figures["_process_memory_bytes"] = float(pages * os.sysconf("SC_PAGE_SIZE"))
        except (OSError, ValueError, IndexError):  # no /proc: macOS
            pass
        return figures


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
