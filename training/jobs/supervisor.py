"""Owns one attempt's training process: starts it, ships what it prints, writes down how it ended.

    python -m training.jobs.supervisor SPEC.json

A process of its own, in a session of its own, without Django: a worker that is restarted finds it again by
its files. In the spec's folder it keeps `state.json` (who runs), `stdout.log`, `stderr.log`, `lines/` (their
spool) and at the end `exit.json`. Started again after its own death it goes on with a process that lives; lines
of its last half second may then be sent twice, none is lost. Started again after the end, it sends what the
server has not got yet.
"""

import contextlib
import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from scaleweb_sdk.link import Link, Parcel
from scaleweb_sdk.protocol import LogLine, Refusal
from scaleweb_sdk.spool import SpoolInUse

from .memory_limit import Family
from .output import REFUSED, Follower, LastLines, unsent
from .processes import Process, members, read_json, signal_name, write_json
from .reasons import size

logger = logging.getLogger("supervisor")
LOOK_EVERY_SECONDS = 0.1
MEMORY_EVERY_SECONDS = 0.25
LAST_WORDS_SECONDS = 60.0
HAND_IN_SECONDS = 5.0
CANNOT_EXECUTE = 126
NOT_FOUND = 127


class Supervisor:
    """One attempt. spec: run, attempt, node, url, token, program (what is asked for), argv (how that is started), cwd,
    env, folder, memory_bytes (None: no limit), nodes (over how many the attempt runs)."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.folder = Path(spec["folder"])
        state = read_json(self.folder / "state.json") or {}
        offsets = state.get("offsets", {})
        self.followers = [
            Follower(self.folder / f"{stream}.log", stream, int(offsets.get(stream, 0)))
            for stream in ("stdout", "stderr")
        ]
        self.last = LastLines()
        self.child: subprocess.Popen[bytes] | None = None
        self.process = Process.told(state)
        self.family: Family | None = None
        self.asked_to_end = self.over = False
        self.too_much = ""  # why it was ended, where it used more memory than its job asked for
        self.link: Link | None = None
        self.written: dict[str, Any] = {}
        self.reading = threading.Lock()

    def run(self) -> int:
        me = Process.of(os.getpid())
        assert me is not None
        self.me = me
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on_signal)
        started = self.process is not None or self.start()
        self.ship()
        assert self.link is not None
        if started:
            code = self.wait()
            self.clear_up()
            self.hand_in("spool", HAND_IN_SECONDS)
            self.write_exit(code, self.too_much)
        self.over = True
        if not self.link.close(LAST_WORDS_SECONDS):
            logger.warning(
                "some of what the process printed is still to be sent; it stays in %s", self.folder
            )
        return 0 if started else 1

    def run_late(self) -> int:
        """The process is over, and the server was away then: try again."""
        for name in ("spool", "lines"):
            self.hand_in(name, LAST_WORDS_SECONDS)
        return 0

    def start(self) -> bool:
        """Start the training process. False when it cannot be; then `exit.json` says why."""
        spec = self.spec
        program, node = spec.get("program") or spec["argv"][0], spec.get("node") or "this node"
        try:
            if program != spec["argv"][0]:
                look_for(
                    program, spec["cwd"], spec["env"]
                )  # torchrun is there, whether its program is or not
            with (
                open(self.folder / "stdout.log", "ab") as out,
                open(self.folder / "stderr.log", "ab") as err,
            ):
                self.child = subprocess.Popen(
                    spec["argv"], cwd=spec["cwd"], env=spec["env"], stdin=subprocess.DEVNULL, stdout=out,
                    stderr=err, start_new_session=True, close_fds=True,
                )  # fmt: skip
        except (OSError, ValueError) as error:  # ValueError: an argument that cannot be encoded
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_EXECUTE
            said = why_not(program, spec["cwd"], node, error)
            with contextlib.suppress(OSError):
                (self.folder / "stderr.log").write_text(f"{said}\n")
            self.write_exit(code, said, never_started=True)
            return False
        self.process = Process.of(self.child.pid) or Process(self.child.pid, time.time())
        try:
            self.write_state()
        except OSError:
            # Nobody could find it again: better no process than one that nobody knows of.
            self.child.kill()
            raise
        return True

    def ship(self) -> None:
        """Open the link. What an earlier supervisor had spooled is sent by a link of its own session."""
        # Not the training's own spool, which it writes itself.
        self.hand_in("lines", 2.0)
        self.link = Link(
            self.spec["url"], self.spec["token"], f"run:{self.spec['run']}", role="supervisor",
            attempt=self.spec["attempt"], spool_dir=self.folder / "lines", fill=self.fill, open_lines=self.open_lines,
            flush_seconds=0.5, process={"node": self.spec["node"], "nodes": self.spec.get("nodes", 1)},
        )  # fmt: skip

    def fill(self) -> list[Parcel]:
        # What the last call handed out is in the spool by now: only then it counts as shipped.
        if self.process is not None:
            self.write_state()
        with self.reading:
            for follower in self.followers:
                follower.release()
        return self.read()

    def read(self, *, to_the_end: bool = False) -> list[Parcel]:
        with self.reading:  # the link's thread reads while the process lives, the main thread its last words
            lines = [line for follower in self.followers for line in follower.read(to_the_end=to_the_end)]
            self.last.add(lines)
        return [Parcel(lines=lines)] if lines else []

    def open_lines(self) -> list[LogLine]:
        with self.reading:
            return [line for each in self.followers for line in each.open_lines()]

    def wait(self) -> int | None:
        """The exit code, negative for a signal; None for a process that is not our child."""
        assert self.process is not None
        if self.child is not None:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return self.child.wait(MEMORY_EVERY_SECONDS)
                self.hold_to_memory()
        while self.process.alive():
            time.sleep(MEMORY_EVERY_SECONDS)
            self.hold_to_memory()
        return None

    def hold_to_memory(self) -> None:
        """End it where it uses more main memory than its job asked for: what is beyond was given to others."""
        limit = self.spec.get("memory_bytes")
        if not limit or self.process is None:
            return
        self.family = self.family or Family(self.process.pid)
        used = self.family.used_bytes(limit, time.monotonic())
        if used > limit:
            asked = f"had asked for {size(limit)}: ask for more (--memory)"
            self.too_much = f"it used {size(used)} of main memory and {asked}"
            logger.warning("%s", self.too_much)
            with contextlib.suppress(OSError), open(self.folder / "stderr.log", "a") as err:
                err.write(f"ScaleWeb: {self.too_much}\n")
            self.family.kill()

    def clear_up(self) -> None:
        """End what the process left behind: data loaders, servers it started, in sessions of their own too."""
        for number, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0)):
            end, told = time.monotonic() + seconds, set[int]()
            while (left := self.left_behind()) and time.monotonic() < end:
                for pid in left - told:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)
                told |= left
                time.sleep(LOOK_EVERY_SECONDS)

    def left_behind(self) -> set[int]:
        assert self.process is not None
        mark = self.spec["env"].get("SCALEWEB_SPOOL_DIR", "")
        return members(self.process.pid, "SCALEWEB_SPOOL_DIR", mark)

    def hand_in(self, name: str, seconds: float) -> None:
        """Send what a process that is gone had on disk and not yet sent. What cannot be sent stays there."""
        for left in unsent(self.folder / name):
            about = read_json(left / "about.json") or {}
            refused = None
            # Where the next attempt has begun its process is refused; what it left behind is not.
            for role in (about.get("role") or "process", "supervisor"):
                with contextlib.suppress(SpoolInUse):  # somebody writes to it: a grandchild that lives on
                    refused = self.hand_in_as(role, left, about, seconds)
                if refused is None or refused.code != "stale_attempt":
                    break
            if refused is not None:
                # For good: asking again and again would change nothing.
                write_json(self.folder / REFUSED[name], {"spool": str(left), "reason": refused.message})

    def hand_in_as(self, role: str, left: Path, about: dict[str, Any], seconds: float) -> Refusal | None:
        link = Link(
            self.spec["url"], self.spec["token"], f"run:{self.spec['run']}", session=left.name, role=role,
            spool_dir=left.parent, attempt=self.spec["attempt"], rank=int(about.get("rank") or 0),
            world_size=int(about.get("world_size") or 1), process=about.get("process") or {},
        )  # fmt: skip
        link.close(seconds)
        return link.refused

    def on_signal(self, number: int, _: FrameType | None) -> None:
        if self.over:
            raise SystemExit(0)  # it only waits for the server; what is unsent stays on disk
        # Whoever ends the supervisor means the training.
        if self.process is not None:
            self.process.signal_group(signal.SIGTERM if not self.asked_to_end else signal.SIGKILL)
        self.asked_to_end = True

    def write_state(self) -> None:
        assert self.process is not None
        offsets = {follower.stream: follower.offset for follower in self.followers}
        state = {
            "supervisor_pid": self.me.pid, "supervisor_started": self.me.started,
            "pid": self.process.pid, "started": self.process.started, "offsets": offsets,
        }  # fmt: skip
        if state != self.written:
            self.written = state
            write_json(self.folder / "state.json", state)

    def write_exit(self, code: int | None, said: str = "", never_started: bool = False) -> None:
        """How it ended, for the worker. The link's thread may have read the last lines already."""
        if self.link is not None:
            while parcels := self.read(to_the_end=True):
                self.link.send(lines=parcels[0].lines)
        killed = signal_name(-code) if code is not None and code < 0 else ""
        error = said or ("" if code == 0 else self.last.first_error())
        if killed and not said:
            hint = "; the kernel ends processes so when memory runs out" if killed == "SIGKILL" else ""
            error = error if self.last.traceback else f"killed by {killed}{hint}"
        write_json(
            self.folder / "exit.json",
            {
                "exit_code": code, "signal": killed, "first_error_line": error, "never_started": never_started,
                "ended_at": time.time(), "too_much": self.too_much,
            },
        )  # fmt: skip


def look_for(program: str, cwd: str, env: Mapping[str, str]) -> None:
    """Raises FileNotFoundError as a start of the program would."""
    found = (
        Path(cwd, program).exists() if os.sep in program else shutil.which(program, path=env.get("PATH", ""))
    )
    if not found:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)


def why_not(program: str, cwd: str, node: str, error: Exception) -> str:
    """Why a program cannot be started on a node, in words, and what would help."""
    why = getattr(error, "strerror", None) or str(error)
    if getattr(error, "filename", None) == cwd:
        return (
            f"the job's folder {cwd!r} cannot be entered on node {node}: {why}; make it there, name one that is there "
            "(--cwd), or send your own along (--send)"
        )
    if isinstance(error, PermissionError):
        return f"{program!r} cannot be started on node {node}: {why}; make it executable (chmod +x)"
    if not isinstance(error, FileNotFoundError):
        return f"{program!r} cannot be started on node {node}: {why}"
    if os.sep not in program:
        return (
            f"the command {program!r} was not found on node {node}: no folder of its PATH has such a program; "
            "install it there, or name it by its path"
        )
    if Path(cwd, program).exists():
        return (
            f"{program!r} cannot be started on node {node}: the interpreter that its first line names is not there; "
            "install it, or name one that is there"
        )
    where = "" if Path(program).is_absolute() else f" in the job's folder {cwd!r}"
    return (
        f"the command {program!r} was not found on node {node}: there is no such file{where}; name one that is there, "
        "or send it along (--send)"
    )


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    spec = read_json(Path(arguments[0])) if len(arguments) == 1 else None
    if spec is None:
        print(
            "usage: python -m training.jobs.supervisor SPEC.json (a file that a node worker wrote)",
            file=sys.stderr,
        )
        return 2
    if (Path(spec["folder"]) / "exit.json").exists():
        return Supervisor(spec).run_late()
    return Supervisor(spec).run()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
