"""One worker for a node and its data folder: a second one would find nothing of what the first is about to start."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from monitoring.nodes import NameTaken


class OneWorker:
    """A lock in the node's own folder. The kernel lets go of it whatever way the worker ends."""

    def __init__(self, node: str, folder: Path) -> None:
        self.node, self.path = node, folder / "worker.lock"
        self.file: TextIO | None = None

    @property
    def held(self) -> bool:
        return self.file is not None

    def hold(self) -> None:
        """Raises NameTaken while another process has it."""
        if self.held:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self.path, "a+")  # noqa: SIM115  open for as long as the lock is held
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read(20).strip() or "unknown"
            file.close()
            raise NameTaken(
                f"a worker of node {self.node} (process {pid}) is at work in the same data folder, "
                f"{self.path.parents[2]}: one is enough; stop that one before another is started"
            ) from None
        self.file = file
        with suppress(OSError):  # a full disk is no reason to leave alone what runs here
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()

    def let_go(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None
