"""What happened on the site before its pictures are taken: trainings, a rescue, a queue, alerts."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .site import TOP, Site, until

DIGITS = "Digits, width and rate"
NOTES = "Does a wider hidden layer learn faster, and at which rate? Each pair twice, from another seed."
WRITTEN = """## What was learned

A rate of **0.5** is fastest for both widths, and its gradient stays below 3: see `grad_norm`.

| width | rate | accuracy |
| ---: | ---: | ---: |
| 32 | 0.5 | 0.953 |
| 128 | 0.5 | 0.961 |

- [x] each pair from two seeds
- [ ] a rate of 1 with warm-up
"""
LIVE = "wide, left to train"
# A rate at which nothing can be learned, long enough for the controller to mend it and to go on while it is looked at.
RESCUED = ("rate far too high", "--lr", "1", "--steps", "8000")
WAITING = (("rate 0.05", "0.05", 5), ("rate 0.02", "0.02", 0), ("rate 0.01, longer", "0.01", 0))


@dataclass
class Story:
    sweep: int
    rescue: int
    runs: list[str]  # codes of the sweep's, the newest first
    live: str
    rescued: str
    whole: str  # one that ended, with everything it can have
    link: str  # what opens a view without an account


def tell(site: Site) -> Story:
    sweep = site.post(
        "experiments", project="default", name=DIGITS, notes=NOTES,
        goal_metric="val/accuracy", goal_direction="max", goal_target=0.96,
    )["id"]  # fmt: skip
    rescue = site.post(
        "experiments", project="default", name="Digits, rescued", notes="One rate far too high, under the controller.",
        goal_metric="val/accuracy", goal_direction="max", goal_target=0.97,
    )["id"]  # fmt: skip
    site.send("PATCH", f"experiments/{rescue}/controller", {"mode": "act"})
    rescued = job(site, rescue, *RESCUED)
    fleet(site)
    trained = [
        (f"width {width}, rate {rate}", "--lr", rate, "--width", width, "--seed", seed)
        for width in ("32", "128")
        for rate in ("0.02", "0.1", "0.5")
        for seed in ("1", "2")
    ]
    for at in range(0, len(trained), 3):  # no more at once than a small machine can take
        begun = [start(site, *arguments, "--pause", "0.01") for arguments in trained[at : at + 3]]
        for process in begun:
            if process.wait(120):
                raise SystemExit(f"a training ended with {process.returncode}; see {site.home / 'trained'}")
    start(site, "labels out of range", "--lr", "0.1", "--width", "64", "--epochs", "7", "--crash").wait(120)
    site.trainings.append(
        start(site, LIVE, "--lr", "0.05", "--width", "128", "--epochs", "400", "--pause", "0.04")
    )
    for name, rate, priority in WAITING:
        job(site, rescue, name, "--lr", rate, "--steps", "3000", priority=priority)
    site.post("nodes/gpu-01/cordon")  # so that a job waits for it, and says why
    site.post(
        "jobs", experiment=sweep, name="eight GPUs on one host", argv=["python", "train.py"],
        device_kind="gpu", min_devices=8, max_devices=8,
    )  # fmt: skip
    rows = until(lambda: listed(site, sweep, len(trained) + 3), "the runs of the sweep")
    live = next(run["code"] for run in rows if run["name"] == LIVE)
    site.post(f"runs/{live}/commands", verb="set", tunable="lr", value=0.03, reason="the loss is noisy")
    site.post(f"runs/{live}/commands", verb="action", tunable="evaluate now")
    site.post(
        f"runs/{live}/schedules", tunable="lr", shape="repeat", at_step=6000, factor=0.5, every=1000,
        until_step=9000, reason="the usual decay",
    )  # fmt: skip
    until(lambda: site.get(f"runs/{rescued}/decisions")["results"], "a decision of the controller", 240)
    codes = [run["code"] for run in rows if run["name"].startswith("width")]
    site.send("PATCH", f"runs/{codes[0]}", {"notes": WRITTEN})
    return Story(sweep, rescue, codes, live, rescued, codes[0], shared_link(site, sweep, codes[:6]))


def shared_link(site: Site, experiment: int, drawn: list[str]) -> str:
    shown = ("state", "metric:val/accuracy", "metric:loss", "config:lr", "config:model.width")
    table = {"sort": "-metric:val/accuracy", "columns": [{"id": column} for column in shown]}
    state = {"version": 1, "layout": "both", "table": table, "drawn": drawn}
    view = site.post(f"experiments/{experiment}/views", name="Width against rate", state=state, shared=True)
    return str(site.post(f"views/{view['code']}/links")["token"])


def listed(site: Site, experiment: int, count: int) -> list[dict]:  # type: ignore[type-arg]
    rows = site.get(f"runs?experiment={experiment}&limit=100")["results"]
    return (
        rows
        if len(rows) >= count - 1 and any(row["name"] == LIVE and row["last_step"] for row in rows)
        else []
    )


def job(site: Site, experiment: int, name: str, *arguments: str, priority: int = 0) -> str:
    answer = site.post(
        "jobs", experiment=experiment, name=name, cwd=str(TOP), priority=priority, max_retries=1,
        argv=["python", "-m", "training.trainers.cnn", *arguments],
    )  # fmt: skip
    return str(answer["run"]["code"] if isinstance(answer["run"], dict) else answer["run"])


def start(site: Site, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    folder = site.home / "trained"
    folder.mkdir(exist_ok=True)
    environment = os.environ | {
        "SCALEWEB_URL": site.url,
        "SCALEWEB_TOKEN": site.token,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "scripts.pictures.trained", name, *arguments, "--folder", str(folder)]
    with Path(folder / "out.log").open("ab") as out:
        return subprocess.Popen(command, cwd=TOP, env=environment, stdout=out, stderr=out)


def fleet(site: Site) -> None:
    environment = os.environ | {"SCALEWEB_HOME": str(site.home)}
    folder = site.home / "fleet"
    folder.mkdir()
    with (folder / "out.log").open("wb") as out:
        site.trainings.append(
            subprocess.Popen(
                [sys.executable, "-m", "scripts.pictures.fleet", site.url, str(folder)],
                cwd=TOP,
                env=environment,
                stdout=out,
                stderr=out,
            )
        )
