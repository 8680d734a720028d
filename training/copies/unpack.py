"""An archive that was sent, as a folder: nothing of it lies outside, is a device, or is larger than it may be."""

import tarfile
from pathlib import Path

MAX_FILES = 100_000


class BadArchive(Exception):
    """It is not unpacked; the message says what is in it."""


def unpack(archive: Path, folder: Path, most_bytes: int) -> int:
    """Returns how many members were written. Raises BadArchive."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members: list[tarfile.TarInfo] = []
            size = 0
            for member in tar:  # the sizes are checked before anything is written
                size += member.size
                if len(members) >= MAX_FILES or size > most_bytes:
                    raise BadArchive(
                        f"it unpacks to more than {MAX_FILES:,} files or {most_bytes / 2**20:,.0f} MiB"
                    )
                check(member)
                members.append(member)
            tar.extractall(folder, members=members, filter="data")
            return len(members)
    except (tarfile.TarError, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadArchive(f"it cannot be unpacked: {error}") from None


def check(member: tarfile.TarInfo) -> None:
    # The data filter would make an absolute path a relative one: who sent it meant something else.
    if member.name.startswith("/") or ".." in Path(member.name).parts:
        raise BadArchive(f"{member.name!r:.200} leads out of the folder")
    if not (member.isfile() or member.isdir() or member.issym()):
        raise BadArchive(f"{member.name!r:.200} is neither a file, a folder nor a link")
