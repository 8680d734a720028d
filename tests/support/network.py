"""Hosts with addresses of their own on one machine: network namespaces on a bridge that belongs to the test.

Needs root, `ip` and a kernel that allows it; `why_not` says what is missing.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil

from tests.support.tally import made
from tests.support.wait import until


def ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def why_not() -> str:
    """Why no namespaces can be made here; "" where they can."""
    if shutil.which("ip") is None:
        return "there is no `ip` (Debian's package iproute2)"
    name = f"sw{os.getpid()}x"
    try:
        ip("netns", "add", name)
        try:
            ip("link", "add", name, "type", "bridge")
            ip("link", "del", name)
        finally:
            ip("netns", "del", name)
    except OSError as error:
        return f"network namespaces cannot be made: {error}"
    return ""


class Network:
    """`host(name)` makes one, with an address in 198.18.x.0/24 (RFC 2544); this machine has the last address in it."""

    def __init__(self) -> None:
        self.mark = f"sw{os.getpid() % 100_000}"
        self.prefix = f"198.18.{os.getpid() % 250}"
        self.hosts: list[Host] = []
        ip("link", "add", self.mark, "type", "bridge")
        try:
            ip("addr", "add", f"{self.prefix}.254/24", "dev", self.mark)
            ip("link", "set", self.mark, "up")
        except OSError:
            self.close()
            raise

    def host(self, name: str) -> "Host":
        made = Host(self, name, len(self.hosts) + 1)
        self.hosts.append(made)
        return made

    def close(self) -> None:
        """All hosts with all that runs there, though one of them resists."""
        with contextlib.ExitStack() as ending:
            ending.callback(ip, "link", "del", self.mark)
            for host in self.hosts:
                ending.callback(host.close)


class Host:
    """`start` runs a program there; `cut` and `heal` its cable; `kill` ends all that runs there at once."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.name, self.space, self.port = name, f"{network.mark}{name}", f"{network.mark}{name}"
        self.address = f"{network.prefix}.{number}"
        ip("netns", "add", self.space)
        try:
            ip("link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.space)
            ip("link", "set", self.port, "master", network.mark, "up")
            ip("-n", self.space, "addr", "add", f"{self.address}/24", "dev", "eth0")
            ip("-n", self.space, "link", "set", "eth0", "up")
            ip("-n", self.space, "link", "set", "lo", "up")
        except OSError:
            self.close()
            raise

    @property
    def within(self) -> list[str]:
        """What a command begins with to run there. Each of them becomes the next: the number is the program's."""
        named = 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"'
        return ["ip", "netns", "exec", self.space, "unshare", "--uts", "sh", "-c", named, f"host-{self.name}"]

    def start(
        self, *argv: str | Path, log: Path, environment: dict[str, str], cwd: Path
    ) -> subprocess.Popen[bytes]:
        with open(log, "ab") as out:
            return subprocess.Popen(
                [*self.within, *map(str, argv)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=environment, cwd=cwd, start_new_session=True,
            )  # fmt: skip

    def cut(self) -> None:
        ip("link", "set", self.port, "down")
        made("network cut")

    def heal(self) -> None:
        ip("link", "set", self.port, "up")

    def processes(self) -> list[psutil.Process]:
        found = []
        for pid in ip("netns", "pids", self.space).split():
            with contextlib.suppress(psutil.Error):
                found.append(psutil.Process(int(pid)))
        return found

    def close(self) -> None:
        self.kill()
        ip("netns", "del", self.space)

    def kill(self) -> None:
        """As when the power goes: none of them comes to say a last word."""

        def gone() -> bool:
            left = [p for p in self.processes() if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            return not left

        until(gone, every=0.05)
