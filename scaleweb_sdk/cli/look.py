"""What runs and jobs are, say and measured: `runs`, `jobs`, `show`, `logs`, `export`."""

import argparse
import http.client
import sys
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode

from scaleweb_sdk.rest import sentence

from .bars import Bars
from .site import Site, Wrong, number, summary, table

ENDED = {"finished", "failed", "stopped", "lost"}
FOLLOW_EVERY_SECONDS = 1.0


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
        [j["code"], j["state"], j["run"], j["run_name"], " ".join(j["argv"])[:60], why(j)]
        for j in found
    ]  # fmt: skip
    table(["job", "state", "run", "name", "command", "why"], rows)


def why(job: dict[str, Any]) -> str:
    """Why it waits, or has failed."""
    if job["state"] == "failed" and job["attempts"]:
        return how(job["attempts"][-1])
    return str(job["waiting_reason"])


def how(attempt: dict[str, Any]) -> str:
    """How an attempt ended: its signal or exit code, and the first line of the error."""
    code, signal = attempt["exit_code"], attempt["signal"]
    told = f"signal {signal}" if signal else f"exit code {code}" if code else ""
    return ": ".join(filter(None, [told, attempt["first_error_line"]]))


def show(options: argparse.Namespace) -> None:
    site = Site()
    run = site.known_run(options.run)
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
    if run["state"] in ENDED and (reason := why_ended(site, run)):
        print(f"{'why':<16} {reason}")
    print(f"{'page':<16} {site.url}/runs/{run['code']}")
    for key, value in sorted(run["summary"].items()):
        if not key.startswith("_"):
            print(f"  {key:<24} {number(value)}")
    attempts = site.get(f"jobs/{run['job']}")["attempts"] if run["job"] else []
    if attempts:
        print("\nAttempts:")
        table(
            ["", "node", "devices", "started (UTC)", "ended (UTC)", "outcome", "why"],
            [
                [
                    each["number"], each["node"], ", ".join(each["devices"]), (each["started_at"] or "-")[:19],
                    (each["ended_at"] or "-")[:19], each["outcome"] or each["state"], how(each),
                ]
                for each in attempts
            ],
        )  # fmt: skip
    show_ranks(site.get(f"runs/{run['code']}/ranks"))
    tunables = site.get(f"runs/{run['code']}/tunables")["results"]
    if tunables:
        print("\nCan be set while it runs:")
    for item in tunables:
        print(f"  {item['name']:<24} {number(item['value'])}  {bounds(item)}".rstrip())


def show_ranks(told: dict[str, Any]) -> None:
    """Where each process of a run of several is, its pace, and which of them the others wait for."""
    if not told["ranks"]:
        return
    print(f"\nRanks, of {told['world_size']}:")
    table(
        ["", "node", "device", "pid", "ms a step", "of them apart", ""],
        [
            [
                each["rank"], each["node"] or "-", each["device"] or "-", number(each["pid"]),
                milliseconds(each["step_seconds"]), milliseconds(each["apart_seconds"]),
                "the others wait for it" if each["straggler"] else "",
            ]
            for each in told["ranks"]
        ],
    )  # fmt: skip
    if told["sentence"]:
        print(told["sentence"])


def milliseconds(seconds: float | None) -> str:
    return number(None if seconds is None else seconds * 1000)


def why_ended(site: Site, run: dict[str, Any]) -> str:
    """The reason of its last state, and the first line of the error where that says more."""
    events = site.get(f"runs/{run['code']}/events")["results"]
    last = next((e for e in events if e["kind"] == "state" and e["new"] == run["state"]), None)
    reason = str(last["reason"]) if last else ""
    attempts = site.get(f"jobs/{run['job']}")["attempts"] if run["job"] else []
    error = str(attempts[-1]["first_error_line"]) if attempts else ""
    return ": ".join(filter(None, [reason, "" if error in reason else error]))


def bounds(tunable: dict[str, Any]) -> str:
    """What it may be: "1e-07..10", "0..", "a, b"; "" where nothing bounds it."""
    if tunable["choices"]:
        return ", ".join(map(str, tunable["choices"]))
    low, high = tunable["low"], tunable["high"]
    if low is None and high is None:
        return ""
    return f"{'' if low is None else number(low)}..{'' if high is None else number(high)}"


def logs(options: argparse.Namespace) -> None:
    site = Site()
    code = site.known_run(options.run)["code"]
    if options.grep or options.level:
        search(site, code, options)
        return
    page = site.get(f"runs/{code}/logs", start=-options.n, count=options.n)
    print_lines(page)
    if options.follow:
        follow(site, code, page["total"])


def search(site: Site, code: str, options: argparse.Namespace) -> None:
    """Print the newest lines with these words or of this level, each behind its number, as the page finds them."""
    if options.follow:
        raise Wrong("--follow prints every line as it comes; leave it out to search with --grep or --level")
    hits: list[Any] = []
    before: int | None = None
    while len(hits) < options.n:
        # A search of a long log ends after a while, and says where to look on.
        page = site.get(
            f"runs/{code}/logs/hits", search=options.grep, level=options.level, before=before,
            count=min(1000, options.n - len(hits)),
        )  # fmt: skip
        hits[:0] = page["hits"]
        before = page["before"]
        if before is None:
            break
    for line, _, stream, text in hits:
        print(f"{line + 1}: {text}", file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)
    if not hits:
        what = " and ".join(filter(None, [options.grep and repr(options.grep), options.level]))
        raise Wrong(f"of the {page['total']} lines of run {code} none has {what}")


def follow(site: Site, code: str, start: int = 0) -> None:
    """Print lines as they come, until the run is over; in a terminal those that are being written, too."""
    bars = Bars(sys.stdout)
    try:
        while True:
            state = site.get(f"runs/{quote(code)}")["state"]
            while page := site.get(f"runs/{quote(code)}/logs", start=start, count=1000):
                if page["lines"]:
                    bars.show([])
                print_lines(page)
                start = page["first_line"] + len(page["lines"])
                if not page["lines"] or start >= page["total"]:
                    break
            if state in ENDED:
                break
            bars.show(
                [named(each) + text for each in page.get("open_lines", ()) for _, _, text in each["lines"]]
            )
            time.sleep(FOLLOW_EVERY_SECONDS)
    finally:
        bars.show([])
    print(f"run {code}: {state}", file=sys.stderr)


def named(sender: dict[str, Any]) -> str:
    """Of a run of several ranks or nodes the one that writes the line."""
    return f"{sender['whose']}: " if sender.get("whose") else ""


def print_lines(page: dict[str, Any]) -> None:
    for _, stream, text in page["lines"]:
        print(text, file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)


def export(options: argparse.Namespace) -> None:
    site = Site()
    query = urlencode({"format": options.format} | ({"keys": options.keys} if options.keys else {}))
    code = site.known_run(options.run)["code"]
    asked = urllib.request.Request(  # noqa: S310  the address is the user's own setting
        f"{site.url}/api/v1/runs/{code}/export?{query}",
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
