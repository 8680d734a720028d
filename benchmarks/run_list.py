"""Many runs listed, sorted and narrowed over the API, and what the web process weighs then.

    python -m benchmarks.run_list [--runs 10000] [--repeats 9] [--json]

Every run has 12 metrics and 10 settings, in one experiment. A time is that of the whole answer over one kept
connection on the same machine, page of 100: what the server needs, and a little more.
"""

import statistics
import time
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.report import Report, parser
from benchmarks.site import MeasuredSite, measured_site

OPTIMIZERS = ("adam", "sgd", "lion")


def fill(count: int) -> int:
    """The id of the experiment they are in."""
    from training.models import Experiment, Project, Run

    experiment = Experiment.objects.create(
        project=Project.objects.get(slug="bench"), slug="sweep", name="sweep", goal_metric="val/loss"
    )
    dice = np.random.default_rng(2)
    Run.objects.bulk_create(
        (
            Run(
                experiment=experiment,
                name=f"sweep {number}",
                state="finished",
                last_step=int(dice.integers(1000, 100_000)),
                tags=["sweep", f"group{number % 7}"],
                config={
                    "lr": float(10 ** dice.uniform(-5, -1)),
                    "optimizer": OPTIMIZERS[number % 3],
                    "model": {"depth": number % 12, "width": 64, "heads": 4},
                    "seed": number,
                    "data": "digits",
                    "batch_size": 32,
                    "epochs": 10,
                    "note": "a sentence on what this run was for",
                },
                summary={"val/loss": float(dice.exponential()), "loss": float(dice.exponential())}
                | {f"metric{key}": float(value) for key, value in enumerate(dice.random(10))},
                process={"hostname": "node", "argv": ["python", "train.py", "--seed", str(number)]},
            )
            for number in range(count)
        ),
        batch_size=1000,
    )
    return experiment.pk


class Lists:
    """Asks, over one kept connection."""

    def __init__(self, site: MeasuredSite, experiment: int, repeats: int):
        headers = {"Authorization": f"Bearer {site.user_token}"}
        self.client = httpx.Client(base_url=site.url, headers=headers, timeout=60)
        self.experiment, self.repeats = experiment, repeats

    def ask(self, address: str = "/api/v1/runs", **query: Any) -> dict[str, Any]:
        answer = self.client.get(address, params={"experiment": self.experiment, **query} if query else None)
        answer.raise_for_status()
        page: dict[str, Any] = answer.json()
        assert page["results"], "nothing was found"
        return page

    def milliseconds(self, address: str = "/api/v1/runs", **query: Any) -> float:
        taken = []
        for _ in range(self.repeats):
            start = time.perf_counter()
            self.ask(address, **query)
            taken.append(time.perf_counter() - start)
        return statistics.median(taken) * 1000


def measure(report: Report, site: MeasuredSite, count: int, repeats: int) -> None:
    lists = Lists(site, fill(count), repeats)
    loss, narrow = "metric:val/loss", ["name", "state", "metric:val/loss", "config:lr", "config:model.depth"]
    for name, query in (
        ("newest first", {"limit": 100}),
        ("search", {"limit": 100, "search": "sweep 77"}),
        ("sorted by a metric", {"limit": 100, "sort": loss}),
        ("sorted by a setting, greatest first", {"limit": 100, "sort": "-config:model.depth"}),
        (
            "narrowed by setting and metric, sorted by a metric",
            {"limit": 100, "sort": loss, "where": ["config:optimizer = adam", "metric:loss < 0.5"]},
        ),
        ("sorted by a metric, 5 columns", {"limit": 100, "sort": loss, "column": narrow}),
    ):
        value = lists.milliseconds(**query)
        report.line(f"first page of {count:,} runs, {name}", value, "ms", at_most=100, repeats=repeats)
    page: dict[str, Any] = lists.ask(limit=100, sort=loss)
    for _ in range(min(count // 100, 50) - 1):
        page = lists.ask(page["next"]) if page["next"] else page
    if page["previous"]:
        deep = lists.milliseconds(page["previous"])
        report.line(f"a page in the middle of {count:,} runs, sorted by a metric", deep, "ms", at_most=100)
    start, seen = time.perf_counter(), 0
    page = lists.ask(limit=1000, sort=loss, column=narrow)
    while True:
        seen += len(page["results"])
        if not page["next"]:
            break
        page = lists.ask(page["next"])
    assert seen == count, f"{seen} of {count} runs came"
    report.line(f"all {count:,} runs x 5 columns, pages of 1,000", (time.perf_counter() - start) * 1000, "ms")
    resident = psutil.Process(site.pid).memory_info().rss / 1e6
    report.line(f"web process with {count:,} runs, resident", resident, "MB", at_most=300)


def main() -> None:
    arguments = parser(__doc__, repeats=9)
    arguments.add_argument("--runs", type=int, default=10_000)
    options = arguments.parse_args()
    with measured_site() as site:
        measure(Report("run_list", options.json), site, options.runs, options.repeats)


if __name__ == "__main__":
    main()
