"""Which data folder a node works in: two workers of one name on one host are told apart by it."""

import os
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

FILE = "identity"


def describe(home: Path | None) -> dict[str, str]:
    """What a node says of its data folder; nothing where it has none."""
    return {} if home is None else {"data_folder": str(home), "data_folder_id": identity(home)}


def identity(home: Path) -> str:
    """The folder's own name, made once and kept in it. A copy of the folder is another folder, with another one.

    Raises OSError where the folder cannot be written.
    """
    path = home / FILE
    while not (found := read(path)):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=home)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(f"{uuid.uuid4().hex} {os.fstat(handle).st_ino}\n")
            # Whole or not at all, and the first of two that make it wins.
            path.unlink(missing_ok=True)
            with suppress(FileExistsError):
                os.link(name, path)
        finally:
            os.unlink(name)
    return found


def read(path: Path) -> str:
    """What the file says; "" where there is none, it is cut short, or it was copied here with another folder."""
    try:
        with open(path) as file:
            words, inode = file.read(200).split(), os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return ""
    return words[0] if len(words) == 2 and words[1] == str(inode) else ""
