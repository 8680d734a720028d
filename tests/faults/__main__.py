"""The fault suite again and again, until a round fails or all are through: `make faults TIMES=20`.

python -m tests.faults --times 20            seeds by chance; the first is printed
python -m tests.faults --times 1 --seed 7    the round that had this seed, again
python -m tests.faults --times 20 --hosts 2  two of the rounds on three hosts with a network between them, too

A round kills each process of a site in the middle of a run (tests/faults/test_kill.py), and beside it, on another site
that is kept over the rounds, deals every fault of the soak once, in an order and at moments that its seed chooses.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import takewhile
from pathlib import Path

from tests.soak.__main__ import play
from tests.soak.faults import FAULTS
from tests.soak.site import Site
from tests.support.network import why_not
from tests.support.stack import TOP
from tests.support.tally import count

JOBS_AT_ONCE = 3
LONGEST_PAUSE_SECONDS = 2.5


class Round:
    """One round. `wrong`: what did not hold, in words."""

    def __init__(self, site: Site, seed: int, folder: Path, on_hosts: bool) -> None:
        self.site, self.seed, self.folder, self.on_hosts = site, seed, folder, on_hosts
        folder.mkdir()

    def play(self) -> list[str]:
        killing = self.pytest("kill", "tests/faults/test_kill.py")
        chance = random.Random(self.seed)
        faults = takewhile(
            lambda _: killing.poll() in {None, 0}, chance.sample(list(FAULTS), len(FAULTS))
        )  # nothing more is made in a round that has failed
        wrong = play(self.site, chance, faults, JOBS_AT_ONCE, LONGEST_PAUSE_SECONDS)
        wrong += self.verdict(killing, "kill")
        if self.on_hosts and not wrong:
            wrong += self.verdict(self.pytest("hosts", "-m", "hosts", "tests/hosts"), "hosts")
        return wrong

    def pytest(self, name: str, *which: str) -> subprocess.Popen[bytes]:
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "--show-capture=no",
            *which,
        ]
        own = {"FAULTS_KEEP": "1", "TMPDIR": str(self.folder)}
        with open(self.folder / f"{name}.log", "wb") as log:
            return subprocess.Popen(argv, cwd=TOP, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT)

    def verdict(self, tests: subprocess.Popen[bytes], name: str) -> list[str]:
        if tests.wait() == 0:
            return []
        return (self.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()[-30:]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--times", type=int, default=1, help="rounds (1)")
    parser.add_argument("--seed", type=int, default=None, help="of the first round; the next has the next")
    parser.add_argument(
        "--hosts", type=int, default=0, help="in how many of them on three hosts too (0); needs root"
    )
    options = parser.parse_args()
    if options.hosts and (reason := why_not()):
        parser.error(f"--hosts {options.hosts}: {reason}")
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="sw-f-"))
    os.environ["FAULTS_TALLY"] = str(folder / "tally")
    print(f"{options.times} rounds from seed {seed} on, folder {folder}", flush=True)
    took: list[float] = []
    wrong: list[str] = []
    site = Site(made_folder(folder / "site"))
    try:
        for number in range(options.times):
            on_hosts = (
                number * options.hosts // options.times != (number + 1) * options.hosts // options.times
            )
            began = time.monotonic()
            print(
                f"\nround {number + 1}, seed {seed + number}{', with three hosts' if on_hosts else ''}",
                flush=True,
            )
            wrong = Round(site, seed + number, folder / str(number + 1), on_hosts).play()
            if wrong:
                break
            took.append(time.monotonic() - began)
            print(f"round {number + 1} is green after {took[-1]:.0f} s", flush=True)
            shutil.rmtree(folder / str(number + 1))
            site.tidy()
    finally:
        site.close()
        tell(options.times, took, count(folder / "tally"))
    if wrong:
        print(f"\nDoes not hold in the round of seed {seed + len(took)} (kept in {folder}):", file=sys.stderr)
        print("\n".join(f"  {line}" for line in wrong), file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def made_folder(folder: Path) -> Path:
    folder.parent.chmod(0o755)  # PostgreSQL's user has to get through
    folder.mkdir()
    return folder


def tell(times: int, took: list[float], faults: Counter[str]) -> None:
    print(f"\n{len(took)} of {times} rounds were green", end="")
    if took:
        print(
            f"; one took {min(took):.0f} to {max(took):.0f} s, {sum(took) / len(took):.0f} s on average",
            end="",
        )
    print(f"\n{faults.total()} faults:")
    for name, times_made in sorted(faults.items(), key=lambda pair: (-pair[1], pair[0])):
        print(f"{times_made:6}  {name}")


if __name__ == "__main__":
    raise SystemExit(main())
