"""The faults, one function each: what it does to the site, and how that ends. A row of FAULTS is a new one."""

import contextlib
import random
import signal
import time
from collections.abc import Callable

import psutil

from .site import LEASE_SECONDS, Site

Fault = Callable[[Site, random.Random], str]


def kill(processes: list[psutil.Process], chance: random.Random) -> str:
    if not processes:
        return "nothing to kill"
    one = chance.choice(sorted(processes, key=lambda process: process.pid))
    with contextlib.suppress(psutil.Error):
        one.send_signal(signal.SIGKILL)
    return f"kill -9 {one.pid}"


def kill_training(site: Site, chance: random.Random) -> str:
    return kill(site.trainings(), chance)


def kill_supervisor(site: Site, chance: random.Random) -> str:
    return kill(site.supervisors(), chance)


def kill_part(name: str) -> Fault:
    def fault(site: Site, chance: random.Random) -> str:
        try:
            site.stack.child(name).send_signal(signal.SIGKILL)
        except (LookupError, psutil.Error):
            return "it was gone"
        return "kill -9"

    return fault


def kill_second_worker(site: Site, chance: random.Random) -> str:
    assert site.worker is not None
    site.worker.kill()
    site.worker.wait()
    away = chance.uniform(0, 2.5 * LEASE_SECONDS)
    time.sleep(away)
    return f"kill -9, away for {away:.1f} s"


def kill_broker(site: Site, chance: random.Random) -> str:
    away = chance.uniform(0, 8)
    site.broker.kill()
    time.sleep(away)
    site.broker.start()
    return f"kill -9, away for {away:.1f} s"


def flush_broker(site: Site, chance: random.Random) -> str:
    site.broker.client().flushall()
    return "flushall"


def kill_database(site: Site, chance: random.Random) -> str:
    away = chance.uniform(0, 6)
    site.database.kill()
    time.sleep(away)
    site.database.start()
    return f"kill -9, away for {away:.1f} s"


def zombie(site: Site, chance: random.Random) -> str:
    """The second host freezes for longer than a lease, and comes back as if nothing had been."""
    frozen = site.of_second()
    for process in frozen:
        with contextlib.suppress(psutil.Error):
            process.suspend()
    away = chance.uniform(LEASE_SECONDS + 1, 3 * LEASE_SECONDS)
    time.sleep(away)
    for process in frozen:
        with contextlib.suppress(psutil.Error):
            process.resume()
    return f"frozen for {away:.1f} s"


def clock_jump(site: Site, chance: random.Random) -> str:
    if not site.clock.there:
        return "no C compiler: passed over"
    seconds = chance.choice([-3600, -60, -10, 10, 60, 3600])
    site.clock.jump(seconds)
    time.sleep(chance.uniform(1, 2 * LEASE_SECONDS))
    site.clock.jump(0)
    return f"by {seconds} s, and back"


def full_disk(site: Site, chance: random.Random) -> str:
    """The second node's disk, where attempts, spools and their states are, takes nothing for a while."""
    if not site.disk:
        return "no disk of its own (needs root): passed over"
    filler = site.second / "attempts" / ".filler"
    with contextlib.suppress(OSError), open(filler, "wb") as file:
        while True:
            file.write(b"x" * 2**16)
            file.flush()
    full = chance.uniform(1, 8)
    time.sleep(full)
    filler.unlink()
    return f"for {full:.1f} s"


FAULTS: dict[str, Fault] = {
    "training process": kill_training,
    "supervisor": kill_supervisor,
    "second node's worker": kill_second_worker,
    "first node's worker": kill_part("node worker"),
    "control worker": kill_part("control worker"),
    "beat": kill_part("beat"),
    "web": kill_part("web"),
    "broker": kill_broker,
    "broker's memory": flush_broker,
    "database": kill_database,
    "zombie": zombie,
    "clock": clock_jump,
    "full disk": full_disk,
}
