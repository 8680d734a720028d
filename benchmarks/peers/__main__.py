"""ScaleWeb beside the tools a user would pick instead: the same work, on the same machine, in one run.

    make bench-peers        or: python -m benchmarks.peers [--repeats 3] [--only trackio,aim] [--tasks light] [--json]

Each tool runs in an environment of its own, with its server and its data folder; turns alternate, so that what else
the machine does falls on all. A tool that fails is said so, and the others go on; what takes too long is cut off and
told as a rate. Each turn is written to .bench/peers.jsonl when it ends: `--resume` carries on a measurement that was
broken off, and tells all of it. At the end: ours against the best peer.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers import environments
from benchmarks.peers.results import Results, Turn
from benchmarks.report import Report, machine, parser

OURS = "ours"
# Seconds. What a task does in it is bounded in itself (`work.py`): this is for a tool that hangs.
LIMITS = {"light": 400, "size": 360, "chart": 260, "list": 260}
# figure -> (name, unit, whether more is better)
FIGURES = {
    "log median": ("log of 5 values, median", "us", False),
    "log p99": ("log of 5 values, p99", "us", False),
    "ingest": ("ingest of 5 keys x 20,000 steps until readable", "points/s", True),
    "ingest many": ("ingest of 20 runs in 4 processes until readable", "points/s", True),
    "freshness": ("log call to readable over the API", "ms", False),
    "freshness watched": ("the same, its page being open", "ms", False),
    "chart": ("chart of 1,000,000 points at 1,000 px", "ms", False),
    "list": ("list of 1,000 runs, names", "ms", False),
    "list values": ("list of 1,000 runs, names and newest values of 5 keys", "ms", False),
    "storage": ("storage", "bytes/point", False),
    "start": ("start of the server", "s", False),
    "memory": ("memory of the server, idle", "MB", False),
    "memory loaded": ("memory of the server after chart and list", "MB", False),
}
Found = dict[str, dict[str, list[dict]]]  # tool -> figure -> what was told


def main() -> None:
    arguments = parser(__doc__, repeats=3)
    arguments.add_argument("--only", default="", help="peers, separated by commas")
    arguments.add_argument("--tasks", default=",".join(LIMITS), help="light, size, chart and list")
    arguments.add_argument("--resume", action="store_true", help="do only what .bench/peers.jsonl lacks")
    arguments.add_argument(
        "--divisor", type=int, default=1, help="less work, to try it out: no figures for the docs"
    )
    options = arguments.parse_args()
    report = Report("peers", options.json)
    wanted = options.only.split(",") if options.only else list(environments.PINS)
    tools = [OURS]
    for peer in wanted:
        if peer not in environments.PINS:
            arguments.error(f"{peer!r} is no peer; expected {', '.join(environments.PINS)}")
        if problem := environments.ready(peer):
            report.line(f"{peer}, installed", None, "", peer=peer, note=problem)
        else:
            tools.append(peer)
    about = machine()
    report.line(
        "cores", about.pop("cores"), "cores", peers=[environments.PINS[peer] for peer in tools[1:]], **about
    )
    tasks = options.tasks.split(",")
    if unknown := set(tasks) - LIMITS.keys():
        arguments.error(f"{', '.join(unknown)} is no task; expected {', '.join(LIMITS)}")
    path = environments.FOLDER / "peers.jsonl"
    results = Results.carried_on(path) if options.resume else Results.begun_anew(path)
    turns = [
        Turn(tool, task, number, options.divisor)
        for task in tasks
        for number in range(options.repeats if task == "light" else 1)
        for tool in tools
    ]
    for turn in turns:
        if turn not in results.told:
            results.add(turn, *take(turn))
    found: Found = {tool: {} for tool in tools}
    for turn, told in results.told.items():
        if turn.divisor == options.divisor and turn.tool in found:
            for each in told:
                found[turn.tool].setdefault(each["figure"], []).append(each)
    tell(report, found)


def take(turn: Turn) -> tuple[list[dict[str, Any]], str]:
    """What one tool told of one task, and what went wrong: then it told less than all, which is said on stderr."""
    tool, task = turn.tool, turn.task
    python = sys.executable if tool == OURS else str(environments.python_of(tool))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix=f"sw-{tool}-"))
    print(f"{tool}: {task}", file=sys.stderr, flush=True)
    command = [python, "-m", "benchmarks.peers.work", tool, task, str(folder), str(port), str(turn.divisor)]
    problem, said = "", folder / "said"
    try:
        with open(said, "w") as out:
            # A session of its own, so that whatever it started ends with it.
            child = subprocess.Popen(
                command, cwd=environments.TOP, stdout=out, stderr=subprocess.PIPE, text=True,
                start_new_session=True,
            )  # fmt: skip
        began = time.monotonic()
        try:
            _, errors = child.communicate(timeout=LIMITS[task])
            problem = errors.strip()[-600:] if child.returncode else ""
        except subprocess.TimeoutExpired:
            problem = f"not done after {LIMITS[task]} s"
        finally:
            end(child.pid)  # after Ctrl-C too, which does not reach another session
        if problem:
            print(f"{tool}: {task}: {problem}", file=sys.stderr, flush=True)
        told = [json.loads(line) for line in said.read_text().splitlines() if line.startswith('{"figure"')]
        for each in told:
            print(f"  {each['figure']}: {each['value']:,.4g} {each.get('note', '')}", file=sys.stderr)
        print(f"  done after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        return told, problem
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def end(session: int) -> None:
    """Whatever is left of a session that was started here."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[3]) == session:
                os.kill(int(path.parent.name), 9)
        except OSError:
            continue


def tell(report: Report, found: Found) -> None:
    notes = {tool: note_of(tool) for tool in found}
    for figure, (name, unit, more_is_better) in FIGURES.items():
        if not any(figure in figures for figures in found.values()):
            continue  # of a task that was not asked for
        medians: dict[str, float] = {}
        for tool, figures in found.items():
            told = figures.get(figure, [])
            if not told and figure in {"freshness watched", "list values"}:
                continue  # pages of peers ask again every so often, which changes nothing here; no such request
            if not told:
                report.line(
                    name, None, unit, peer=tool, note="no figure: it failed or took too long, see above"
                )
                continue
            medians[tool] = statistics.median(each["value"] for each in told)
            note = "; ".join(filter(None, (told[-1].get("note"), notes[tool] if figure == "ingest" else "")))
            report.line(name, medians[tool], unit, peer=tool, repeats=len(told), note=note or None)
        peers = {tool: value for tool, value in medians.items() if tool != OURS}
        if peers and OURS in medians:
            best = (max if more_is_better else min)(peers, key=lambda tool: peers[tool])
            ours, theirs = medians[OURS], peers[best]
            ratio = ours / theirs if more_is_better else theirs / ours
            report.line(f"{name}: times better than the best peer", ratio, "x", best_peer=best)


def note_of(tool: str) -> str:
    source = (environments.TOP / "benchmarks" / "peers" / f"{tool}.py").read_text()
    for line in source.splitlines():
        if line.strip().startswith('note = "'):
            return line.split('"')[1]
    return ""


if __name__ == "__main__":
    main()
