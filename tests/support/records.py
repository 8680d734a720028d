"""What must hold in the records, whatever was killed meanwhile: read after the fact, from the tables and the API.

A workload is a job of STEADY: it logs value == step, prints each step, saves a checkpoint every 50 steps and goes on
from the newest, until a file tells it to end.
"""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

# Stdlib alone, so that a start costs tenths of a second; the writes are the ones of the SDK's own checkpoints.
STEADY = """
    import hashlib, os, pathlib, sys, time, scaleweb_sdk
    told, pause = pathlib.Path(sys.argv[1]), float(sys.argv[2])
    run = scaleweb_sdk.init()
    folder = pathlib.Path(os.environ["SCALEWEB_CHECKPOINT_DIR"])
    attempt, step = os.environ["SCALEWEB_ATTEMPT"], 0
    if os.environ.get("SCALEWEB_RESUME"):
        step = int(pathlib.Path(os.environ["SCALEWEB_RESUME"]).read_text())
        run.branched(step, "resume")
    elif int(attempt) > 1:
        run.branched(0, "resume")  # the attempt before ended before its first checkpoint was known
    said = open(told / f"said-{run.code}-{attempt}", "a", buffering=1)
    while not (told / "end").exists():
        if step % 50 == 0:
            path, half = folder / f"{step}.txt", folder / f"{step}.half"
            try:
                with open(half, "w") as file:
                    file.write(str(step).zfill(4096))
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(half, path)
                run.checkpointed(str(path), step, {}, "every 50", size_bytes=4096,
                                 sha256=hashlib.sha256(path.read_bytes()).hexdigest())
            except OSError as error:
                half.unlink(missing_ok=True)
                print(f"{attempt}: no checkpoint at {step}: {error.strerror}", flush=True)
        run.step({"value": float(step)}, step=step)
        print(f"{attempt}: step {step}", flush=True)
        said.write(f"{step}\\n")
        step += 1
        time.sleep(pause)
    (told / f"steps-{run.code}-{attempt}").write_text(str(step))
    run.finish()
"""


def two_live_attempts(rows: Any) -> list[str]:
    """Jobs with two attempts in their time at once; those that have ended by now too. rows: of the database."""
    found = rows(
        "select a.job_id, a.number, b.number from training_attempt a join training_attempt b on a.job_id = b.job_id "
        "and a.number < b.number where coalesce(a.ended_at, 'infinity') > b.created_at"
    )
    return [f"job {job}: attempt {first} was alive when {second} began" for job, first, second in found]


def devices_kept(rows: Any) -> list[str]:
    found = rows(
        "select l.device_id, l.attempt_id from training_devicelease l join training_attempt a on a.id = l.attempt_id "
        "where a.ended_at is not null"
    )
    return [
        f"device {device} is still leased to attempt {attempt}, which is over" for device, attempt in found
    ]


def open_ends(rows: Any) -> list[str]:
    """Jobs whose state and whose run's say different things, once nothing runs any more."""
    legal = {"done": {"finished"}, "failed": {"failed", "lost"}, "stopped": {"stopped"}}
    found = rows("select j.code, j.state, r.state from training_job j join training_run r on r.id = j.run_id")
    return [
        f"job {code} is {job} and its run {run}"
        for code, job, run in found
        if run not in legal.get(job, set())
    ]


def torn_checkpoints(rows: Any) -> list[str]:
    """Checkpoints that the site would go on from, and whose file is not what was registered."""
    wrong = []
    for path, size, sha256 in rows(
        "select path, size_bytes, sha256 from training_checkpoint where available"
    ):
        if not Path(path).exists():
            wrong.append(f"{path} is registered, and is not there")
            continue
        data = Path(path).read_bytes()
        if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
            wrong.append(f"{path} has {len(data)} bytes and is not what was registered with {size}")
    return wrong


def lost_points(api: Any, run: str, folder: Path) -> list[str]:
    """Steps of the line that led to the end which are missing, or there twice, by branch."""
    # The newest attempt's word: one that was cut off and given up comes to its own end as well, and later.
    said = folder.glob(f"steps-{run}-*")
    newest = max(said, key=lambda path: int(path.name.rpartition("-")[2]), default=folder / f"steps-{run}")
    steps = int(newest.read_text())
    if steps == 0 and api.get(f"runs/{run}")["last_step"] is None:
        return []  # it was told to end before its first step, and an export of no key is refused
    found: dict[int, Counter[int]] = {}
    for line in api.text(f"runs/{run}/export?format=jsonl&keys=value").splitlines():
        point = json.loads(line)
        if point["value"] != point["step"]:
            return [f"run {run}: step {point['step']} has the value {point['value']}"]
        found.setdefault(point["branch"], Counter())[point["step"]] += 1
    begins = {branch["index"]: branch["from_step"] for branch in api.get(f"runs/{run}")["branches"]}
    wrong, end = [], steps
    for branch in sorted(begins, reverse=True):
        begin = begins[branch]
        there = found.get(branch, Counter())
        missing = [step for step in range(begin, end) if not there[step]]
        if missing:
            wrong.append(
                f"run {run}, branch {branch}: of steps {begin}..{end} are missing {len(missing)}: {missing[:9]}"
            )
        twice = [step for step, count in there.items() if count > 1]
        if twice:
            wrong.append(f"run {run}, branch {branch}: stored twice: {twice[:10]}")
        end = min(end, begin)
    return wrong


def lost_lines(api: Any, run: str, attempts: list[Path]) -> list[str]:
    """Lines that an attempt printed and the site has not got. A line may be there twice: its supervisor was killed."""
    kept: set[str] = set()
    start = 0
    while True:
        page = api.get(f"runs/{run}/logs?start={start}&count=1000")
        kept |= {text for _, _, text in page["lines"]}
        start = page["first_line"] + len(page["lines"])
        if not page["lines"] or start >= page["total"]:
            break
    wrong = []
    for folder in attempts:
        if not (folder / "stdout.log").exists():
            continue  # it could not be started: its disk was full
        printed = (folder / "stdout.log").read_bytes()
        # Up to the last line break: what comes after was cut off with the process.
        whole = printed[: printed.rfind(b"\n") + 1].decode(errors="replace").splitlines()
        missing = [line for line in whole if line and line not in kept and not re.match(r"^\0+$", line)]
        if missing:
            wrong.append(f"{folder.name}: {len(missing)} lines of {len(whole)} are not there: {missing[:5]}")
    return wrong
