"""Which files a job is to have: checked as it is asked for."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from training.models import WorkingCopy

from .refused import JobRefused

URL = re.compile(r"(https?|ssh|git|file)://\S+|[\w.-]+@[\w.-]+:\S+")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")


def found_copy(sha256: str, experiment: Any) -> WorkingCopy:
    copy = WorkingCopy.objects.filter(sha256=sha256, project_id=experiment.project_id).first()
    if copy is None:
        raise JobRefused(
            "working_copy",
            f"{sha256!r:.70} was not sent to this project; send it first, as `scaleweb submit --send` does",
        )
    return copy


def check_git(git: Mapping[str, Any], is_sent: bool) -> None:
    """git: {"url", "revision"} to be fetched; of files that were sent, what they were made from."""
    if not git:
        return
    if not REVISION.fullmatch(str(git.get("revision", ""))):
        raise JobRefused("git", f"revision={git.get('revision')!r:.80}: expected a commit, branch or tag")
    if not is_sent and not URL.fullmatch(str(git.get("url", ""))):
        raise JobRefused("git", f"url={git.get('url')!r:.200}: expected https://…, ssh://… or user@host:path")


def check_cwd(cwd: str, has_files: bool) -> None:
    path = PurePath(cwd)
    if has_files:
        if path.is_absolute() or ".." in path.parts or "\0" in cwd:
            raise JobRefused("cwd", f"cwd={cwd!r:.100} is not a folder inside the files that are sent")
    elif "\0" in cwd or (cwd and not path.is_absolute()):
        raise JobRefused(
            "cwd", f"cwd={cwd!r:.100} is not an absolute folder; give its full path, or leave it out"
        )
