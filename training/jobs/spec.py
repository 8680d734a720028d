"""What a node hands to an attempt's supervisor: the command, a cleaned environment, and the run's own keys."""

import contextlib
import hashlib
import os
import re
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from scaleweb_sdk import pins
from training.copies import fetch
from training.models import ApiToken, Attempt, Checkpoint, Job, Member, Run, RunEvent, TokenKind

from . import launch

# What must not reach a training process: a broker's address would let it run tasks on every node.
SECRETS = re.compile(r"(SCALEWEB_|CELERY|DJANGO_|REDIS_|VALKEY_|PG[A-Z]+$|DATABASE_URL|_MP_FORK|FORKED_BY)")
HASH_BLOCK_BYTES = 2**20
LATE_LINES = timedelta(days=7)


def folder_of(attempt: Attempt, member: Member | None = None) -> Path:
    part = "" if member is None else f".{member.node_rank}"
    return Path(settings.ATTEMPT_DIR) / f"{attempt.job.code}-{attempt.number}{part}"


def build(attempt: Attempt, member: Member | None = None) -> dict[str, Any]:
    """The spec of a claimed attempt, or of its part on a further node.

    Issues the run token of this attempt; those of older ones end here. Raises CannotResume on a further node that
    does not have the checkpoint which the first one goes on from, and for a fork without the one it begins from;
    CannotFetch for files that cannot be had.
    """
    job, run = attempt.job, attempt.job.run
    folder = folder_of(attempt, member)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = issued_token(attempt, member)
    # An attempt that could not be told of is begun again in the same folder.
    shutil.rmtree(folder / "work", ignore_errors=True)
    (folder / "work").mkdir()
    start = fetch.fill(job, attempt.node if member is None else member.node, folder / "work")
    checkpoints = Path(settings.CHECKPOINT_DIR) / run.code
    checkpoints.mkdir(parents=True, exist_ok=True, mode=0o700)
    environment = cleaned(dict(os.environ))
    environment |= launch.environment_of(attempt, member)
    environment |= job.env
    environment |= {
        "SCALEWEB_URL": settings.PUBLIC_URL,
        "SCALEWEB_TOKEN": token,
        "SCALEWEB_RUN": run.code,
        "SCALEWEB_ATTEMPT": str(attempt.number),
        # Told here and not by the link's welcome alone: a process that resumes while the site is slow or away would
        # else number its branch as the attempt before did, and the points of both would be one.
        "SCALEWEB_BRANCH": str(newest_branch(run)),
        "SCALEWEB_SPOOL_DIR": str(folder / "spool"),
        "SCALEWEB_CHECKPOINT_DIR": str(checkpoints),
        "SCALEWEB_CAPTURE": "0",
    }
    if job.group_index is not None:
        environment["SCALEWEB_ARRAY_INDEX"] = str(job.group_index)
    if run.experiment.goal_metric:
        environment["SCALEWEB_GOAL_METRIC"] = run.experiment.goal_metric
        environment["SCALEWEB_GOAL_DIRECTION"] = run.experiment.goal_direction
    pin_files(run, checkpoints)
    checkpoint = resumed_by_all(attempt, member) if member is not None else resumable(attempt)
    if checkpoint is not None:
        environment["SCALEWEB_RESUME"] = checkpoint.path
        environment["SCALEWEB_RESUME_STEP"] = str(checkpoint.step)
    return {
        "run": run.code, "attempt": attempt.number, "url": settings.PUBLIC_URL, "token": token,
        "node": (attempt if member is None else member).node.name, "program": job.argv[0],
        "argv": launch.argv_of(attempt, member), "cwd": str(start), "env": environment,
        "folder": str(folder), "memory_bytes": job.memory_bytes, "nodes": 1 + attempt.members.count(),
    }  # fmt: skip


def newest_branch(run: Run) -> int:
    branches = Run.objects.values_list("branches", flat=True).get(pk=run.pk)
    return max((int(branch.get("index", 0)) for branch in branches), default=0)


def pin_files(run: Run, folder: Path) -> None:
    """Say beside the files which ones are pinned: a person may have changed that while no process ran."""
    for checkpoint in run.checkpoints.filter(available=True):
        path = Path(checkpoint.path)
        # What lies elsewhere is the script's own business.
        if path.parent == folder and path.exists() and pins.is_pinned(path) != checkpoint.pinned:
            with contextlib.suppress(OSError):
                pins.pin(path, checkpoint.pinned)


class CannotResume(Exception):
    """A node has not got what the attempt goes on from; the message says what would help."""


def issued_token(attempt: Attempt, member: Member | None) -> str:
    name = f"attempt {attempt.number} of job {attempt.job.code}"
    if member is None:
        # Those of earlier attempts are good for what they printed and could not send yet. Their processes are refused
        # by the attempt's number.
        ApiToken.objects.filter(run=attempt.job.run, expires_at=None, name__startswith="attempt ").update(
            expires_at=timezone.now() + LATE_LINES
        )
    else:
        name += f" on {member.node.name}"
    _, token = ApiToken.issue(TokenKind.RUN, run=attempt.job.run, name=name[:100])
    return token


def resumable(attempt: Attempt) -> Checkpoint | None:
    begin = attempt.job.start_from
    checkpoint = newest_whole_checkpoint(attempt, begin.get("after", 0)) if attempt.number > 1 else None
    if checkpoint is None and begin:
        checkpoint = chosen(attempt.job)
    if checkpoint is not None:
        Attempt.objects.filter(pk=attempt.pk).update(resumed_from=checkpoint)
    return checkpoint


def chosen(job: Job) -> Checkpoint:
    """What a person chose to begin from: another run's checkpoint for a fork, or an older one of the run's own.

    Raises CannotResume, never begins from nothing.
    """
    begin = job.start_from
    it, other = ("this run", "resume from") if "after" in begin else ("this fork", "fork")
    what = f"the checkpoint of step {begin['step']} of run {begin['run']}"
    checkpoint = Checkpoint.objects.filter(pk=begin["checkpoint"]).first()
    if checkpoint is None:
        raise CannotResume(f"{it} cannot begin: {what} was deleted with its run; {other} another one")
    fault = fault_of(checkpoint)
    if fault:
        raise CannotResume(f"{it} cannot begin from {what}: {fault}; {other} another checkpoint")
    return checkpoint


def resumed_by_all(attempt: Attempt, member: Member) -> Checkpoint | None:
    """What the first node goes on from, where this one has it as well."""
    checkpoint = attempt.resumed_from
    if checkpoint is None:
        return None
    fault = fault_of(checkpoint)
    if fault:
        raise CannotResume(
            f"{member.node.name} cannot go on from the checkpoint of step {checkpoint.step}: {fault}; the nodes of one "
            "training need a folder of checkpoints that they share"
        )
    return checkpoint


def cleaned(environment: dict[str, str]) -> dict[str, str]:
    """The worker's environment without the site's keys, and with the SDK to import.

    The interpreter that runs the site comes first on PATH, so that `python train.py` finds torch and the SDK.
    """
    kept = {name: value for name, value in environment.items() if not SECRETS.match(name)}
    paths = [str(Path(sys.executable).parent), *kept.get("PATH", os.defpath).split(os.pathsep)]
    kept["PATH"] = os.pathsep.join(dict.fromkeys(paths))
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [kept.get("PYTHONPATH", ""), str(sdk_folder())]))
    kept["PYTHONUNBUFFERED"] = "1"
    return kept


def sdk_folder() -> Path:
    """A folder that offers `scaleweb_sdk` to import and nothing else of the site."""
    folder = Path(settings.HOME) / "sdk"
    folder.mkdir(parents=True, exist_ok=True)
    link, target = folder / "scaleweb_sdk", Path(settings.BASE_DIR) / "scaleweb_sdk"
    if not link.is_symlink() or link.resolve() != target.resolve():
        temporary = folder / f".scaleweb_sdk.{os.getpid()}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        os.replace(temporary, link)
    return folder


def newest_whole_checkpoint(attempt: Attempt, after: int = 0) -> Checkpoint | None:
    """The run's newest checkpoint whose file is what was saved; one that is cut short is marked and passed over.

    after: only those recorded after this id. What is not used is told in the run's history.
    """
    run, elsewhere, found = attempt.job.run, [], None
    for checkpoint in run.checkpoints.filter(available=True, pk__gt=after).order_by("-id"):
        if not Path(checkpoint.path).exists():
            # A file that is merely not on this node may still be on another.
            elsewhere.append(checkpoint)
            continue
        fault = fault_of(checkpoint)
        if not fault:
            found = checkpoint
            break
        tell(run, checkpoint, f"the checkpoint of step {checkpoint.step} is not used: {fault}")
        Checkpoint.objects.filter(pk=checkpoint.pk).update(available=False)
    if elsewhere:
        tell(run, elsewhere[0], not_here(attempt, elsewhere, found))
    return found


def not_here(attempt: Attempt, missing: list[Checkpoint], found: Checkpoint | None) -> str:
    """What it costs that files are not on the attempt's node, and what would help."""
    newest, here, begin = missing[0], attempt.node.name, attempt.job.start_from
    saved_by = attempt.job.attempts.filter(created_at__lte=newest.created_at, number__lt=attempt.number)
    there = saved_by.order_by("-number").values_list("node__name", flat=True).first()
    then = (
        f"goes on from step {found.step}" if found
        else f"begins at step {begin['step']} of run {begin['run']} again" if begin
        else "begins anew"
    )  # fmt: skip
    if there in (None, here):
        return f"it {then} on {here}: the file of the checkpoint of step {newest.step} is gone: {newest.path}"
    return (
        f"it {then} on {here}: the checkpoint of step {newest.step}, which {there} saved, is not there. Let all nodes "
        f"share one folder of checkpoints ({settings.CHECKPOINT_DIR} on {here}), or keep the job to its node by a label"
    )


def tell(run: Run, checkpoint: Checkpoint, reason: str) -> None:
    RunEvent.objects.create(
        run=run, kind="error", step=checkpoint.step, reason=reason, data={"path": checkpoint.path}
    )


def fault_of(checkpoint: Checkpoint) -> str:
    """What is wrong with a checkpoint's file; "" when it is whole."""
    path = Path(checkpoint.path)
    if not path.exists():
        return f"there is no {path} on this node"
    if path.is_dir():
        return ""
    size = path.stat().st_size
    if checkpoint.size_bytes and size != checkpoint.size_bytes:
        return f"its file has {size} bytes, and {checkpoint.size_bytes} were saved"
    if checkpoint.sha256 and sha256(path) != checkpoint.sha256:
        return "its file's SHA-256 is not the one that was saved"
    return ""


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
