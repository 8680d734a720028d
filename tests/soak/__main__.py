"""The loop: work, a fault, work, a fault; then all of it comes to an end, and the records are read."""

import argparse
import random
import shutil
import sys
import tempfile
import textwrap
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx

from tests.support.records import (
    STEADY,
    devices_kept,
    lost_lines,
    lost_points,
    open_ends,
    torn_checkpoints,
    two_live_attempts,
)

from .faults import FAULTS, PassedOver
from .site import Site

# Longer than a spool that was left behind waits to be handed in, and than a zombie's last try.
SETTLE_SECONDS = 180.0
# So long without a process, without anything left to send and without a change: nothing more will come.
STILL_SECONDS = 45.0
SHORT = "import time; time.sleep(0.2); print('done', flush=True)"


class Work:
    """Jobs that go on for long, short ones between, and some that a person stops. `wanted`: how each must end."""

    def __init__(self, site: Site, chance: random.Random, at_once: int) -> None:
        self.site, self.chance, self.at_once = site, chance, at_once
        self.told = Path(tempfile.mkdtemp(prefix="round-", dir=site.told))
        self.steady: dict[str, dict[str, Any]] = {}
        self.open: dict[str, float] = {}
        self.wanted: dict[str, str] = {}
        self.kept: dict[str, int] = defaultdict(int)  # lines that the site has shown once

    def look(self) -> None:
        now = time.monotonic()
        for code in [code for code, end in self.open.items() if end < now]:
            self.end(code)
        while len(self.open) < self.at_once:
            self.begin()
        if self.chance.random() < 0.5:
            job = self.submit([sys.executable, "-c", SHORT], 50)
            self.wanted[job["code"]] = "done"

    def note_lines(self) -> None:
        for code in self.open:
            address = f"runs/{self.steady[code]['run']}/logs?start=0&count=1"
            self.kept[code] = max(self.kept[code], again(lambda at=address: self.site.api.get(at))["total"])

    def begin(self) -> None:
        folder = self.told / str(len(self.steady))
        folder.mkdir()
        argv = [sys.executable, "-c", textwrap.dedent(STEADY), str(folder), "0.03"]
        job = self.submit(argv, 100)
        self.steady[job["code"]] = job | {"folder": folder}
        self.open[job["code"]] = time.monotonic() + self.chance.uniform(15, 60)
        self.wanted[job["code"]] = "done"

    def end(self, code: str) -> None:
        del self.open[code]
        if self.chance.random() < 0.25:
            self.wanted[code] = "stopped"
            again(lambda: self.site.api.post(f"jobs/{code}/stop"))
        else:
            (self.steady[code]["folder"] / "end").touch()

    def submit(self, argv: list[str], retries: int) -> dict[str, Any]:
        """Asked again where the site answers with a fault: it has just lost its database, say."""
        asked = {"experiment_name": "soak", "argv": argv, "max_retries": retries}
        return again(lambda: self.site.api.post("jobs", asked))


def wrong(site: Site, work: Work) -> list[str]:
    """Everything that does not hold now; it may still be on its way."""
    rows, api = site.database.rows, site.api
    found = two_live_attempts(rows) + devices_kept(rows)
    states = dict(rows("select code, state from training_job"))
    found += [
        f"job {code} is {states.get(code)}, and should be {wanted}"
        for code, wanted in work.wanted.items()
        # A stop that came as it ended by itself is too late.
        if states.get(code) != wanted
    ]
    if found:
        return found
    found = open_ends(rows) + torn_checkpoints(rows)
    for code, job in work.steady.items():
        if work.wanted[code] == "done":
            found += lost_points(api, job["run"], job["folder"])
        found += lost_lines(api, job["run"], heard_to_the_end(site, code))
        if (total := api.get(f"runs/{job['run']}/logs?start=0&count=1")["total"]) < work.kept[code]:
            found.append(f"run {job['run']} had {work.kept[code]} lines, and has {total}")
    return found


def heard_to_the_end(site: Site, job: str) -> list[Path]:
    """Attempts whose last words count: what one says after another took its place is refused by its number."""
    given_up = {
        number
        for (number,) in site.database.rows(
            "select a.number from training_attempt a join training_job j on j.id = a.job_id "
            f"where j.code = '{job}' and a.outcome = 'lost'"
        )
    }
    return [path for path in site.attempts_of(job) if int(path.name.rpartition("-")[2]) not in given_up]


def deal(chance: random.Random, names: list[str]) -> Iterator[str]:
    """Each fault once in an order by chance, and again in another: none is left out for long."""
    while True:
        yield from chance.sample(names, len(names))


def play(site: Site, chance: random.Random, faults: Iterable[str], jobs: int, pause: float) -> list[str]:
    """Work under these faults, the end of all of it, and what does not hold then. pause: the longest between two."""
    work, began, count = Work(site, chance, jobs), time.monotonic(), 0
    for name in faults:
        work.look()
        time.sleep(chance.uniform(0.1, 1) * pause)
        work.note_lines()
        try:
            said = FAULTS[name](site, chance)
            count += 1
        except PassedOver as error:
            said = f"passed over: {error}"
        site.look()
        print(f"{time.monotonic() - began:7.1f} s  {name}: {said}", flush=True)
        if live := patiently(lambda: two_live_attempts(site.database.rows)):
            return live
    print(f"{count} faults, {len(work.wanted)} jobs; now all of it comes to an end", flush=True)
    for code in list(work.open):
        work.end(code)
    found = settle(site, work)
    if not found:
        took = time.monotonic() - began
        print(
            f"{took:7.1f} s  all of it holds: {len(work.steady)} long jobs, {sum_of(site)} attempts",
            flush=True,
        )
    return found


def settle(site: Site, work: Work) -> list[str]:
    """What does not hold once nothing moves any more."""
    end = time.monotonic() + SETTLE_SECONDS
    moved, found = time.monotonic(), ["nothing was read"]
    while found and time.monotonic() < min(end, moved + STILL_SECONDS):
        time.sleep(2)
        site.look()
        before, found = found, patiently(lambda: wrong(site, work))
        if found != before or site.at_work():
            moved = time.monotonic()
    return found


def soak(options: argparse.Namespace, folder: Path) -> list[str]:
    chance = random.Random(options.seed)
    print(f"seed {options.seed}, {options.minutes:g} minutes, folder {folder}", flush=True)
    site = Site(folder)
    try:
        end = time.monotonic() + options.minutes * 60
        dealt = takewhile(lambda _: time.monotonic() < end, deal(chance, options.only or list(FAULTS)))
        return play(site, chance, dealt, options.jobs, pause=5.0)
    finally:
        site.close()


def sum_of(site: Site) -> int:
    return int(site.database.rows("select count(*) from training_attempt")[0][0])


def again(ask: Callable[[], Any]) -> Any:
    for _ in range(20):
        try:
            return ask()
        except AssertionError as error:
            last = error
            time.sleep(1)
    raise last


def patiently(look: Callable[[], list[str]]) -> list[str]:
    """A site that has just lost its database or its web process is asked again."""
    import psycopg

    for _ in range(20):
        try:
            return look()
        except (psycopg.Error, httpx.HTTPError, AssertionError, FileNotFoundError) as error:
            last = f"{type(error).__name__}: {error}"
            time.sleep(1)
    return [last]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None, help="repeats a sequence; by chance if left out")
    parser.add_argument("--jobs", type=int, default=3, help="long jobs at once (3)")
    parser.add_argument("--only", action="append", choices=FAULTS, help="this fault, and others so named")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="sw-soak-"))
    found = soak(options, folder)
    if found:
        print(f"\nDoes not hold (seed {options.seed}; everything is kept in {folder}):", file=sys.stderr)
        print("\n".join(f"  {line}" for line in found), file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
