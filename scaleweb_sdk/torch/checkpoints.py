"""Checkpoint files: whole or absent, checked by hash, loaded without running code, old ones removed.

A file is written beside its final name, flushed to the disk and renamed, so a crash leaves the old files and
no half of a new one. Its SHA-256 stands beside it in `<name>.sha256`, in the form that `sha256sum -c` reads.
Contents are tensors and primitives, for torch.load(weights_only=True).
"""

import hashlib
import json
import os
import re
from _pickle import UnpicklingError  # the exception alone: nothing here pickles
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scaleweb_sdk import pins

NAME = re.compile(r"step-(\d+)-b(\d+)(-kept)?\.pt")
FORMAT = "scaleweb-checkpoint-1"


class BrokenCheckpoint(Exception):
    """The file cannot be restored from; the message says what is wrong with which file."""


@dataclass(frozen=True)
class Saved:
    path: Path
    step: int
    size_bytes: int
    sha256: str


class CheckpointFolder:
    """The checkpoints of one run. `keep`: how many of the newest stay; the best and pinned ones do too."""

    def __init__(self, folder: Path, keep: int = 5) -> None:
        if keep < 1:
            raise ValueError(f"keep={keep}; at least 1 checkpoint has to stay")
        self.folder = folder
        self.keep = keep
        self.newest: list[Path] = []  # what the rule of the newest held when it was last applied
        self._proved = False

    def save(self, state: dict[str, Any], step: int, branch: int, pinned: bool = False) -> Saved:
        """Write `state` durably. Raises OSError (a full disk, no permission), BrokenCheckpoint when torch
        could write the state but not load it again."""
        name = f"step-{step:010d}-b{branch}{'-kept' if pinned else ''}.pt"
        # Once is enough: whether it loads depends on the kinds of values in it, not on their figures.
        saved = self.write(name, {"format": FORMAT, **state}, step, prove=not self._proved)
        self._proved = True
        return saved

    def write(self, name: str, state: dict[str, Any], step: int, prove: bool) -> Saved:
        """A file of this name, whole or not at all, with its hash beside it. prove: load it before it is named.

        Raises as `save` does.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            if prove:
                load_weights_only(part)
            digest = sha256_of(part)
            hash_part = part.with_suffix(".sha256part")
            hash_part.write_text(f"{digest}  {path.name}\n")
            hash_part.replace(hash_path(path))
            part.replace(path)
        except RuntimeError as error:
            # torch's own zip writer reports a full disk as a RuntimeError.
            raise OSError(f"{path}: could not be written: {error}") from error
        finally:
            part.unlink(missing_ok=True)
        sync_folder(self.folder)
        return Saved(path, step, path.stat().st_size, digest)

    def remove_old(self, best: Collection[Path] = ()) -> list[Path]:
        """Delete what the keep rule does not hold; the paths that are gone. best: stay, however old they are."""
        mine = [path for path in self.folder.glob("step-*.pt") if NAME.fullmatch(path.name)]
        loose = [path for path in mine if not pins.is_pinned(path)]
        # By time of writing, not by step: after a roll back the new branch's files have the lower steps.
        loose.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
        self.newest = loose[-self.keep :]
        gone = [path for path in loose[: -self.keep] if path not in best]
        for path in gone:
            path.unlink(missing_ok=True)
            hash_path(path).unlink(missing_ok=True)
            pins.forget(path)
        return gone

    @property
    def ranking_file(self) -> Path:
        return self.folder / "ranking.json"

    def ranking(self) -> dict[str, dict[str, float]]:
        """{file's name: {"loss", "metric"}} of what is there, by whichever process it was saved."""
        try:
            found = json.loads(self.ranking_file.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def rank(self, ranking: dict[str, dict[str, float]]) -> None:
        part = self.ranking_file.with_suffix(".part")
        part.write_text(json.dumps(ranking))
        part.replace(self.ranking_file)


def load(path: Path) -> dict[str, Any]:
    """The state in a checkpoint file, on the CPU. Raises BrokenCheckpoint."""
    if not path.is_file():
        raise BrokenCheckpoint(f"{path}: there is no such file")
    noted = hash_path(path)
    if noted.is_file():
        expected = next(iter(noted.read_text().split()), "nothing")
        found = sha256_of(path)
        if expected != found:
            raise BrokenCheckpoint(
                f"{path}: was cut short or changed: its SHA-256 is {found[:12]}…, "
                f"{noted.name} says {expected[:12]}…"
            )
    state = load_weights_only(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise BrokenCheckpoint(f"{path}: holds no {FORMAT}; was it written by another program?")
    return state


def load_weights_only(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, UnpicklingError) as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise BrokenCheckpoint(f"{path}: torch cannot load it: {first_line[:300]}") from error


def hash_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
