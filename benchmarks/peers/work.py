"""The work that every tool does, measured from outside it.

    python -m benchmarks.peers.work TOOL TASK FOLDER PORT DIVISOR

Runs in the tool's own environment and prints a JSON object a line: {"figure", "value", "note"?}. Standard library only.
Tasks: `light` (start, memory, log, freshness, ingest) is what can be repeated; `size` waits until the tool has tidied
up; `chart` loads a long series, `list` many runs. What takes too long is cut off, and the figure is that of what was
done. DIVISOR makes all of it smaller, to try it out.
"""

import importlib
import json
import os
import random
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers.driver import KEYS, Driver, offline, python

STEPS = 20_000
RUNS, PROCESSES, STEPS_EACH = 20, 4, 1_000
LOG_CALLS = 4_000
FRESH_POINTS = 8
LONG, LONG_SECONDS = 1_000_000, 30
LISTED = 1_000
READS = 5
PATIENCE = 75  # seconds until what was logged must be readable


def main() -> None:
    if sys.argv[1] == "--log":
        log_in_child(json.loads(sys.argv[2]))
        return
    tool, task, folder, port, divisor = (
        *sys.argv[1:3],
        Path(sys.argv[3]),
        int(sys.argv[4]),
        int(sys.argv[5]),
    )
    driver = driver_of(tool, folder, port)
    os.environ.update(driver.environment())
    {"light": light, "size": size, "chart": chart, "list": list_of_runs}[task](driver, divisor)


def driver_of(tool: str, folder: Path, port: int) -> Driver:
    made: Driver = importlib.import_module(f"benchmarks.peers.{tool}").DRIVER(folder, port)
    return made


def tell(figure: str, value: float, note: str = "") -> None:
    print(json.dumps({"figure": figure, "value": value} | ({"note": note} if note else {})), flush=True)


@contextmanager
def running(driver: Driver) -> Iterator[int]:
    """The tool's server, from its start until it answers; its process id."""
    environment = offline() | driver.environment()
    command = driver.command()
    began = time.monotonic()
    with open(driver.folder / "server.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        if not until(driver.is_ready, 180):
            said = (driver.folder / "server.log").read_text()[-2000:]
            raise SystemExit(f"{driver.name}: the server does not answer; it said: {said}")
        driver.start_seconds = time.monotonic() - began
        driver.logging = environment | driver.prepared()
        yield server.pid
    finally:
        workers = tree(server.pid)[1:]
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        for pid in workers:  # some tools leave theirs behind, on the port
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def light(driver: Driver, divisor: int) -> None:
    with running(driver) as pid:
        tell("start", driver.start_seconds)
        tell("memory", memory(pid))
        cost = finished(start_logging(driver, ["cost"], LOG_CALLS // divisor, pause_every=20))
        tell("log median", cost["median_us"])
        tell("log p99", cost["p99_us"])
        freshness(driver)
        if driver.can_be_watched:
            freshness(driver, "freshness watched")
        ingest(driver, "ingest", [["one"]], STEPS // divisor)
        names = [f"many {number}" for number in range(RUNS)]
        ingest(
            driver, "ingest many", [names[at::PROCESSES] for at in range(PROCESSES)], STEPS_EACH // divisor
        )


def size(driver: Driver, divisor: int) -> None:
    """Bytes a point on disk, with the server ended, beyond what an empty one has there."""
    with running(driver):
        pass
    empty = bytes_at_rest(driver.folder / "data")
    with running(driver):
        told = finished(start_logging(driver, ["stored"], STEPS // divisor, seconds=LONG_SECONDS))
        until(lambda: driver.readable(told["run"]) >= told["steps"], PATIENCE)
        steps = min(told["steps"], driver.readable(told["run"]))
        time.sleep(driver.tidy_seconds)  # tidying up in the background is part of how a tool stores
    grown = bytes_at_rest(driver.folder / "data") - empty
    tell("storage", grown / (steps * len(KEYS)), f"{steps * len(KEYS):,} points")


def ingest(driver: Driver, figure: str, processes: list[list[str]], steps: int) -> None:
    """From the first call of log until the server's API tells of the last step of every run.

    What is not handed over and readable in time is left out of the figure, which then is the rate until there.
    """
    children = [start_logging(driver, names, steps) for names in processes]
    end = time.monotonic() + PATIENCE
    told = [each for child in children for each in logged(child, end - time.monotonic())]
    began = min(each["began"] for each in told)
    note = f"handed over after {time.time() - began:.2f} s"
    waiting = {each["run"] for each in told}

    def all_readable() -> bool:
        waiting.difference_update([run for run in waiting if driver.readable(run) >= steps])
        return not waiting

    until(all_readable, max(5.0, end - time.monotonic()))
    taken = time.time() - began
    points = len(KEYS) * sum(min(steps, driver.readable(each["run"])) for each in told)
    wanted = len(KEYS) * steps * sum(map(len, processes))
    if points < wanted:
        note = f"only {points:,} of {wanted:,} points were readable after {taken:.0f} s"
    tell(figure, points / taken, note)


def freshness(driver: Driver, figure: str = "freshness") -> None:
    """From a call of log to the moment at which a reader that asks all the time is told of it."""
    child = start_logging(driver, [figure], FRESH_POINTS, pace=(0.7, 1.9), say_steps=True)
    assert child.stdout is not None
    run, waits = "", list[float]()
    with ExitStack() as page:
        for line in child.stdout:
            told = json.loads(line) if line.startswith("{") else {}
            if "run" in told and not run:
                run = told["run"]
                if figure == "freshness watched":
                    page.enter_context(driver.watched(run))
            if "step" not in told:
                continue
            readable = until(partial(has_steps, driver, run, told["step"] + 1), 30, every=0.01)
            if readable and told["step"]:  # the first may wait for the run itself to be made
                waits.append(time.time() - told["at"])
    child.wait(60)
    if waits:
        tell(figure, statistics.median(waits) * 1000, f"worst of {len(waits)}: {max(waits) * 1000:.0f} ms")


def has_steps(driver: Driver, run: str, steps: int) -> bool:
    return driver.readable(run) >= steps


def chart(driver: Driver, divisor: int) -> None:
    with running(driver):
        wanted = LONG // divisor
        done = finished(start_logging(driver, ["long"], wanted, keys=1, seconds=LONG_SECONDS))
        until(lambda: driver.readable(done["run"], KEYS[:1]) >= done["steps"], PATIENCE)
        steps = min(done["steps"], driver.readable(done["run"], KEYS[:1]))
        time.sleep(driver.tidy_seconds)
        taken, came = timed(lambda: driver.chart(done["run"], KEYS[0], 1000))
        short = (
            "" if steps == wanted else f"of {steps:,} points: what {LONG_SECONDS} s of logging left there; "
        )
        tell("chart", taken * 1000, f"{short}{came:,} points came")


def list_of_runs(driver: Driver, divisor: int) -> None:
    with running(driver) as pid:
        count = driver.fill_runs(LISTED // divisor)
        until(lambda: driver.list_runs(count) >= count, PATIENCE)
        for figure, ask in (("list", driver.list_runs), ("list values", driver.list_values)):
            try:
                taken, came = timed(partial(ask, count))
            except NotImplementedError:
                continue
            tell(figure, taken * 1000, f"{came:,} runs came")
        tell("memory loaded", memory(pid))


def timed(ask: Callable[[], int]) -> tuple[float, int]:
    """(median seconds, what the last one answered)."""
    taken, came = [], 0
    for _ in range(READS):
        start = time.perf_counter()
        came = ask()
        taken.append(time.perf_counter() - start)
        if sum(taken) > 30:
            break
    return statistics.median(taken), came


# -- a process that logs ----------------------------------------------------------------------------------


def start_logging(driver: Driver, names: list[str], steps: int, **how: Any) -> subprocess.Popen[str]:
    asked = {
        "tool": type(driver).__module__.rpartition(".")[2], "folder": str(driver.folder), "port": driver.port,
        "names": names, "steps": steps, **how,
    }  # fmt: skip
    return subprocess.Popen(
        [python(), "-m", "benchmarks.peers.work", "--log", json.dumps(asked)],
        env=driver.logging, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def logged(child: subprocess.Popen[str], seconds: float) -> list[dict[str, Any]]:
    """What it told of each run, as far as it came in time. SystemExit when it failed: its error is above."""
    try:
        said, _ = child.communicate(timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired:
        child.kill()
        said, _ = child.communicate()
    else:
        if child.returncode:
            raise SystemExit(f"the logging process ended with {child.returncode}")
    runs: dict[str, dict[str, Any]] = {}
    for line in said.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            runs.setdefault(told["run"], {}).update(told)
    return list(runs.values())


def finished(child: subprocess.Popen[str]) -> dict[str, Any]:
    """The story of a process with one run. One that is not done in time is ended, and has told how much it logged."""
    (told,) = logged(child, LONG_SECONDS + PATIENCE)
    if "steps" not in told:
        raise SystemExit(f"the logging process was still logging after {LONG_SECONDS + PATIENCE} s")
    return told


def log_in_child(asked: dict[str, Any]) -> None:
    driver = driver_of(asked["tool"], Path(asked["folder"]), asked["port"])
    for name in asked["names"]:
        logger = driver.open(name)
        how = {key: asked[key] for key in ("seconds", "pause_every", "pace", "say_steps") if key in asked}
        rows = values(asked["steps"], asked.get("keys", len(KEYS)))
        told = {"run": logger.id, "began": time.time()}
        print(json.dumps(told), flush=True)
        taken = sorted(log_steps(logger, rows, **how))
        told |= {"steps": len(taken), "median_us": statistics.median(taken) * 1e6}
        # Before it is handed over, which takes some tools longer than anybody waits.
        print(json.dumps(told | {"p99_us": taken[int(len(taken) * 0.99)] * 1e6}), flush=True)
        logger.close()


def values(steps: int, keys: int) -> list[dict[str, float]]:
    """Noisy figures in float32, as trainings log them; made before anything is timed."""
    dice = random.Random(7)
    random_values = struct.unpack(
        f"{steps * keys}f",
        struct.pack(f"{steps * keys}f", *(dice.gauss(1, 0.3) for _ in range(steps * keys))),
    )
    return [
        dict(zip(KEYS, random_values[at : at + keys], strict=False)) for at in range(0, steps * keys, keys)
    ]


def log_steps(
    logger: Any,
    rows: list[dict[str, float]],
    seconds: float = float("inf"),
    pause_every: int = 0,
    pace: tuple[float, float] | None = None,
    say_steps: bool = False,
) -> list[float]:
    """Seconds of each call. pause_every: a millisecond for other threads after so many; pace: seconds between."""
    clock, taken, dice = time.perf_counter, [], random.Random(1)
    end = clock() + seconds
    for step, row in enumerate(rows):
        start = clock()
        if start > end:
            break
        logger.log(row, step)
        taken.append(clock() - start)
        if pause_every and step % pause_every == 0:
            time.sleep(0.001)
        if say_steps:
            print(json.dumps({"step": step, "at": time.time()}), flush=True)
        if pace:
            time.sleep(dice.uniform(*pace))
    return taken


# -- looking from outside ---------------------------------------------------------------------------------


def until(condition: Callable[[], bool], seconds: float, every: float = 0.02) -> bool:
    """Whether it came true in time; an answer that fails counts as not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return True
        except OSError:
            pass
        if time.monotonic() > end:
            return False
        time.sleep(every)


def bytes_at_rest(folder: Path) -> int:
    """On disk, after SQLite's own logs were written back where a server left them behind."""
    for log in folder.rglob("*-wal"):
        database = sqlite3.connect(str(log).removesuffix("-wal"))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
    found = [path.lstat() for path in folder.rglob("*")]
    # As long as a file is, and no more than it takes: some are reserved in advance.
    return sum(min(each.st_size, each.st_blocks * 512) for each in found)


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def memory(pid: int) -> float:
    """MB of all of a server's processes; what they share is counted once (PSS)."""
    total = 0
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


if __name__ == "__main__":
    main()
