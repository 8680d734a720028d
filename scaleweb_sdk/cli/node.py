"""`scaleweb node …`: let a host in, make this host a node, start its worker.

scaleweb node invite                     an administrator, anywhere: prints the command for the new host
scaleweb node join URL TOKEN             the new host: compares, joins, keeps its settings, starts its worker
scaleweb node start                      the same host at its next start (from systemd, say)
scaleweb node list                       the nodes; `cordon`, `drain`, `uncordon NAME` take one out and back (nodes.py)
"""

import argparse
import ipaddress
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scaleweb_sdk import __version__, settings
from scaleweb_sdk.rest import Declined, Unreachable, request

from . import nodes

# A lease of 10 s is kept by the database's clock; what people read (logs, points) is in each host's own time.
LARGEST_CLOCK_DIFFERENCE = 5.0
REACH_SECONDS = 5.0
FILE = "node.env"


def add_to(commands: Any) -> None:
    """Register the verb with the parser's commands."""
    node = commands.add_parser("node", help="add a host, start this one's worker, take a node out")
    verbs = node.add_subparsers(dest="verb", required=True, metavar="VERB")
    one = verbs.add_parser("invite", help="make a join token for one host (administrators)")
    one.add_argument("--name", default="", help="for whom it is")
    one.add_argument("--minutes", type=int, default=60, help="how long it is good (60)")
    one.set_defaults(work=invite)
    one = verbs.add_parser("join", help="make this host a node: scaleweb node join URL TOKEN")
    one.add_argument("url", help="the site's address, as this host reaches it")
    one.add_argument("token", help="sw_join_…, from `scaleweb node invite` or the page Nodes")
    one.add_argument("--name", default="", help="the node's name; by default this host's")
    one.add_argument(
        "--home", default="", help="data folder (SCALEWEB_HOME, else .scaleweb beside the sources)"
    )
    one.add_argument(
        "--plain-http", action="store_true", help="send the site's keys without TLS, in a network of your own"
    )
    one.add_argument(
        "--no-start", action="store_true", help="keep the settings and leave the start to `node start`"
    )
    one.set_defaults(work=join)
    one = verbs.add_parser("start", help="start the worker of a host that has joined")
    one.add_argument("--home", default="", help="data folder of `node join`")
    one.set_defaults(work=lambda options: start(home_of(options)))
    nodes.add_to(verbs)


def invite(options: argparse.Namespace) -> None:
    url, token = settings.credentials()
    if not url or not token:
        raise Declined("no address or token is known: `scaleweb login http://127.0.0.1:8000` stores them")
    body = {"expires_in_minutes": options.minutes} | ({"name": options.name} if options.name else {})
    made = request(url, "invitations", token, body)
    until = made["expires_at"][:16].replace("T", " ")
    print(f"Good for one host until {until} UTC. On that host, in the folder of this version's sources:\n")
    print(f"    make environment && .venv/bin/scaleweb node join {url} {made['token']}\n")


def join(options: argparse.Namespace) -> None:
    top, home = sources(), home_of(options)
    url = options.url.rstrip("/")
    safe_way(url, options.plain_http)
    writable(home)
    name = options.name or socket.gethostname().partition(".")[0]
    compare(url, ask(url, options.token), top)
    environment = request(url, "join", options.token, {"node": name, "hostname": socket.gethostname()[:255]})[
        "environment"
    ]
    path = keep(home, {"SCALEWEB_HOME": str(home), "SCALEWEB_URL": url} | environment)
    print(f"This host is the node {name}; its settings are in {path}")
    let_in(top, home)
    if options.no_start:
        print(f"Start its worker with: scaleweb node start --home {home}")
    else:
        sys.stdout.flush()
        start(home)


def ask(url: str, token: str) -> dict[str, Any]:
    """What the site says of itself, with `late`: the seconds by which its clock is ahead of this host's."""
    before = time.time()
    try:
        found = request(url, "join", token)
    except Declined as declined:
        if declined.status != 404:
            raise
        found = None
    except Unreachable as error:
        raise Declined(
            f"{url} does not answer: {error}; is that the site's address, and does this host reach it?"
        ) from None
    if not isinstance(found, dict) or "needs" not in found:
        raise Declined(f"{url} answers, but not as ScaleWeb does; expected the address that people open")
    # Against the middle of the question: half of its way there, half back.
    return found | {"late": found["now"] - (before + time.time()) / 2}


def safe_way(url: str, plain: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Declined(f"{url!r} is no address; expected such as https://scaleweb.example.org")
    if parts.scheme == "http" and not plain and not loopback(parts.hostname):
        raise Declined(
            f"{url} is not encrypted, and the answer holds the passwords of database and broker: use https://, or "
            "--plain-http in a network that is yours alone"
        )


def loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def compare(url: str, site: dict[str, Any], top: Path) -> None:
    """Raises Declined with what stands between this host and the site, before the token is used."""
    if site["version"] != __version__:
        raise Declined(
            f"this host has version {__version__}, the site {site['version']}: bring both to the same one"
        )
    for app, newest in site["tables"].items():
        here = newest_migration(top / app / "migrations")
        if here != newest:
            older = "this host" if here < newest else "the site"
            raise Declined(
                f"this host's sources know the tables of {app} up to {here}, the site's up to {newest}: update {older}"
            )
    if abs(site["late"]) > LARGEST_CLOCK_DIFFERENCE:
        side = "behind" if site["late"] > 0 else "ahead of"
        raise Declined(
            f"this host's clock is {abs(site['late']):.0f} s {side} the site's, and at most "
            f"{LARGEST_CLOCK_DIFFERENCE:.0f} s are taken: set it (`timedatectl set-ntp true`), then try again"
        )
    for need in site["needs"]:
        try:
            socket.create_connection((need["host"], need["port"]), REACH_SECONDS).close()
        except OSError as error:
            setting = (
                "SCALEWEB_NODE_DATABASE_URL" if need["what"] == "database" else "SCALEWEB_NODE_REDIS_URL"
            )
            raise Declined(
                f"the {need['what']} at {need['host']}:{need['port']} is not reached from this host ({error}): open "
                f"that port to it, or set {setting} on the site to the address that leads there"
            ) from None


def newest_migration(folder: Path) -> str:
    return max((path.stem for path in folder.glob("[0-9]*.py")), default="none")


def sources() -> Path:
    """The project's folder: a node runs the site's code. Raises Declined where there is the SDK alone."""
    for top in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (top / "manage.py").exists() and (top / "training" / "jobs").is_dir():
            return top
    raise Declined(
        "this host has the SDK alone, and a node runs the site's own code: get the sources of the site's version, "
        "`make environment` in their folder, and join with its `.venv/bin/scaleweb`"
    )


def home_of(options: argparse.Namespace) -> Path:
    return Path(options.home or os.environ.get("SCALEWEB_HOME") or sources() / ".scaleweb").absolute()


def writable(home: Path) -> None:
    """Raises Declined: a token must not be used up for settings that cannot be kept."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / f"{FILE}.probe"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise Declined(
            f"the data folder {home} cannot be written ({error.strerror}): make it writable, or choose "
            "another with --home"
        ) from None


def keep(home: Path, environment: dict[str, str]) -> Path:
    """Write the settings, for their owner alone, so that systemd can read them too (EnvironmentFile=)."""
    for name, value in environment.items():
        if "\n" in name + value:
            raise Declined(f"the site sent {name} with a line break in it: nothing was kept")
    path = home / FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in environment.items())
    return path


def kept(home: Path) -> dict[str, str]:
    path = home / FILE
    try:
        lines = path.read_text().splitlines()
    except OSError:
        raise Declined(
            f"there is no {path}: this host has not joined yet; `scaleweb node join URL TOKEN`"
        ) from None
    return dict(line.split("=", 1) for line in lines if "=" in line)


def let_in(top: Path, home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check_node"],
        cwd=top,
        env=os.environ | kept(home),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().rpartition("\n")[2].removeprefix("CommandError: ")
        raise Declined(
            f"{said}. The settings are kept in {home / FILE}; when that is mended, `scaleweb node start --home {home}`"
        )
    print(done.stdout.strip())


def start(home: Path) -> None:
    """Become the worker. Its death is seen by who started it, and its signals reach it."""
    environment, top = os.environ | kept(home), sources()
    name = environment["SCALEWEB_NODE"]
    os.chdir(top)
    os.execve(  # noqa: S606  an argument list, no shell
        sys.executable,
        [
            sys.executable, "-m", "celery", "-A", "scaleweb", "worker", "-Q", f"node.{name}",
            "--pool", "threads", "-c", "4", "-n", f"node@{name}", "-O", "fair",
            "--without-gossip", "--without-mingle", "-l", "INFO",
        ],
        environment,
    )  # fmt: skip
