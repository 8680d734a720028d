"""Log call to drawn pixel: from `run.step` in a training process to the chart in a real Chromium.

    python -m benchmarks.pixel --points 60 [--json]

Starts a broker and the real site in a process of their own, a process that logs at uneven times, and a browser
on that run's page. A point counts as drawn at the animation frame after the one that drew it. All share one
clock, and the machine's cores. Also told: the JavaScript that the first page and a run's page fetch, in gzip.
"""

import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.report import Report, parser, quantile
from benchmarks.site import MeasuredSite, measured_site

LOGGER = """
import json, random, sys, time
import scaleweb_sdk
count = int(sys.argv[1])
run = scaleweb_sdk.init(capture=False)
pace = random.Random(0)
with run:
    run.step({"loss": 1.0})
    sys.stdin.readline()
    for step in range(1, count + 1):
        time.sleep(pace.uniform(0.2, 0.6))
        at = time.time()
        run.step({"loss": 1 / (step + 1)})
        print(json.dumps([step, at]), flush=True)
    sys.stdin.readline()
"""
CHART = 'section[aria-label="loss"] .canvas'
WATCH = """(selector) => {
  const chart = document.querySelector(selector);
  window.drawn = {};
  let seen = Number(chart.dataset.step);
  new MutationObserver(() => requestAnimationFrame(() => {
    const now = performance.timeOrigin + performance.now();
    const step = Number(chart.dataset.step);
    for (; seen < step; seen++) window.drawn[seen + 1] ??= now;
  })).observe(chart, { attributes: true, attributeFilter: ["data-step"] });
}"""


def measure(site: MeasuredSite, points: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    executable = os.environ.get("SCALEWEB_CHROMIUM") or shutil.which("chromium")
    if not executable:
        raise SystemExit("no Chromium: apt-get install chromium, or set SCALEWEB_CHROMIUM to the path of one")
    with tempfile.TemporaryDirectory(prefix="sw-pixel-") as folder, sync_playwright() as playwright:
        environment = {
            **os.environ,
            "SCALEWEB_URL": site.url,
            "SCALEWEB_TOKEN": site.token,
            "SCALEWEB_RUN": site.run,
            "SCALEWEB_SPOOL_DIR": folder,
        }
        logger = subprocess.Popen(
            [sys.executable, "-c", LOGGER, str(points)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert logger.stdin is not None
        assert logger.stdout is not None
        try:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            context = browser.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
            name, value = site.headers["Cookie"].split("=", 1)
            context.add_cookies([{"name": name, "value": value, "url": site.url}])
            first_page = script_bytes(context, "/")
            run_page = script_bytes(context, f"/runs/{site.run}")
            page = context.new_page()
            page.goto(f"/runs/{site.run}")
            page.wait_for_selector(CHART + '[data-step="0"]')
            page.evaluate(WATCH, CHART)
            logger.stdin.write("go\n")
            logger.stdin.flush()
            logged = dict(json.loads(logger.stdout.readline()) for _ in range(points))
            page.wait_for_selector(f'{CHART}[data-step="{points}"]')
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            drawn = {int(step): at / 1000 for step, at in page.evaluate("window.drawn").items()}
            browser.close()
        finally:
            logger.communicate("done\n", timeout=30)
    waits = [(drawn[step] - at) * 1000 for step, at in logged.items()]
    return {"waits": waits, "first_page": first_page, "run_page": run_page}


def script_bytes(context: Any, path: str) -> float:
    """KiB of JavaScript in gzip that a page fetches, as a compressing server would send it."""
    page = context.new_page()
    found: dict[str, int] = {}
    page.on(
        "response",
        lambda got: (
            found.update({got.url: len(gzip.compress(got.body()))}) if got.url.endswith(".js") else None
        ),
    )
    page.goto(path)
    page.wait_for_selector("h1")
    page.wait_for_load_state("networkidle")
    page.close()
    return sum(found.values()) / 1024


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--points", type=int, default=60)
    options = arguments.parse_args()
    with measured_site() as site:
        found = measure(site, options.points)
    report, waits = Report("pixel", options.json), found["waits"]
    for name, value, goal in (
        ("median", statistics.median(waits), 150),
        ("p99", quantile(waits, 0.99), 400),
        ("worst", max(waits), None),
    ):
        report.line(f"log call to drawn pixel, {name}", value, "ms", at_most=goal, points=options.points)
    report.line("JavaScript of the first page, gzip", found["first_page"], "KiB", at_most=150)
    report.line("JavaScript of a run's page, gzip, charts included", found["run_page"], "KiB")


if __name__ == "__main__":
    main()
