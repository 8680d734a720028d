"""An attempt as this host sees it: a folder with files, and processes that the files name."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings

from scaleweb_sdk.leaving import FILE as LEAVING
from training.models import Attempt, Member

from .output import REFUSED, unsent
from .processes import Process, group_alive, read_json, write_json
from .spec import build, cleaned

LAUNCH_SECONDS = 10.0


class Status(Enum):
    ABSENT = "absent"  # nothing was ever written here: it was not started
    STARTING = "starting"  # its supervisor is on its way
    RUNNING = "running"
    ORPHANED = "orphaned"  # the training lives, its supervisor does not
    ENDED = "ended"  # exit.json says how
    GONE = "gone"  # nothing lives, and nothing says how it ended

    @property
    def living(self) -> bool:
        return self in {Status.STARTING, Status.RUNNING, Status.ORPHANED}


class Local:
    """The folder of one attempt: spec.json, supervisor.json, state.json, exit.json and what was printed."""

    # Folders that are over are not looked into again; there may be thousands.
    over: ClassVar[set[Path]] = set()
    sent: ClassVar[set[Path]] = set()
    terminated: ClassVar[dict[Path, float]] = {}
    ended_here: ClassVar[set[Path]] = set()
    looked_through: ClassVar[set[Path]] = set()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def all_living(cls) -> list["Local"]:
        top = Path(settings.ATTEMPT_DIR)
        if not top.is_dir():
            return []
        found = []
        for path in top.iterdir():
            if path in cls.over:
                continue
            local = cls(path)
            if local.status().living:
                found.append(local)
            elif local.age() > LAUNCH_SECONDS:
                cls.over.add(path)
        return found

    @classmethod
    def all_supervisors(cls) -> list[Process]:
        """Every supervisor of this data folder that lives, whatever it still has to do."""
        top = Path(settings.ATTEMPT_DIR)
        folders = top.iterdir() if top.is_dir() else []
        return [process for path in folders for process in cls(path).supervisors()]

    @classmethod
    def all_unsent(cls) -> list["Local"]:
        """Attempts that are over and hold what the server has not got yet: it, or who looks after them, was away."""
        top = Path(settings.ATTEMPT_DIR)
        found = []
        for path in sorted(top.iterdir()) if top.is_dir() else []:
            local = cls(path)
            if path in cls.sent or local.supervised():
                continue
            status = local.status()
            if status is not Status.ENDED and not (status is Status.GONE and local.has_run()):
                continue
            left = any(unsent(path / name) and not (path / file).exists() for name, file in REFUSED.items())
            if left or (status is Status.GONE and local.unread()):
                found.append(local)
            else:
                cls.sent.add(path)
        return found

    def launch(
        self, attempt: Attempt, unless: Callable[[], bool] = lambda: False, member: Member | None = None
    ) -> None:
        """Write the spec and start the supervisor, unless the worker is to end by then.

        Raises OSError, CannotResume.
        """
        spec = build(attempt, member)
        if not unless():
            write_json(self.folder / "spec.json", spec)
            try:
                self.supervise()
            except OSError:
                self.kill()  # it was quicker than we: its attempt will be said not to have started
                raise

    def supervise(self) -> None:
        """Start a supervisor: the first one, or one that goes on for one that died."""
        with open(self.folder / "supervisor.log", "ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "training.jobs.supervisor", str(self.folder / "spec.json")],
                cwd=settings.BASE_DIR,
                env=cleaned(dict(os.environ)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = Process.of(started.pid) or Process(started.pid, time.time())
        children.append(started)
        try:
            write_json(self.folder / "supervisor.json", {"pid": process.pid, "started": process.started})
        except OSError:
            # A full disk. Nobody could find it again, and what it starts would be nobody's.
            started.kill()
            raise

    def hand_in(self) -> None:
        """Start a supervisor that sends what an attempt that is over has left."""
        if self.status() is Status.ENDED:
            self.supervise()
        else:
            self.supervise_the_end()

    def has_run(self) -> bool:
        """Whether a process of it is known: a supervisor would start one otherwise."""
        return Process.told(read_json(self.folder / "state.json") or {}) is not None

    def unread(self) -> bool:
        """Whether there are lines that no supervisor has read; nobody tries twice."""
        if self.folder in self.looked_through:
            return False
        offsets = (read_json(self.folder / "state.json") or {}).get("offsets", {})
        logs = ((self.folder / f"{stream}.log", stream) for stream in ("stdout", "stderr"))
        return any(
            path.exists() and path.stat().st_size > int(offsets.get(stream, 0)) for path, stream in logs
        )

    def supervise_the_end(self) -> bool:
        """Start a supervisor for a process that ended after its own had died.

        It sends what was printed and is not sent yet, and writes down that nobody knows the exit code. False where that
        was tried before, or nobody knows of a process: a supervisor would start one.
        """
        if self.folder in self.looked_through or not self.has_run():
            return False
        self.looked_through.add(self.folder)
        self.supervise()
        return True

    def status(self) -> Status:
        if (self.folder / "exit.json").exists():
            return Status.ENDED
        if not (self.folder / "spec.json").exists():
            return Status.ABSENT
        state = read_json(self.folder / "state.json")
        supervised = self.supervised()
        if state is None:
            launching = supervised or (self.age() < LAUNCH_SECONDS and not self.launched())
            return Status.STARTING if launching else Status.GONE
        if supervised:
            return Status.RUNNING
        training = Process.told(state)
        if training is not None and training.alive():
            return Status.ORPHANED
        # The supervisor's last act may have come between our two looks.
        return Status.ENDED if (self.folder / "exit.json").exists() else Status.GONE

    def launched(self) -> bool:
        return (self.folder / "supervisor.json").exists()

    def age(self) -> float:
        """Seconds since the spec was written; 0 while there is none."""
        try:
            return time.time() - (self.folder / "spec.json").stat().st_mtime
        except OSError:
            return 0.0

    def supervised(self) -> bool:
        return bool(self.supervisors())

    def supervisors(self) -> list[Process]:
        """Those that live: one, or none."""
        reap_children()
        own = Process.told(read_json(self.folder / "supervisor.json"))
        known = Process.told(read_json(self.folder / "state.json"), "supervisor_")
        return [process for process in {own, known} if process is not None and process.alive()]

    def exit(self) -> dict[str, Any]:
        return read_json(self.folder / "exit.json") or {}

    def how_it_ended(self) -> str:
        """The reason in words, where its exit code is known. A command that cannot be started at all has none of its
        own."""
        exit = self.exit()
        if exit.get("never_started") and exit.get("first_error_line"):
            return str(exit["first_error_line"])
        signal, code = exit.get("signal"), exit.get("exit_code")
        return str(exit.get("too_much") or (f"killed by {signal}" if signal else f"exit code {code}"))

    def leaving(self) -> dict[str, Any] | None:
        """What the process wrote as it left for other devices (scaleweb_sdk.leaving), None if it did not."""
        return read_json(self.folder / LEAVING)

    def left_seconds_ago(self) -> float | None:
        try:
            return time.time() - (self.folder / LEAVING).stat().st_mtime
        except OSError:
            return None

    def training(self) -> Process | None:
        return Process.told(read_json(self.folder / "state.json"))

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        training = self.training()
        if training is not None and (training.alive() or group_alive(training.pid)):
            training.signal_group(number)

    def terminate_then_kill(self, grace_seconds: float) -> None:
        """Called at each look: SIGTERM once, SIGKILL after the grace."""
        now = time.monotonic()
        if now - self.terminated.setdefault(self.folder, now) >= grace_seconds:
            self.kill()
        elif self.terminated[self.folder] == now:
            self.terminate()

    def give_up(self, grace_seconds: float) -> None:
        """End a process whose attempt is over, and write down that it was this node that ended it."""
        if self.at_work:
            self.ended_here.add(self.folder)
            with contextlib.suppress(OSError):  # a full disk is no reason to let it live
                (self.folder / "given_up").touch()
        self.terminate_then_kill(grace_seconds)

    @property
    def given_up(self) -> bool:
        return self.folder in self.ended_here or (self.folder / "given_up").exists()

    @property
    def at_work(self) -> bool:
        """Whether there is more of it than a supervisor that writes down how it ended."""
        training = self.training()
        return training is None or training.alive()

    def attempt(self) -> Attempt | None:
        code, _, place = self.folder.name.rpartition("-")
        number = place.partition(".")[0]
        if not number.isdigit():
            return None
        found = Attempt.objects.select_related("node", "job__run")
        return found.filter(job__code=code, number=int(number)).first()

    @property
    def node_rank(self) -> int:
        """0 for the folder of an attempt's first node."""
        rank = self.folder.name.rpartition("-")[2].partition(".")[2]
        return int(rank) if rank.isdigit() else 0


children: list[subprocess.Popen[bytes]] = []


def reap_children() -> None:
    """Collect supervisors that ended, so that they do not stay as zombies."""
    children[:] = [child for child in children if child.poll() is None]
