"""The archives: SCALEWEB_HOME/copies/<first two digits>/<sha256>, once however many projects have them."""

import shutil
from pathlib import Path

from django.conf import settings

from training.media import files as media
from training.models import Project

# Who names a hash has not shown that they have the bytes: each project sends them once, into a part of its own.
PART = "{sha256}.{project}.part"


def path(sha256: str) -> Path:
    if not media.SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r:.80} is no SHA-256")
    return Path(settings.COPY_DIR) / sha256[:2] / sha256


def add(project: Project, sha256: str, offset: int, whole: int, piece: bytes) -> int:
    """Add a piece; how many bytes are here then. Raises what `training.media.files.add` does."""
    target = path(sha256)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = target.with_name(PART.format(sha256=sha256, project=project.pk))
    return media.receive(target, part, sha256, offset, whole, piece)


def remove(sha256: str) -> None:
    path(sha256).unlink(missing_ok=True)


def has_room(size: int) -> bool:
    """Whether the disk takes so much and keeps a twentieth of itself free."""
    folder = Path(settings.COPY_DIR)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    disk = shutil.disk_usage(folder)
    return disk.free - size > disk.total / 20
