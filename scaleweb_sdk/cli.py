"""The command `scaleweb`: log in, submit, look, steer, and send what was kept offline."""

import argparse
import getpass
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from . import settings
from .rest import Declined, Unreachable, request, sentence
from .sync import sync

ENDED = {"finished", "failed", "stopped", "lost"}
FOLLOW_EVERY_SECONDS = 1.0


class Wrong(Exception):
    """What cannot be done, in a sentence for the person at the terminal."""


class Site:
    """The REST API under the stored or given address and token."""

    def __init__(self, url: str = "", token: str = "") -> None:
        self.url, self.token = settings.credentials(url, token)
        if not self.url or not self.token:
            raise Wrong("no address or token is known: `scaleweb login http://127.0.0.1:8000` stores them")

    def get(self, path: str, **query: Any) -> Any:
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return request(self.url, path + (f"?{urlencode(given, doseq=True)}" if given else ""), self.token)

    def post(self, path: str, body: Any = None) -> Any:
        return request(self.url, path, self.token, body or {})


def login(options: argparse.Namespace) -> None:
    url = options.url or settings.stored().get("url") or "http://127.0.0.1:8000"
    token = sys.stdin.readline().strip() if options.token_stdin else ""
    if not token:
        print(f"Make a token at {url}/settings and paste it here; it is not shown.")
        try:
            token = getpass.getpass("Token: ").strip()
        except EOFError:
            raise Wrong(
                "no token was given; `scaleweb login --token-stdin` reads one from standard input"
            ) from None
    me = request(url, "me", token)
    try:
        path = settings.store(url, token)
    except OSError as error:
        raise Wrong(
            f"the token cannot be kept in {settings.config_path()}: {error.strerror or error}"
        ) from None
    print(f"Logged in at {url} as {me['username']}; kept in {path}")


def submit(options: argparse.Namespace) -> None:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise Wrong("what is to be run? `scaleweb submit -- python train.py --lr 0.1`")
    low, high = device_range(options.devices)
    body: dict[str, Any] = {
        "argv": argv, "cwd": str(Path(options.cwd or os.getcwd()).absolute()), "name": options.name,
        "project": options.project, "experiment_name": options.experiment or Path.cwd().name or "default",
        "device_kind": "gpu" if options.gpu else "cpu", "min_devices": low, "max_devices": high,
        "launcher": "torchrun" if options.torchrun or options.nodes > 1 else "", "keep": options.keep,
        "max_nodes": options.nodes if options.nodes > 1 else "", "priority": options.priority,
        "max_retries": options.retries, "tags": options.tag,
        "env": dict(pair(item) for item in options.env),
    }  # fmt: skip
    site = Site()
    job = site.post("jobs", {name: value for name, value in body.items() if value not in ("", {}, [])})
    print(f"job {job['code']}: run {job['run']}  {site.url}/runs/{job['run']}")
    if options.follow:
        follow(site, job["run"])


def device_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    try:
        found = int(low), int(high or low)
    except ValueError:
        raise Wrong(f"--devices {text}: expected a number or a range such as 1-4") from None
    if not 1 <= found[0] <= found[1]:
        raise Wrong(f"--devices {text}: expected at least 1, and the smaller number first, such as 1-4")
    return found


def pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise Wrong(f"--env {text}: expected NAME=VALUE")
    return name, value


def runs(options: argparse.Namespace) -> None:
    found = Site().get("runs", limit=options.n, state=options.state, search=options.search)["results"]
    rows = [
        [r["code"], r["state"], r["experiment_name"], r["name"], number(r["last_step"]), summary(r)]
        for r in found
    ]
    table(["run", "state", "experiment", "name", "step", "latest"], rows)


def jobs(options: argparse.Namespace) -> None:
    found = Site().get("jobs", limit=options.n, state=options.state)["results"]
    rows = [
        [j["code"], j["state"], j["run"], j["run_name"], " ".join(j["argv"])[:60], j["waiting_reason"]]
        for j in found
    ]
    table(["job", "state", "run", "name", "command", "waits because"], rows)


def show(options: argparse.Namespace) -> None:
    site = Site()
    run = site.get(f"runs/{quote(options.run)}")
    for name in (
        "code",
        "name",
        "project",
        "experiment_name",
        "state",
        "last_step",
        "started_at",
        "ended_at",
    ):
        print(f"{name:<16} {number(run[name])}")
    print(f"{'page':<16} {site.url}/runs/{run['code']}")
    for key, value in sorted(run["summary"].items()):
        if not key.startswith("_"):
            print(f"  {key:<24} {number(value)}")
    tunables = site.get(f"runs/{quote(options.run)}/tunables")["results"]
    if tunables:
        print("\nCan be set while it runs:")
    for item in tunables:
        bounds = item["choices"] or [item["low"], item["high"]]
        print(f"  {item['name']:<24} {number(item['value'])}  {json.dumps(bounds)}")


def logs(options: argparse.Namespace) -> None:
    site = Site()
    page = site.get(f"runs/{quote(options.run)}/logs", start=-options.n, count=options.n)
    print_lines(page)
    if options.follow:
        follow(site, options.run, page["total"])


def follow(site: Site, code: str, start: int = 0) -> None:
    """Print lines as they come, until the run is over."""
    while True:
        state = site.get(f"runs/{quote(code)}")["state"]
        while page := site.get(f"runs/{quote(code)}/logs", start=start, count=1000):
            print_lines(page)
            start = page["first_line"] + len(page["lines"])
            if not page["lines"] or start >= page["total"]:
                break
        if state in ENDED:
            print(f"run {code}: {state}", file=sys.stderr)
            return
        time.sleep(FOLLOW_EVERY_SECONDS)


def print_lines(page: dict[str, Any]) -> None:
    for _, stream, text in page["lines"]:
        print(text, file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)


def set_value(options: argparse.Namespace) -> None:
    try:
        value = json.loads(options.value)
    except ValueError:
        value = options.value
    command(options, {"verb": "set", "tunable": options.name, "value": value})


def rollback(options: argparse.Namespace) -> None:
    command(options, {"verb": "rollback", "value": None if options.step is None else {"step": options.step}})


def rescale(options: argparse.Namespace) -> None:
    if options.devices is None and not options.elsewhere:
        raise Wrong("to what? a number of devices, or --elsewhere for another node")
    value = {} if options.devices is None else {"devices": options.devices}
    command(options, {"verb": "rescale", "value": value | ({"elsewhere": True} if options.elsewhere else {})})


def plain_verb(options: argparse.Namespace) -> None:
    command(options, {"verb": options.command})


def offered_verb(options: argparse.Namespace) -> None:
    value: dict[str, Any] = {"dry": True} if options.dry else {}
    for pair in options.settings:
        name, equals, text = pair.partition("=")
        if not equals:
            raise Wrong(f"{pair!r} is no setting; expected name=value, as in amount=0.5")
        try:
            value[name] = json.loads(text)
        except ValueError:
            value[name] = text
    command(options, {"verb": options.command, "value": value})


def command(options: argparse.Namespace, body: dict[str, Any]) -> None:
    """Ask, then wait for the process's answer: what was applied, at which step, or why not."""
    site = Site()
    asked = site.post(
        f"runs/{quote(options.run)}/commands", body | ({"reason": options.reason} if options.reason else {})
    )
    end = time.monotonic() + options.wait
    while asked["state"] in {"pending", "sent"} and time.monotonic() < end:
        time.sleep(0.2)
        known = site.get(f"runs/{quote(options.run)}/commands", limit=100)["results"]
        asked = next((item for item in known if item["seq"] == asked["seq"]), asked)
    what = " ".join(filter(None, [asked["verb"], asked["tunable"]]))
    if asked["state"] == "applied":
        change = (
            f": {number(asked['old_value'])} -> {number(asked['new_value'])}"
            if asked["verb"] == "set"
            else ""
        )
        print(f"#{asked['seq']} {what} applied at step {asked['applied_step']}{change}")
        told = asked["new_value"]
        if isinstance(told, dict) and told.get("outcome"):
            print(f"{told['outcome']}: {told.get('reason', '')}")
    elif asked["state"] in {"pending", "sent"}:
        print(
            f"#{asked['seq']} {what} is {asked['state']}; the process has not answered within {options.wait:g} s"
        )
    else:
        raise Wrong(f"#{asked['seq']} {what} was {asked['state']}: {asked['message']}")


def stop(options: argparse.Namespace) -> None:
    """A run's job if it has one (queued ones too), else the run itself."""
    site = Site()
    run = site.get(f"runs/{quote(options.run)}")
    if run["job"]:
        job = site.post(f"jobs/{run['job']}/stop")
        print(
            f"job {job['code']} of run {run['code']} is asked to stop"
            if job["state"] == "active"
            else job["state"]
        )
    else:
        command(options, {"verb": "stop"})


def export(options: argparse.Namespace) -> None:
    site = Site()
    query = urlencode({"format": options.format} | ({"keys": options.keys} if options.keys else {}))
    asked = urllib.request.Request(  # noqa: S310  the address is the user's own setting
        f"{site.url}/api/v1/runs/{quote(options.run)}/export?{query}",
        headers={"Authorization": f"Bearer {site.token}"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
            while block := answer.read(2**16):
                sys.stdout.buffer.write(block)
    except BrokenPipeError:
        raise
    except urllib.error.HTTPError as error:
        raise Wrong(f"the export failed: {sentence(error)}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Wrong(f"the export was cut short: {error}") from None
    sys.stdout.flush()


def send_kept(options: argparse.Namespace) -> None:
    if not Path(options.folder).is_dir():
        raise Wrong(
            f"there is no folder {options.folder}; `scaleweb sync FOLDER` names the one that runs were kept in"
        )
    url, token = settings.credentials()
    results = sync(Path(options.folder), url, token)
    for line in results.said:
        print(line)
    if results.failed:
        raise Wrong(f"{results.failed} of {results.found} could not be sent; they stay where they are")
    if not results.found:
        print(f"nothing to send in {options.folder}")


def number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def summary(run: dict[str, Any]) -> str:
    shown = [(key, value) for key, value in run["summary"].items() if not key.startswith("_")]
    return "  ".join(f"{key} {number(value)}" for key, value in shown[:3])


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="scaleweb", description="Submit, watch and steer training runs.")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, work: Callable[[argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help)
        made.set_defaults(work=work)
        return made

    def add_command(
        name: str, work: Callable[[argparse.Namespace], None], help: str
    ) -> argparse.ArgumentParser:
        made = add(name, work, help)
        made.add_argument("run", help="the run's code")
        made.add_argument("--reason", default="", help="kept with the command")
        made.add_argument("--wait", type=float, default=10.0, help="seconds to wait for the process (10)")
        return made

    one = add("login", login, "store the site's address and your token")
    one.add_argument("url", nargs="?", default="")
    one.add_argument("--token-stdin", action="store_true", help="read the token from standard input")
    one = add("submit", submit, "queue a command: scaleweb submit -- python train.py --lr 0.1")
    one.add_argument("--experiment", default="", help="its name; by default the folder's")
    one.add_argument("--project", default="")
    one.add_argument("--name", default="", help="the run's name")
    one.add_argument("--devices", default="1", help="how many, or a range such as 1-4")
    one.add_argument("--gpu", action="store_true", help="GPUs instead of CPU slots")
    one.add_argument(
        "--torchrun", action="store_true", help="run the command once a device, as ranks of one training"
    )
    one.add_argument("--nodes", type=int, default=1, help="how many nodes its ranks may span (1)")
    one.add_argument(
        "--keep", choices=["batch", "rate-rule"], default="",
        help="when the number of ranks changes: the effective batch (default), or each rank's and the rate's rule",
    )  # fmt: skip
    one.add_argument("--priority", type=int, default=0)
    one.add_argument(
        "--retries", type=int, default=0, help="how often to try again, from the last checkpoint"
    )
    one.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    one.add_argument("--cwd", default="", help="folder on the node; by default this one")
    one.add_argument("--tag", action="append", default=[])
    one.add_argument("--follow", action="store_true", help="print its output until it is over")
    one.add_argument("argv", nargs=argparse.REMAINDER)
    one = add("runs", runs, "list runs, newest first")
    one.add_argument("-n", type=int, default=20)
    one.add_argument("--state", default="")
    one.add_argument("--search", default="")
    one = add("jobs", jobs, "list jobs, newest first")
    one.add_argument("-n", type=int, default=20)
    one.add_argument("--state", default="")
    one = add("show", show, "a run's state, latest figures and what can be set")
    one.add_argument("run")
    one = add("logs", logs, "what a run printed")
    one.add_argument("run")
    one.add_argument("-n", type=int, default=100, help="lines from the end (100)")
    one.add_argument("-f", "--follow", action="store_true")
    one = add_command("set", set_value, "set a tunable of a running run")
    one.add_argument("name")
    one.add_argument("value")
    for verb, help in (
        ("pause", "pause"),
        ("resume", "let a paused run go on"),
        ("checkpoint", "save a checkpoint"),
    ):
        add_command(verb, plain_verb, help)
    one = add_command("rollback", rollback, "go back to a checkpoint, the newest by default")
    one.add_argument("step", nargs="?", type=int)
    one = add_command("rescale", rescale, "let it go on from a checkpoint with another number of devices")
    one.add_argument("devices", nargs="?", type=int)
    one.add_argument("--elsewhere", action="store_true", help="on another node, where there is one")
    for verb, help in (
        ("prune", "hold the least weights at zero, as in amount=0.5"),
        ("quantise", "export a copy with weights of 8 bits"),
        ("compile", "let torch.compile build the model's passes"),
    ):
        one = add_command(verb, offered_verb, help)
        one.add_argument("settings", nargs="*", metavar="name=value")
        one.add_argument("--dry", action="store_true", help="measure it and change nothing")
    add_command("stop", stop, "end a run, or take its job out of the queue")
    one = add("export", export, "a run's points on standard output")
    one.add_argument("run")
    one.add_argument("--format", choices=["jsonl", "csv"], default="jsonl")
    one.add_argument("--keys", default="", help="comma-separated; all by default")
    one = add("sync", send_kept, "send runs that were kept offline")
    one.add_argument("folder", nargs="?", default="scaleweb-spool")
    return main


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        options.work(options)
    except Unreachable as error:
        url, _ = settings.credentials(getattr(options, "url", ""))
        print(f"scaleweb: {url or 'the site'} does not answer: {error}", file=sys.stderr)
        return 1
    except (Wrong, Declined) as error:
        print(f"scaleweb: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Who read the output has enough of it, as `head` does; Python would complain as it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    return 0
