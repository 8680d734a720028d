"""Three hosts of one site, put up for a test and taken down again, also where putting them up fails half way."""

import contextlib
import os
import re
import sys
import textwrap
from pathlib import Path

from tests.support.network import Host, Network
from tests.support.servers import Postgres, Valkey
from tests.support.stack import TOP, RunningStack
from tests.support.wait import until

LEASE_SECONDS = 10


class Hosts:
    """a: site, database, broker. b, c: nodes of one slot each, with a folder of checkpoints that both share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in (folder, *folder.parents[:2]):
            path.chmod(0o755)  # PostgreSQL's user has to get through
        with contextlib.ExitStack() as ending:
            self.put_up(ending)
            self.ending = ending.pop_all()

    def put_up(self, ending: contextlib.ExitStack) -> None:
        """Each part is handed to `ending` before it starts: where a later one fails, none of them stays."""
        self.network = Network()
        ending.callback(self.network.close)  # and all that still runs on its hosts
        self.a, self.b, self.c = (self.network.host(name) for name in "abc")
        self.database = Postgres(self.folder / "pg", self.a.address, self.a.start)
        self.broker = Valkey(self.folder / "broker", self.a.address, self.a.start)
        self.site = RunningStack(
            self.folder / "a" / "home",
            DATABASE_URL=self.database.url, REDIS_URL=self.broker.url, SCALEWEB_BIND=self.a.address,
            SCALEWEB_ALLOWED_HOSTS=self.a.address, SCALEWEB_LEASE_SECONDS=str(LEASE_SECONDS), SCALEWEB_CPU_SLOTS="1",
        )  # fmt: skip
        self.site.within, self.site.address = self.a.within, self.a.address
        ending.callback(self.site.close)
        self.site.start()
        self.api = self.site.api()
        (self.folder / "checkpoints").mkdir()
        for host in (self.b, self.c):
            ending.callback(host.kill)
            self.join(host)
        until(
            lambda: {"b", "c"} <= {node["name"] for node in self.nodes() if node["state"] == "online"},
            60,
            0.2,
        )
        own = next(node["name"] for node in self.nodes() if node["name"] not in "bc")
        self.api.post(f"nodes/{own}/cordon")

    def nodes(self):
        return self.api.get("nodes")["results"]

    def state_of(self, name: str) -> str:
        return next(node["state"] for node in self.nodes() if node["name"] == name)

    def join(self, host: Host) -> None:
        home = self.folder / host.name
        home.mkdir()
        (home / "checkpoints").symlink_to(self.folder / "checkpoints")
        token = self.api.post("invitations", {"name": host.name})["token"]
        ours = re.compile("SCALEWEB_|DJANGO_|REDIS_|DATABASE_")
        kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
        host.start(
            sys.executable, "-m", "scaleweb_sdk", "node", "join", self.site.url, token, "--name", host.name, "--home",
            home, "--plain-http", log=home / "worker.log", environment=kept | {"SCALEWEB_CPU_SLOTS": "1"}, cwd=TOP,
        )  # fmt: skip

    def submit(self, script: str, *arguments, **fields):
        argv = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
        return self.api.post("jobs", {"experiment_name": "hosts", "argv": argv} | fields)

    def attempts(self, job):
        return self.api.get(f"jobs/{job['code']}")["attempts"]

    def run(self, job):
        return self.api.get(f"runs/{job['run']}")

    def ranks(self, job):
        return self.api.get(f"runs/{job['run']}/ranks")["ranks"]

    def goes_on(self, job, by: int = 20) -> None:
        until(lambda: self.run(job)["state"] == "running", 60, every=0.2)
        seen = self.run(job)["last_step"] or 0
        until(lambda: (self.run(job)["last_step"] or 0) > seen + by, 60, every=0.2)

    def close(self) -> None:
        self.ending.close()
