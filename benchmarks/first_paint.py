"""An experiment's page from cold to its charts drawn, in a real Chromium: 30 panels of 20 runs.

    python -m benchmarks.first_paint [--runs 20] [--keys 30] [--points 10000] [--repeats 7] [--json]

Each run logs every key at every step, through the store's own writer, and all of it is compacted. Each repeat is a
browser profile without a cache; the clock starts with the navigation. A chart counts as drawn at the animation frame
after the one that drew it. The first repeat stands alone too: there the server is as cold as the browser.
"""

import os
import shutil
import statistics
from typing import Any

import numpy as np

from benchmarks.report import Report, parser
from benchmarks.site import MeasuredSite, measured_site

POINTS_A_BATCH = 500
GROUPS = ("", "val/", "layer/")

# Told before the page's own scripts run: when charts were drawn, and how much was asked for.
WATCH = """
window.drawn = [];
new MutationObserver((changes) => {
  const fresh = changes.filter((change) => change.oldValue === null).length;
  if (fresh) requestAnimationFrame(() => { for (let i = 0; i < fresh; i++) drawn.push(performance.now()); });
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-points"], attributeOldValue: true });
new PerformanceObserver(() => {}).observe({ type: "resource", buffered: true });
"""
IN_VIEW = """() => [...document.querySelectorAll(".canvas")].filter((each) => {
  const box = each.getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight;
})"""
DONE = f"""() => {{
  const seen = ({IN_VIEW})();
  return seen.length > 0 && seen.every((each) => Number(each.dataset.points) > 0);
}}"""
TOLD = f"""() => ({{
  drawn,
  view: ({IN_VIEW})().length,
  points: ({IN_VIEW})().reduce((sum, each) => sum + Number(each.dataset.points), 0),
  reads: performance.getEntriesByType("resource").filter((each) => each.name.endsWith("/series/read"))
    .map((each) => ({{ start: each.startTime, end: each.responseEnd, server: each.responseStart - each.requestStart,
      bytes: each.encodedBodySize }})),
  asked: performance.getEntriesByType("resource").length,
  html: performance.getEntriesByType("navigation")[0].responseEnd,
}})"""


def keys_of(count: int) -> list[str]:
    return [f"{GROUPS[number % len(GROUPS)]}metric{number:02}" for number in range(count)]


def fill(runs: int, keys: list[str], points: int) -> int:
    """The id of the experiment that they are in."""
    from monitoring.storage import series
    from monitoring.storage.compact import compact
    from scaleweb_sdk.protocol import Batch, Column
    from training.models import Experiment, Project, Run

    project = Project.objects.get(slug="bench")
    experiment = Experiment.objects.create(project=project, slug="sweep", name="sweep", goal_metric=keys[0])
    dice = np.random.default_rng(5)
    for number in range(runs):
        run = Run.objects.create(
            experiment=experiment, name=f"sweep {number}", state="finished", last_step=points - 1,
            config={"lr": float(10 ** dice.uniform(-5, -1)), "seed": number, "model": {"depth": 12, "width": 64}},
            summary={key: float(value) for key, value in zip(keys, dice.random(len(keys)), strict=True)},
            branches=[{"index": 0, "from_step": 0, "reason": "start"}],
        )  # fmt: skip
        level = dice.uniform(0.5, 2)
        waiting = []
        for seq, first in enumerate(range(0, points, POINTS_A_BATCH), 1):
            steps = np.arange(first, min(first + POINTS_A_BATCH, points))
            times = (1.75e9 + steps * 0.1).tolist()
            values = level * np.exp(-steps / points * 4) + dice.normal(0, 0.05, (len(keys), len(steps)))
            columns = [
                Column(key, steps.tolist(), times, row.tolist())
                for key, row in zip(keys, values, strict=True)
            ]
            waiting.append(series.writer().submit(run.source, "s" * 32, Batch(seq, columns=columns)))
        for future in waiting:
            future.result(60)
        compact(60.0, run.source)
    return experiment.pk


def measure(site: MeasuredSite, experiment: int, codes: list[str], repeats: int) -> list[dict[str, Any]]:
    from playwright.sync_api import sync_playwright

    executable = os.environ.get("SCALEWEB_CHROMIUM") or shutil.which("chromium")
    if not executable:
        raise SystemExit("no Chromium: apt-get install chromium, or set SCALEWEB_CHROMIUM to the path of one")
    found = []
    name, value = site.headers["Cookie"].split("=", 1)
    # All runs are drawn, not only the first ten: a person who chose them before finds them so.
    choice = f"localStorage.setItem('scaleweb.drawn.{experiment}', JSON.stringify({codes!r}))"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for _ in range(repeats):
            context = browser.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
            context.set_default_timeout(120_000)
            context.add_cookies([{"name": name, "value": value, "url": site.url}])
            context.add_init_script(WATCH + choice)
            page = context.new_page()
            page.goto(f"/experiments/{experiment}", wait_until="commit")
            page.wait_for_function(DONE)
            page.wait_for_function("view => drawn.length >= view", arg=page.evaluate(TOLD)["view"])
            found.append(page.evaluate(TOLD))
            context.close()
        browser.close()
    return found


def main() -> None:
    arguments = parser(__doc__, repeats=7)
    arguments.add_argument("--runs", type=int, default=20)
    arguments.add_argument("--keys", type=int, default=30)
    arguments.add_argument("--points", type=int, default=10_000, help="of each key of each run")
    options = arguments.parse_args()
    with measured_site() as site:
        experiment = fill(options.runs, keys_of(options.keys), options.points)
        from training.models import Run

        codes = list(Run.objects.filter(experiment=experiment).values_list("code", flat=True))
        found = measure(site, experiment, codes, options.repeats)
    report = Report("first_paint", options.json)
    size = {"panels": options.keys, "runs": options.runs, "points_a_series": options.points}
    whole = [sorted(each["drawn"])[each["view"] - 1] for each in found]
    middle = lambda values: statistics.median(values)  # noqa: E731
    report.line(
        "experiment's page from cold, every chart in view drawn, median", middle(whole), "ms",
        at_most=1000, repeats=len(whole), **size,
    )  # fmt: skip
    report.line("the same, the server cold too", whole[0], "ms")
    report.line("the same, worst", max(whole), "ms")
    report.line("first chart drawn, median", middle([min(each["drawn"]) for each in found]), "ms")
    report.line("of it until the page's HTML", middle([each["html"] for each in found]), "ms")
    report.line(
        "of it until series are asked for", middle([each["reads"][0]["start"] for each in found]), "ms"
    )
    report.line("of it until series are read", middle([each["reads"][-1]["end"] for each in found]), "ms")
    report.line(
        "server's part of the first read", middle([each["reads"][0]["server"] for each in found]), "ms"
    )
    report.line("reads of series", middle([len(each["reads"]) for each in found]), "requests")
    report.line(
        "columns on the wire",
        middle([sum(r["bytes"] for r in each["reads"]) for each in found]) / 1024,
        "KiB",
    )
    report.line("charts in view", middle([each["view"] for each in found]), "charts")
    report.line("requests in all", middle([each["asked"] for each in found]), "requests")


if __name__ == "__main__":
    main()
