"""How much main memory a training's processes use together, to be held to what its job asked for. Linux; no root.

Counted: private memory, and shared memory that they map (a part of a page that several of them map counts in parts), of
the process, what descends from it, and what is in its session. Not counted: pages of files, which the kernel takes back
when it needs them; what is swapped out; files in a tmpfs that no process maps; memory of a GPU.
"""

import contextlib
import os
import signal
from dataclasses import dataclass, field
from math import inf

PROC = "/proc"
LOOK_EVERY_SECONDS = 1.0


@dataclass
class Family:
    """The processes of one training. Who has once been seen belongs to it, though its parent ends meanwhile."""

    leader: int
    known: dict[int, int] = field(default_factory=dict)  # its start, in the kernel's ticks, by process id
    looked_at: float = -inf

    def look(self) -> set[int]:
        started, children, found = {}, dict[int, list[int]](), [self.leader]
        for pid in process_ids():
            stat = fields_of(pid)
            if stat is None:
                continue
            parent, session, start = stat
            started[pid] = start
            children.setdefault(parent, []).append(pid)
            if session == self.leader or self.known.get(pid) == start:
                found.append(pid)
        all_of_them = set[int]()
        while found:
            pid = found.pop()
            if pid in started and pid not in all_of_them:
                all_of_them.add(pid)
                found += children.get(pid, [])
        self.known = {pid: started[pid] for pid in all_of_them}
        return all_of_them

    def used_bytes(self, at_most: int, now: float = inf) -> int:
        """Exact where it is more than `at_most`; below that the cheaper count, where shared pages count for each.

        now: by a clock; new processes are looked for once a second, which takes most of the time.
        """
        if now - self.looked_at >= LOOK_EVERY_SECONDS or not self.known:
            self.look()
            self.looked_at = now
        plain = sum(kibibytes(pid, "status", (b"RssAnon:", b"RssShmem:")) for pid in self.known)
        if plain * 1024 <= at_most:
            return plain * 1024
        pids = self.look()
        return 1024 * sum(kibibytes(pid, "smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:")) for pid in pids)

    def kill(self) -> None:
        for pid in self.look() - {os.getpid()}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def process_ids() -> list[int]:
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdigit()]
    except FileNotFoundError:
        return []  # not Linux: nothing is counted


def fields_of(pid: int) -> tuple[int, int, int] | None:
    """(parent, session, start) of a process that lives."""
    try:
        text = read(f"{PROC}/{pid}/stat")
    except OSError:
        return None
    # The name, in brackets, may hold anything.
    words = text[text.rindex(b")") + 2 :].split()
    return None if words[0] == b"Z" else (int(words[1]), int(words[3]), int(words[19]))


def read(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, 8192)
    finally:
        os.close(handle)


def kibibytes(pid: int, file: str, names: tuple[bytes, ...]) -> int:
    try:
        lines = read(f"{PROC}/{pid}/{file}").splitlines()
    except OSError:
        return 0  # it has ended meanwhile
    return sum(int(line.split()[1]) for line in lines if line.startswith(names))
