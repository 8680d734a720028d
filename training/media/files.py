"""The bytes of media: SCALEWEB_HOME/media/<run>/<first two digits>/<sha256>.

A file comes in pieces, so that no request is large and a broken one goes on where it was. Until its last piece it is
called .part; then its hash is looked at, and only what is what it says gets its name.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

SHA256 = re.compile(r"[0-9a-f]{64}")
READ_BYTES = 2**18


class WrongPlace(Exception):
    """The piece does not begin where the last one ended, which is at `have` bytes."""

    def __init__(self, have: int):
        super().__init__(f"{have} bytes of this file are here; send on from there")
        self.have = have


class NotWhatItSays(Exception):
    """The bytes have another hash than their name."""


def folder(code: str) -> Path:
    return Path(settings.MEDIA_DIR) / code


def path(code: str, sha256: str) -> Path:
    if not SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r:.80} is no SHA-256")
    return folder(code) / sha256[:2] / sha256


def size(code: str, sha256: str) -> int | None:
    """Bytes of a file that is here whole; None for one that is not."""
    try:
        return path(code, sha256).stat().st_size
    except (FileNotFoundError, ValueError):
        return None


def add(code: str, sha256: str, offset: int, whole: int, piece: bytes) -> int:
    """Add a piece of a file of `whole` bytes; how many bytes are here then. Of a file that is here: all of them.

    Raises WrongPlace, NotWhatItSays, and OSError where the disk takes no more: then what was here stays.
    """
    there = size(code, sha256)
    if there is not None:
        return there
    target = path(code, sha256)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return receive(target, target.with_suffix(".part"), sha256, offset, whole, piece)


def receive(target: Path, part: Path, sha256: str, offset: int, whole: int, piece: bytes) -> int:
    """Add a piece to `part`, which is called `target` once it is whole. As `add`."""
    with open(part, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two that send the same take turns
        have = os.fstat(file.fileno()).st_size
        if not part.exists():  # its other sender was done just now
            return target.stat().st_size if target.exists() else 0
        if have != offset:
            raise WrongPlace(have)
        try:
            file.write(piece)
            file.flush()
        except OSError:
            file.truncate(have)
            raise
        have += len(piece)
        if have >= whole:
            if have > whole or digest(part) != sha256:
                part.unlink()
                raise NotWhatItSays(
                    f"{have} bytes came whose SHA-256 is not the {sha256[:12]}… that was announced; send it again"
                )
            os.fsync(file.fileno())
            part.rename(target)
    return have


def digest(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def head(code: str, sha256: str, count: int) -> bytes:
    with open(path(code, sha256), "rb") as file:
        return file.read(count)


def pieces(code: str, sha256: str, start: int, count: int) -> Iterator[bytes]:
    """`count` bytes from `start` on, a piece at a time."""
    with open(path(code, sha256), "rb") as file:
        file.seek(start)
        while count > 0 and (piece := file.read(min(READ_BYTES, count))):
            count -= len(piece)
            yield piece


def remove(code: str, sha256: str) -> None:
    path(code, sha256).unlink(missing_ok=True)


def remove_run(code: str) -> None:
    shutil.rmtree(folder(code), ignore_errors=True)
