"""Pages from cold over a store of many runs, in a real Chromium: the first paint, and when a person can go on.

    python -m benchmarks.cold_page [--runs 10000] [--keys 50] [--points 20] [--repeats 5] [--lighthouse] [--json]

The runs are those of `manage.py fill_experiment`. Each repeat is a browser profile without a cache; times count from
the navigation. Usable is when what the page is for stands on it (the list of experiments; the first rows of the table
of runs) and two animation frames came in a row without a long task before them. JavaScript counts as it was sent.

`--lighthouse` adds the scores of Lighthouse, which npx fetches (Node.js), for the first page and the experiment's.
"""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.report import Report, parser
from benchmarks.site import MeasuredSite, free_port, measured_site

LIGHTHOUSE = "lighthouse@12.8.2"  # the newest for Node.js 20
GOALS = {"accessibility": 100, "performance": 90}
SECONDS = 180
# Before the page's own scripts: long tasks are told from the first one on.
WATCH = """window.busy = 0;
new PerformanceObserver((list) => { for (const each of list.getEntries()) busy = each.startTime + each.duration; })
  .observe({ type: "longtask", buffered: true });"""
QUIET = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  for (;;) {
    const before = busy;
    await frame(); await frame();
    if (busy === before) return performance.now();
  }
}"""
PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime"""
SCRIPTS = """() => performance.getEntriesByType("resource").filter((each) => each.name.endsWith(".js"))
  .reduce((sum, each) => sum + each.encodedBodySize, 0)"""


def chromium() -> str:
    found = os.environ.get("SCALEWEB_CHROMIUM") or shutil.which("chromium")
    if not found:
        raise SystemExit("no Chromium: apt-get install chromium, or set SCALEWEB_CHROMIUM to the path of one")
    return found


def fill(runs: int, keys: int, points: int) -> int:
    """The id of the experiment they are in."""
    from django.core.management import call_command

    from training.models import Experiment

    with open(os.devnull, "w") as quiet:
        call_command(
            "fill_experiment", "sweep", project="bench", runs=runs, keys=keys, points=points, stdout=quiet
        )
    return Experiment.objects.get(name="sweep").pk


def measure(
    site: MeasuredSite, pages: dict[str, tuple[str, str]], repeats: int
) -> dict[str, list[dict[str, float]]]:
    from playwright.sync_api import sync_playwright

    name, value = site.headers["Cookie"].split("=", 1)
    found: dict[str, list[dict[str, float]]] = {page: [] for page in pages}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for _ in range(repeats):
            for what, (path, there) in pages.items():
                context = browser.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
                context.add_cookies([{"name": name, "value": value, "url": site.url}])
                context.add_init_script(WATCH)
                page = context.new_page()
                page.goto(path, wait_until="commit")
                page.wait_for_selector(there, timeout=120_000)
                usable = page.evaluate(QUIET)
                found[what].append(
                    {"paint": page.evaluate(PAINT), "usable": usable, "scripts": page.evaluate(SCRIPTS)}
                )
                context.close()
        browser.close()
    return found


def scores(site: MeasuredSite, path: str) -> dict[str, tuple[int, list[str]]]:
    """Lighthouse's scores of a page by category, 0 to 100, as on a desktop, each with what it lost them on."""
    from playwright.sync_api import sync_playwright

    npx = shutil.which("npx")
    if not npx:
        raise SystemExit("Lighthouse needs Node.js 20 or newer with npx on PATH")
    name, value = site.headers["Cookie"].split("=", 1)
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        # A header would go with the page alone, not with what the page asks: the browser itself is logged in.
        browser = playwright.chromium.launch_persistent_context(
            f"{folder}/profile",
            executable_path=chromium(),
            args=["--no-sandbox", f"--remote-debugging-port={port}"],
        )
        browser.add_cookies([{"name": name, "value": value, "url": site.url}])
        into = Path(folder) / "report.json"
        command = [
            npx, "--yes", LIGHTHOUSE, site.url + path, "--quiet", "--preset=desktop", "--output=json",
            f"--output-path={into}", f"--only-categories={','.join(GOALS)}", f"--port={port}",
            "--disable-storage-reset",
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, timeout=SECONDS)
        finally:
            browser.close()
        report = json.loads(into.read_text())
    if report["finalDisplayedUrl"] != site.url + path:
        raise SystemExit(f"Lighthouse saw {report['finalDisplayedUrl']} instead of {path}")
    failed = {
        name: [
            audit["id"]
            for each in category["auditRefs"]
            if (audit := report["audits"][each["id"]])["score"] is not None
            and audit["score"] < 1
            and each["weight"]
        ]
        for name, category in report["categories"].items()
    }
    return {name: (round(each["score"] * 100), failed[name]) for name, each in report["categories"].items()}


def main() -> None:
    arguments = parser(__doc__, repeats=5)
    arguments.add_argument("--runs", type=int, default=10_000)
    arguments.add_argument("--keys", type=int, default=50)
    arguments.add_argument("--points", type=int, default=20, help="of each key of each run")
    arguments.add_argument("--lighthouse", action="store_true")
    options = arguments.parse_args()
    report = Report("cold_page", options.json)
    size = {"runs": options.runs, "keys": options.keys}
    with measured_site() as site:
        experiment = fill(options.runs, options.keys, options.points)
        pages = {
            "first page": ("/", "main table a[href^='/experiments/']"),
            "experiment's page": (f"/experiments/{experiment}", "main table a[href^='/runs/']"),
        }
        for what, found in measure(site, pages, options.repeats).items():
            middle = {name: statistics.median(each[name] for each in found) for name in found[0]}
            report.line(
                f"{what}: first contentful paint, median", middle["paint"], "ms", at_most=1000, **size
            )
            report.line(f"{what}: usable, median", middle["usable"], "ms", at_most=2000, **size)
            limit = 150 if what == "first page" else None
            report.line(f"{what}: JavaScript on the wire", middle["scripts"] / 1024, "KiB", at_most=limit)
        if options.lighthouse:
            for what, (path, _) in pages.items():
                for category, (value, failed) in scores(site, path).items():
                    note = f"lost on: {', '.join(failed)}" if failed else None
                    report.line(
                        f"{what}: Lighthouse, {category}",
                        value,
                        "of 100",
                        at_least=GOALS[category],
                        note=note,
                    )


if __name__ == "__main__":
    main()
