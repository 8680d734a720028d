"""Which checkpoint files the keep rule must leave alone: said by a small file beside each one.

The process that saves and the node's worker that starts it both see these files, so a pin that was set while no
process ran holds as well. A file whose name says that it was asked for is pinned until it is let go.
"""

from pathlib import Path

ASKED_FOR = "-kept"


def marker(path: Path, letting_go: bool = False) -> Path:
    return path.with_name(path.name + (".loose" if letting_go else ".pinned"))


def is_pinned(path: Path) -> bool:
    if path.stem.endswith(ASKED_FOR):
        return not marker(path, letting_go=True).exists()
    return marker(path).exists()


def pin(path: Path, pinned: bool) -> None:
    """Raises FileNotFoundError where there is no such checkpoint (any more), OSError where nothing can be written."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there any more: it was removed before it could be pinned")
    asked_for = path.stem.endswith(ASKED_FOR)
    file = marker(path, letting_go=asked_for)
    if pinned != asked_for:
        file.touch()
    else:
        file.unlink(missing_ok=True)


def forget(path: Path) -> None:
    """Remove what was said about a checkpoint that is gone."""
    for letting_go in (False, True):
        marker(path, letting_go).unlink(missing_ok=True)
