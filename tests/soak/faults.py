"""The faults, one function each: what it does to the site, and how that ends. A row of FAULTS is a new one."""

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.support.tally import made
from tests.support.wait import until

from .site import LEASE_SECONDS, Site

Fault = Callable[[Site, random.Random], str]


class PassedOver(Exception):
    """The fault was not made; the message says why."""


def kill(find: Callable[[], list[psutil.Process]], what: str, chance: random.Random) -> str:
    try:
        found = until(find, 10, every=0.2)
    except AssertionError:
        raise PassedOver("none ran") from None
    one = chance.choice(sorted(found, key=lambda process: process.pid))
    try:
        one.send_signal(signal.SIGKILL)
    except psutil.Error:
        raise PassedOver("it had just ended") from None
    made(f"kill -9 of {what}")
    return f"kill -9 {one.pid}"


def kill_training(site: Site, chance: random.Random) -> str:
    return kill(site.trainings, "training process", chance)


def kill_supervisor(site: Site, chance: random.Random) -> str:
    return kill(site.supervisors, "supervisor", chance)


def kill_part(name: str) -> Fault:
    def fault(site: Site, chance: random.Random) -> str:
        try:
            site.stack.kill(name)
        except (LookupError, psutil.Error):
            raise PassedOver("it was gone") from None
        return "kill -9"

    return fault


def kill_second_worker(site: Site, chance: random.Random) -> str:
    assert site.worker is not None
    site.worker.kill()
    site.worker.wait()
    made("kill -9 of node worker")
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
    made("broker flushed")
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
    made("zombie")
    away = chance.uniform(LEASE_SECONDS + 1, 3 * LEASE_SECONDS)
    time.sleep(away)
    for process in frozen:
        with contextlib.suppress(psutil.Error):
            process.resume()
    return f"frozen for {away:.1f} s"


def cut_cable(site: Site, chance: random.Random) -> str:
    """The second host hears and says nothing for a while, within its lease or beyond it."""
    site.cut()
    made("network cut")
    away = chance.uniform(0.5, 3 * LEASE_SECONDS)
    time.sleep(away)
    site.heal()
    return f"cut for {away:.1f} s"


def clock_jump(site: Site, chance: random.Random) -> str:
    if not site.clock.there:
        raise PassedOver("no C compiler")
    seconds = chance.choice([-3600, -60, -10, 10, 60, 3600])
    site.clock.jump(seconds)
    made("clock jump")
    time.sleep(chance.uniform(1, 2 * LEASE_SECONDS))
    site.clock.jump(0)
    return f"by {seconds} s, and back"


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    filler = folder / ".filler"
    try:
        with open(filler, "wb", buffering=0) as file:
            for block in (2**16, 2**12):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * block) == block:
                        pass
        yield
    finally:
        filler.unlink()


def full_disk(site: Site, chance: random.Random) -> str:
    """The second node's disk, where attempts, spools and their states are, takes nothing for a while."""
    if site.attempts is None:
        raise PassedOver("no disk of its own (needs root)")
    full = chance.uniform(1, 8)
    with filled(site.attempts):
        made("full disk")
        time.sleep(full)
    return f"for {full:.1f} s"


def full_checkpoints(site: Site, chance: random.Random) -> str:
    """The disk of the checkpoints is full while trainings save theirs: until one of them says so."""
    if site.checkpoints is None:
        raise PassedOver("no disk of its own (needs root)")
    before = unsaved(site)
    with filled(site.checkpoints):
        try:
            until(lambda: unsaved(site) > before, 10, every=0.1)
        except AssertionError:
            raise PassedOver("nobody saved a checkpoint meanwhile") from None
        made("full disk while a checkpoint is written")
        time.sleep(chance.uniform(0, 3))
    return f"{unsaved(site) - before} checkpoints could not be written"


def unsaved(site: Site) -> int:
    said = [path for home in site.homes() for path in (home / "attempts").glob("*/stdout.log")]
    return sum(path.read_bytes().count(b"no checkpoint at") for path in said)


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
    "cable": cut_cable,
    "clock": clock_jump,
    "full disk": full_disk,
    "full disk of checkpoints": full_checkpoints,
}
