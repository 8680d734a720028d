"""A folder as one archive: what .gitignore and .scalewebignore leave of it, the same bytes for the same files."""

import gzip
import hashlib
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".scalewebignore")
ALWAYS = frozenset({".git", "__pycache__", ".venv", ".scaleweb"})
MAX_BYTES = 1024 * 2**20
MAX_FILES = 100_000
LARGEST = 5
PATCH = ".scaleweb-dirty.patch"


class CannotPack(Exception):
    """The message says what is in the way and what would do."""


@dataclass
class Packed:
    path: Path
    sha256: str
    size_bytes: int
    files: int
    git: dict[str, Any] = field(default_factory=dict)


def pack(folder: Path, target: Path, *, tracked: bool = False) -> Packed:
    """Write the archive of a folder. tracked: only what its git repository tracks, as it stands, with the changes since
    the commit in a patch beside. Raises CannotPack."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise CannotPack(f"there is no folder {folder}")
    about = revision(folder, tracked)
    if tracked and not about:
        raise CannotPack(f"{folder} is in no git repository with a commit; `--send` takes it as it is")
    names = sorted(listed(folder) if tracked else walked(folder))
    check_size(folder, names)
    extra = {PATCH: git(folder, "diff", "--binary", "HEAD", "--", ".")} if tracked and about["dirty"] else {}
    with open(target, "wb") as file:
        write(folder, names, file, extra)
    with open(target, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Packed(target, digest, target.stat().st_size, len(names), about)


def walked(folder: Path) -> Iterator[str]:
    """Files and links of the folder, by their paths in it, without what its ignore files name."""
    specs: dict[str, GitIgnoreSpec] = {}
    for place, folders, files in os.walk(folder):
        inside = Path(place).relative_to(folder).as_posix()
        inside = "" if inside == "." else inside
        spec = spec_of(Path(place), files)
        if spec is not None:
            specs[inside] = spec
        kept = []
        for name in folders:
            path = f"{inside}/{name}" if inside else name
            link = (Path(place) / name).is_symlink()
            if name in ALWAYS or ignored(path if link else f"{path}/", specs):
                continue
            if link:
                yield path
            else:
                kept.append(name)
        folders[:] = sorted(kept)
        for name in files:
            path = f"{inside}/{name}" if inside else name
            if name not in ALWAYS and not ignored(path, specs):
                yield path


def spec_of(place: Path, files: list[str]) -> GitIgnoreSpec | None:
    lines: list[str] = []
    for name in IGNORE_FILES:
        if name in files:
            lines += (place / name).read_text(errors="replace").splitlines()
    return GitIgnoreSpec.from_lines(lines) if lines else None


def ignored(path: str, specs: dict[str, GitIgnoreSpec]) -> bool:
    """The nearest ignore file that says anything of the path has the word."""
    parts = path.rstrip("/").split("/")[:-1]
    for depth in range(len(parts), -1, -1):
        above = "/".join(parts[:depth])
        spec = specs.get(above)
        if spec is not None:
            said = spec.check_file(path[len(above) + 1 :] if above else path).include
            if said is not None:
                return bool(said)
    return False


def listed(folder: Path) -> list[str]:
    names = git(folder, "ls-files", "-z").decode(errors="surrogateescape").split("\0")
    return [name for name in names if name and os.path.lexists(folder / name)]


def check_size(folder: Path, names: list[str]) -> None:
    sizes = sorted(
        ((found.st_size, name) for name in names if (found := status(folder / name)) is not None),
        reverse=True,
    )
    size = sum(each for each, _ in sizes)
    if size <= MAX_BYTES and len(names) <= MAX_FILES:
        return
    worst = ", ".join(f"{name} ({megabytes(each)})" for each, name in sizes[:LARGEST])
    raise CannotPack(
        f"{folder} has {megabytes(size)} in {len(names):,} files; at most {megabytes(MAX_BYTES)} in {MAX_FILES:,} are "
        f"sent. The largest: {worst}. Name what a run does not need in a .scalewebignore"
    )


def status(path: Path) -> os.stat_result | None:
    """None for what has gone since it was listed: a training may well write and remove files beside its code."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB" if size >= 2**20 else f"{size:,} bytes"


def write(folder: Path, names: list[str], file: IO[bytes], extra: dict[str, bytes]) -> None:
    # No times, owners or compression name: the same files make the same archive, which is then sent once.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in names:
            try:
                add(tar, folder, name)
            except OSError as error:
                why = error.strerror or "it became shorter meanwhile"
                raise CannotPack(
                    f"{folder / name} could not be read ({why}): name it in a .scalewebignore where a run does not "
                    "need it, else try again"
                ) from error
        for name, content in extra.items():
            add_bytes(tar, name, content)


def add(tar: tarfile.TarFile, folder: Path, name: str) -> None:
    path = folder / name
    found = status(path)
    if found is None:
        return
    member = tarfile.TarInfo(name)
    member.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
    if stat.S_ISLNK(found.st_mode):
        where = os.readlink(path)
        if os.path.isabs(where) or not (path.parent / where).resolve().is_relative_to(folder):
            raise CannotPack(
                f"the link {name} leads out of the folder, to {where}; put it into a .scalewebignore"
            )
        member.type, member.linkname = tarfile.SYMTYPE, where
        tar.addfile(member)
    elif stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            tar.addfile(member, file)
    # Sockets, pipes and devices are no code.


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    import io

    member = tarfile.TarInfo(name)
    member.mode, member.size = 0o644, len(content)
    tar.addfile(member, io.BytesIO(content))


def revision(folder: Path, tracked: bool) -> dict[str, Any]:
    """The commit that the folder stands at, where it came from, and whether it was changed since; {} without one."""
    untracked = ["--untracked-files=no"] if tracked else []
    try:
        commit = git(folder, "rev-parse", "--verify", "HEAD").decode().strip()
        dirty = bool(git(folder, "status", "--porcelain", *untracked, "--", ".").strip())
    except CannotPack:
        return {}
    found: dict[str, Any] = {"revision": commit, "dirty": dirty}
    for name, asked in (
        ("url", ("remote", "get-url", "origin")),
        ("branch", ("symbolic-ref", "--short", "HEAD")),
    ):
        try:
            found[name] = without_password(git(folder, *asked).decode(errors="replace").strip())
        except CannotPack:
            continue
    return found


def without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if mark and "@" in rest.partition("/")[0] else url


def git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607  the user's own git, wherever it is
            cwd=folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        raise CannotPack("there is no git on this machine") from None
    if done.returncode:
        raise CannotPack(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout
