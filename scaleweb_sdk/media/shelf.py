"""What is still to be sent, on disk: SESSION.media beside the session's spool, two files an item."""

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import IO, Any

from scaleweb_sdk.spool import read_about, taken

logger = logging.getLogger("scaleweb")
LIMIT_BYTES = 4 * 2**30


class ShelfFull(Exception):
    """The folder holds what it may; the message says so."""


class Shelf:
    """One process at a time has it open. Raises SpoolInUse, and OSError where there can be no folder."""

    def __init__(
        self, folder: Path, about: dict[str, Any] | None = None, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self.folder, self.limit_bytes = folder, limit_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock: IO[str] | None = taken(folder / "in-use")
        self.about: dict[str, Any] = read_about(folder)
        self.count = max((int(path.stem) for path in folder.glob("*.item")), default=0)
        self.size_bytes = sum(path.stat().st_size for path in folder.glob("*.bin"))
        if about is not None:
            self.describe(**about)

    def describe(self, **changes: Any) -> None:
        """Note what is needed to send it later. Raises OSError."""
        if all(self.about.get(name) == value for name, value in changes.items()):
            return
        self.about |= changes
        temporary = self.folder / "about.tmp"
        temporary.write_text(json.dumps(self.about))
        os.replace(temporary, self.folder / "about.json")

    def keep(self, item: dict[str, Any], body: bytes | Path) -> None:
        """Add an item with its bytes, or a copy of a file. Raises ShelfFull, OSError."""
        number = self.count + 1
        size = body.stat().st_size if isinstance(body, Path) else len(body)
        if self.size_bytes + size > self.limit_bytes:
            raise ShelfFull(
                f"{self.folder} holds {self.size_bytes >> 20} MiB that the server does not have yet, and may hold "
                f"{self.limit_bytes >> 20}"
            )
        target = self.folder / f"{number:08d}.bin"
        try:
            if size:
                item["sha256"] = copied(body, target)
                item["size"] = target.stat().st_size
            temporary = self.folder / "item.tmp"
            temporary.write_text(json.dumps(item))
            os.replace(temporary, target.with_suffix(".item"))
        except OSError:
            target.unlink(missing_ok=True)
            raise
        self.count, self.size_bytes = number, self.size_bytes + size

    def waiting(self, count: int) -> list[tuple[Path, dict[str, Any]]]:
        """The oldest items: where their bytes are, and what they are."""
        found = []
        for path in sorted(self.folder.glob("*.item"))[:count]:
            try:
                found.append((path.with_suffix(".bin"), json.loads(path.read_bytes())))
            except (OSError, ValueError):
                logger.warning("scaleweb: %s cannot be read and is left out", path)
                path.rename(path.with_suffix(".damaged"))
        return found

    @property
    def empty(self) -> bool:
        return not any(self.folder.glob("*.item"))

    def done(self, path: Path) -> None:
        """Forget an item: the server has it, or will never take it."""
        try:
            self.size_bytes -= path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            pass  # an item without bytes
        path.with_suffix(".item").unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it; an empty one is removed."""
        if self.empty:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def copied(body: bytes | Path, target: Path) -> str:
    """Write the bytes, or a copy of the file, to `target`; their SHA-256."""
    if isinstance(body, bytes):
        target.write_bytes(body)
        return hashlib.sha256(body).hexdigest()
    shutil.copyfile(body, target)
    with open(target, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
