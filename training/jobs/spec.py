"""What a node hands to an attempt's supervisor: the command, a cleaned environment, and the run's own keys."""

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from training.models import ApiToken, Attempt, Checkpoint, RunEvent, TokenKind

# What must not reach a training process: a broker's address would let it run tasks on every node.
SECRETS = re.compile(r"(SCALEWEB_|CELERY|DJANGO_|REDIS_|VALKEY_|PG[A-Z]+$|DATABASE_URL|_MP_FORK|FORKED_BY)")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
HASH_BLOCK_BYTES = 2**20


def folder_of(attempt: Attempt) -> Path:
    return Path(settings.ATTEMPT_DIR) / f"{attempt.job.code}-{attempt.number}"


def build(attempt: Attempt) -> dict[str, Any]:
    """The spec of a claimed attempt. Issues the run token of this attempt; those of older ones end here."""
    job, run = attempt.job, attempt.job.run
    folder = folder_of(attempt)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ApiToken.objects.filter(run=run, revoked_at=None, name__startswith="attempt ").update(
        revoked_at=timezone.now()
    )
    _, token = ApiToken.issue(TokenKind.RUN, run=run, name=f"attempt {attempt.number} of job {job.code}")
    (folder / "work").mkdir(exist_ok=True)
    checkpoints = Path(settings.CHECKPOINT_DIR) / run.code
    checkpoints.mkdir(parents=True, exist_ok=True, mode=0o700)
    environment = cleaned(dict(os.environ))
    environment |= devices_of(attempt)
    environment |= job.env
    environment |= {
        "SCALEWEB_URL": settings.PUBLIC_URL,
        "SCALEWEB_TOKEN": token,
        "SCALEWEB_RUN": run.code,
        "SCALEWEB_ATTEMPT": str(attempt.number),
        "SCALEWEB_SPOOL_DIR": str(folder / "spool"),
        "SCALEWEB_CHECKPOINT_DIR": str(checkpoints),
        "SCALEWEB_CAPTURE": "0",
    }
    checkpoint = newest_whole_checkpoint(attempt) if attempt.number > 1 else None
    if checkpoint is not None:
        Attempt.objects.filter(pk=attempt.pk).update(resumed_from=checkpoint)
        environment["SCALEWEB_RESUME"] = checkpoint.path
        environment["SCALEWEB_RESUME_STEP"] = str(checkpoint.step)
    return {
        "run": run.code, "attempt": attempt.number, "url": settings.PUBLIC_URL, "token": token, "argv": job.argv,
        "cwd": job.cwd or str(folder / "work"), "env": environment, "folder": str(folder),
    }  # fmt: skip


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


def devices_of(attempt: Attempt) -> dict[str, str]:
    """The devices the attempt may see. A CPU attempt gets as many threads as slots, and no GPU."""
    devices = sorted(attempt.devices.all(), key=lambda device: device.index)
    if attempt.job.device_kind == "gpu":
        return {"CUDA_VISIBLE_DEVICES": ",".join(device.uuid or str(device.index) for device in devices)}
    return {"CUDA_VISIBLE_DEVICES": ""} | dict.fromkeys(THREAD_VARIABLES, str(len(devices)))


def newest_whole_checkpoint(attempt: Attempt) -> Checkpoint | None:
    """The run's newest checkpoint whose file is what was saved; one that is cut short is marked and passed over."""
    run = attempt.job.run
    for checkpoint in run.checkpoints.filter(available=True).order_by("-id"):
        fault = fault_of(checkpoint)
        if not fault:
            return checkpoint
        RunEvent.objects.create(
            run=run, kind="error", step=checkpoint.step,
            reason=f"the checkpoint of step {checkpoint.step} is not used: {fault}", data={"path": checkpoint.path},
        )  # fmt: skip
        # A file that is merely not on this node may still be on another.
        if "there is no" not in fault:
            Checkpoint.objects.filter(pk=checkpoint.pk).update(available=False)
    return None


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
