"""What is soaked: a whole site with PostgreSQL and Valkey, and a second node with disk, clock and cable of its own."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.relay import Relay
from tests.support.servers import Postgres, Valkey, here
from tests.support.stack import TOP, RunningStack
from tests.support.wait import until
from training.jobs.output import REFUSED

from .clock import Clock

LEASE_SECONDS = 4
DISK_BYTES = 48 * 2**20
CHECKPOINTS_BYTES = 16 * 2**20
PATIENCE = {
    "SCALEWEB_LEASE_SECONDS": str(LEASE_SECONDS), "SCALEWEB_SILENT_SECONDS": "4", "SCALEWEB_LOST_SECONDS": "12",
    "SCALEWEB_STOP_GRACE_SECONDS": "3", "SCALEWEB_CPU_SLOTS": "2",
}  # fmt: skip


class Site:
    """`stack` starts its processes again by itself; the second node's worker is started again by `look`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told = folder, folder / "told"
        self.told.mkdir()
        folder.chmod(0o755)  # PostgreSQL's user has to get through
        self.database = Postgres(folder / "pg", "127.0.0.1", here)
        self.broker = Valkey(folder / "broker", "127.0.0.1", here)
        self.stack = RunningStack(
            folder / "site" / "home", DATABASE_URL=self.database.url, REDIS_URL=self.broker.url,
            SCALEWEB_NODE="first", **PATIENCE,
        )  # fmt: skip
        checkpoints = self.stack.home / "checkpoints"
        self.disks: list[Path] = []
        checkpoints.mkdir(parents=True)
        self.checkpoints = self.own_disk(checkpoints, CHECKPOINTS_BYTES)
        self.stack.start()
        self.api = self.stack.api()
        self.clock = Clock(folder)
        self.second = folder / "second"
        self.second.mkdir()
        (self.second / "attempts").mkdir()
        self.attempts = self.own_disk(self.second / "attempts", DISK_BYTES)
        (self.second / "checkpoints").symlink_to(checkpoints)
        # All that the second node says to the site goes through these.
        self.cable = {
            port: Relay("127.0.0.1", port) for port in (self.database.port, self.broker.port, self.stack.port)
        }
        self.worker: subprocess.Popen[bytes] | None = None
        self.look()
        until(lambda: sum(node["state"] == "online" for node in self.api.get("nodes")["results"]) == 2, 60)

    def own_disk(self, folder: Path, size: int) -> Path | None:
        """A small file system, so that it alone runs full; the folder, or None. Needs root."""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], capture_output=True
        )
        if done.returncode:
            return None
        self.disks.append(folder)
        return folder

    def through_cable(self, address: str) -> str:
        for port, relay in self.cable.items():
            address = address.replace(f":{port}", f":{relay.port}")
        return address

    def cut(self) -> None:
        for relay in self.cable.values():
            relay.cut()

    def heal(self) -> None:
        for relay in self.cable.values():
            relay.heal()

    def look(self) -> None:
        """Start the second node's worker if it does not run, as systemd would."""
        if self.worker is not None and self.worker.poll() is None:
            return
        ours = re.compile("SCALEWEB_|DJANGO_|REDIS_|DATABASE_")
        kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
        own = {
            "SCALEWEB_HOME": str(self.second), "SCALEWEB_URL": self.through_cable(self.stack.url),
            "DATABASE_URL": self.through_cable(self.database.url), "REDIS_URL": self.through_cable(self.broker.url),
        }  # fmt: skip
        self.worker = here(
            sys.executable, "-m", "celery", "-A", "scaleweb", "worker", "-Q", "node.second", "--pool",
            "threads", "-c", "4", "-n", "node@second", "--without-gossip", "--without-mingle", "-l", "INFO",
            log=self.folder / "second.log",
            environment=kept | PATIENCE | own | self.clock.environment, cwd=TOP,
        )  # fmt: skip

    def homes(self) -> list[Path]:
        return [self.stack.home, self.second]

    def supervisors(self, home: Path | None = None) -> list[psutil.Process]:
        return self.processes("training.jobs.supervisor", home)

    def trainings(self, home: Path | None = None) -> list[psutil.Process]:
        return self.processes(str(self.told), home)

    def processes(self, word: str, home: Path | None) -> list[psutil.Process]:
        """Those of this site whose command has the word, of one node if a data folder is named."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                said = " ".join(process.cmdline())
                if word in said and process.status() != psutil.STATUS_ZOMBIE:
                    # A supervisor names its folder, a training has it in its environment.
                    where = said + process.environ().get("SCALEWEB_SPOOL_DIR", "")
                    if any(str(each) in where for each in ([home] if home else self.homes())):
                        found.append(process)
        return found

    def of_second(self) -> list[psutil.Process]:
        """Everything that would stop if that host froze."""
        assert self.worker is not None
        worker = [psutil.Process(self.worker.pid)] if self.worker.poll() is None else []
        return worker + self.supervisors(self.second) + self.trainings(self.second)

    def at_work(self) -> bool:
        """Whether anything runs, or is still to be sent."""
        if self.supervisors() or self.trainings():
            return True
        spools = [path for home in self.homes() for path in (home / "attempts").glob("*/*/*/*.batches")]
        return any(
            path.stat().st_size and not (path.parents[2] / REFUSED[path.parents[1].name]).exists()
            for path in spools
        )

    def attempts_of(self, job: str) -> list[Path]:
        return [path for home in self.homes() for path in (home / "attempts").glob(f"{job}-*")]

    def tidy(self) -> None:
        """What attempts left behind goes, once all of it was read: their disk is small."""
        for home in self.homes():
            for folder in (home / "attempts").iterdir():
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        self.heal()
        for process in self.of_second():
            with contextlib.suppress(psutil.Error):
                process.resume()
                process.terminate()
        if self.worker is not None and self.worker.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.worker.wait(20)
            self.worker.kill()
        self.stack.close()
        for process in self.supervisors(self.second) + self.trainings(self.second):
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        for relay in self.cable.values():
            relay.close()
        self.broker.stop()
        self.database.stop()
        for disk in self.disks:
            # What it holds goes with it, and is what one reads when a round has failed.
            with contextlib.suppress(OSError, shutil.Error):
                shutil.copytree(disk, disk.with_name(f"{disk.name}-kept"), dirs_exist_ok=True)
            subprocess.run(["umount", "-l", disk], check=False)
