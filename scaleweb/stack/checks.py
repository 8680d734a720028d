"""What can be wrong before anything is started, each told in one sentence."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
from pathlib import Path

NEEDED_FREE_BYTES = 200 * 2**20


class CannotStart(Exception):
    """The message says what is in the way and what to do about it."""


def usable_folder(folder: Path) -> None:
    """Make the data folder, readable by its owner alone, and see that it can be written. Raises CannotStart."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("run", "log", "attempts", "checkpoints"):
            (folder / name).mkdir(exist_ok=True, mode=0o700)
        probe = folder / "run" / "probe"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CannotStart(full(folder, 0)) from None
        raise CannotStart(
            f"The data folder {folder} cannot be written ({error.strerror}). "
            "Make it writable, or choose another with SCALEWEB_HOME=/some/folder."
        ) from None
    free = shutil.disk_usage(folder).free
    if free < NEEDED_FREE_BYTES:
        raise CannotStart(full(folder, free))


def full(folder: Path, free: int) -> str:
    return (
        f"The disk of {folder} is full: {free / 2**20:.0f} MiB are free, and {NEEDED_FREE_BYTES / 2**20:.0f} MiB are "
        "needed to start. Make room, or choose another folder with SCALEWEB_HOME=/some/folder."
    )


class OneCopy:
    """A lock on the data folder, held while the stack lives; the kernel lets go of it whatever way it ends."""

    def __init__(self, folder: Path, url: str) -> None:
        self.path = folder / "run" / "stack.lock"
        self.file = open(self.path, "a+")  # noqa: SIM115  open for as long as the lock is held
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = {}
            with contextlib.suppress(ValueError):
                other = json.loads(self.path.read_text() or "{}")
            raise CannotStart(
                f"ScaleWeb already runs on {folder} (process {other.get('pid', '?')}, {other.get('url', '?')}). "
                "Open that address, or stop it first; SCALEWEB_HOME=/some/folder starts a second, separate site."
            ) from None
        self.file.truncate(0)
        self.file.write(json.dumps({"pid": os.getpid(), "url": url}))
        self.file.flush()


def free_port(host: str, port: int) -> None:
    """Raises CannotStart when something listens there, or nothing may."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"Port {port} on {host} is taken by another program. Choose another: PORT={port + 1} make run"
                ) from None
            raise CannotStart(
                f"Nothing can listen on {host}:{port} ({error.strerror}). Check SCALEWEB_BIND and PORT."
            ) from None
