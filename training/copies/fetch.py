"""A job's files on the node that runs it: from the site by the node's token, or from a repository by git."""

import hashlib
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from monitoring.models import Node
from training.models import ApiToken, Job, TokenKind, WorkingCopy

from .unpack import BadArchive, unpack

BLOCK = 2**18
# The site may be restarted just then.
PATIENCE_SECONDS = 60.0
GIT_SECONDS = 600
KEPT = 20  # archives that a node keeps for the next attempt


class CannotFetch(Exception):
    """The job cannot have its files; the message says why."""


def fill(job: Job, node: Node, folder: Path) -> Path:
    """Put the job's files into the folder; where its command starts. Raises CannotFetch."""
    if job.working_copy is not None:
        archive = fetched(job.working_copy, node)
        try:
            unpack(archive, folder, settings.COPY_UNPACKED_BYTES)
        except BadArchive as error:
            raise CannotFetch(f"the working copy {job.working_copy.sha256[:12]}: {error}") from None
    elif job.git:
        clone(job, folder)
    else:
        return Path(job.cwd) if job.cwd else folder
    start = folder / job.cwd
    if not start.is_dir():
        raise CannotFetch(f"there is no folder {job.cwd!r} in what was sent")
    return start


def fetched(copy: WorkingCopy, node: Node) -> Path:
    """The archive in this node's own cache, whole and with its hash."""
    cache = Path(settings.HOME) / "fetched"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = cache / copy.sha256
    if not target.exists():
        expires = timezone.now() + timedelta(minutes=10)
        _, token = ApiToken.issue(TokenKind.NODE, node=node, name="working copy", expires_at=expires)
        address = f"{settings.PUBLIC_URL}/api/v1/projects/{copy.project.slug}/copies/{copy.sha256}"
        partial = cache / f".{copy.sha256}.{os.getpid()}.{time.monotonic_ns()}"
        try:
            download(address, token, copy.sha256, partial)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        for old in sorted(cache.glob("[0-9a-f]*"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    os.utime(target)
    return target


def download(address: str, token: str, sha256: str, target: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
            digest = hashlib.sha256()
            with urllib.request.urlopen(asked, timeout=30) as answer, open(target, "wb") as file:  # noqa: S310
                while block := answer.read(BLOCK):
                    digest.update(block)
                    file.write(block)
            if digest.hexdigest() == sha256:
                return
            problem = "what came has another hash"
        except urllib.error.HTTPError as error:
            problem = f"the site answered {error.code}"
            if error.code < 500:
                raise CannotFetch(f"the working copy {sha256[:12]} cannot be fetched: {problem}") from None
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            problem = str(getattr(error, "reason", error))
        if time.monotonic() > deadline:
            raise CannotFetch(f"the working copy {sha256[:12]} cannot be fetched: {problem}")
        time.sleep(1)


def clone(job: Job, folder: Path) -> None:
    """The revision of a repository, without its history. A later attempt takes the commit that the first one found."""
    url, wanted = job.git["url"], job.git.get("commit") or job.git["revision"]
    git(folder, "init", "--quiet")
    try:
        git(folder, "fetch", "--quiet", "--depth", "1", "--", url, wanted)
        commit = "FETCH_HEAD"
    except CannotFetch:
        # Not every server gives out a commit by its number alone.
        git(folder, "fetch", "--quiet", "--tags", "--", url, "+refs/heads/*:refs/remotes/origin/*")
        try:
            commit = git(
                folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}"
            ).strip()
        except CannotFetch:
            raise CannotFetch(f"the repository has no commit, branch or tag {wanted!r:.100}") from None
    git(folder, "checkout", "--quiet", "--detach", commit)
    found = git(folder, "rev-parse", "HEAD").strip()
    if job.git.get("commit") != found:
        job.git = {**job.git, "commit": found}
        Job.objects.filter(pk=job.pk).update(git=job.git)


def git(folder: Path, *arguments: str) -> str:
    program = shutil.which("git")
    if program is None:
        raise CannotFetch("there is no git on this node; install it, or send the folder")
    # Asks nobody for a password, and runs nothing that an address could name (ext::).
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "SCALEWEB_"))
    }
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file"}
    try:
        done = subprocess.run(
            [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=GIT_SECONDS,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CannotFetch(f"git {arguments[0]} took more than {GIT_SECONDS} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line] or ["it gave no reason"]
        raise CannotFetch(f"git {arguments[0]}: {lines[-1]:.500}")
    return done.stdout
