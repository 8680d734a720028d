"""Hosts that cannot be put up to the end leave no process, namespace or bridge on the machine."""

import os

import psutil
import pytest

from tests.hosts.hosts import Hosts
from tests.support import network
from tests.support.stack import RunningStack
from tests.support.wait import until

REASON = network.why_not()
pytestmark = [
    pytest.mark.hosts,
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(REASON), reason=REASON),
]


def living_below(folder) -> list[str]:
    """Processes that name the folder in their command line or environment, or work in it."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *map(str, process.environ().values()), process.cwd()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in each for each in told):
            found.append(" ".join(process.cmdline()))
    return found


def test_a_set_up_that_fails_half_way_leaves_nothing_behind(tmp_path, monkeypatch):
    start, seen = RunningStack.start, []

    def fail_while_it_starts(site):
        start(site, wait=False)
        seen.extend(living_below(tmp_path))
        raise RuntimeError("the site does not come up")

    monkeypatch.setattr(RunningStack, "start", fail_while_it_starts)
    with pytest.raises(RuntimeError, match="does not come up"):
        Hosts(tmp_path)
    assert len(seen) >= 3, "database, broker and site had been started"
    assert living_below(tmp_path) == []
    mark = f"sw{os.getpid() % 100_000}"
    assert mark not in network.ip("netns", "list")
    until(lambda: mark not in network.ip("link", "show"))


def test_a_host_whose_cable_cannot_be_laid_leaves_no_namespace(monkeypatch):
    lay = network.ip

    def no_second_cable(*words):
        if "veth" in words and words[2].endswith("b"):
            raise OSError("no more cables")
        return lay(*words)

    monkeypatch.setattr(network, "ip", no_second_cable)
    made = network.Network()
    try:
        made.host("a")
        with pytest.raises(OSError, match="no more cables"):
            made.host("b")
        assert f"{made.mark}b" not in lay("netns", "list")
    finally:
        made.close()
    # The kernel takes a cable away with its host's end of it, a moment after the namespace is gone.
    until(lambda: made.mark not in lay("netns", "list") + lay("link", "show"))
