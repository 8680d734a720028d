"""Scrolling a table of 10,000 runs in a real Chromium: frames a second, and how long it waits for rows.

    python -m benchmarks.run_table [--runs 10000] [--seconds 6] [--repeats 3] [--json]

The runs are those of `run_list` (12 metrics and 10 settings each), the table stands alone on the page at 1440 x 900. It
is scrolled by script so many rows at each animation frame, which is what a wheel or finger does to the page: slowly as
one reads (2 rows a frame), and fast as one looks for the end (20 rows a frame). Rows are read page by page as they come
into view; the first way down meets rows that are not here yet, the later ones do not.
"""

import itertools
import os
import shutil
import statistics
from typing import Any

from benchmarks.report import Report, parser, quantile
from benchmarks.run_list import fill
from benchmarks.site import measured_site

# Told by the page itself: when each frame came, in how many of them a row in view was still awaited, long tasks.
SCROLL = """async ([rows, seconds]) => {
  const body = document.querySelector(".body");
  const tasks = [];
  const watch = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration)));
  watch.observe({ type: "longtask" });
  const times = [];
  let waited = 0, way = 1;
  const end = performance.now() + seconds * 1000;
  await new Promise((done) => {
    const frame = (now) => {
      times.push(now);
      const box = body.getBoundingClientRect();
      const waiting = [...body.querySelectorAll("tr.waits")].some((row) => {
        const at = row.getBoundingClientRect();
        return at.bottom > box.top && at.top < box.bottom;
      });
      if (waiting) waited++;
      const before = body.scrollTop;
      body.scrollTop += way * rows * 36;
      if (body.scrollTop === before) way = -way;
      if (now < end) requestAnimationFrame(frame); else done();
    };
    requestAnimationFrame(frame);
  });
  watch.disconnect();
  return { times, waited, tasks };
}"""
JUMP = """async () => {
  const body = document.querySelector(".body");
  const start = performance.now();
  body.scrollTop = body.scrollHeight;
  for (;;) {
    await new Promise(requestAnimationFrame);
    const count = document.querySelector("table").getAttribute("aria-rowcount");
    const last = document.querySelector(`tr[aria-rowindex="${count}"]`);
    if (last && !document.querySelector("tr.waits")) return performance.now() - start;
  }
}"""


def frames(told: dict[str, Any]) -> tuple[float, float]:
    """(frames a second over the whole, the 95th percentile of the time between two, in ms)."""
    times = told["times"]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    return 1000 * len(gaps) / (times[-1] - times[0]), quantile(gaps, 0.95)


def measure(site: Any, experiment: int, runs: int, seconds: float, repeats: int) -> dict[str, list[Any]]:
    from playwright.sync_api import sync_playwright

    executable = os.environ.get("SCALEWEB_CHROMIUM") or shutil.which("chromium")
    if not executable:
        raise SystemExit("no Chromium: apt-get install chromium, or set SCALEWEB_CHROMIUM to the path of one")
    found: dict[str, list[Any]] = {"first": [], "end": [], "slow": [], "fast": [], "cold": []}
    name, value = site.headers["Cookie"].split("=", 1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for _ in range(repeats):
            context = browser.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
            context.set_default_timeout(120_000)
            context.add_cookies([{"name": name, "value": value, "url": site.url}])
            page = context.new_page()
            page.goto(f"/experiments/{experiment}?layout=table", wait_until="commit")
            page.wait_for_selector("tr[aria-rowindex='20']")
            found["first"].append(page.evaluate("performance.now()"))
            page.wait_for_selector(f"table[aria-rowcount='{runs + 1}']")
            found["cold"].append(page.evaluate(SCROLL, [20, seconds]))
            found["end"].append(page.evaluate(JUMP))
            found["slow"].append(page.evaluate(SCROLL, [2, seconds]))
            found["fast"].append(page.evaluate(SCROLL, [20, seconds]))
            context.close()
        browser.close()
    return found


def main() -> None:
    arguments = parser(__doc__, repeats=3)
    arguments.add_argument("--runs", type=int, default=10_000)
    arguments.add_argument("--seconds", type=float, default=6.0, help="of each way of scrolling")
    options = arguments.parse_args()
    with measured_site() as site:
        experiment = fill(options.runs)
        found = measure(site, experiment, options.runs, options.seconds, options.repeats)
    report = Report("run_table", options.json)
    count = f"{options.runs:,} runs"
    report.line(
        f"table of {count}, rows drawn from cold, median",
        statistics.median(found["first"]),
        "ms",
        repeats=options.repeats,
    )
    for kind, words in (
        ("slow", "2 rows a frame"), ("fast", "20 rows a frame"), ("cold", "20 rows a frame, rows not here yet"),
    ):  # fmt: skip
        told = [frames(each) for each in found[kind]]
        report.line(
            f"scrolling {count}, {words}",
            statistics.median(rate for rate, _ in told),
            "frames/s",
            at_least=55,
        )
        report.line(
            "of it the 95th percentile between frames", statistics.median(late for _, late in told), "ms"
        )
        tasks = [sum(task > 50 for task in each["tasks"]) for each in found[kind]]
        report.line("of it tasks over 50 ms", statistics.median(tasks), "tasks")
    waited = [each["waited"] / len(each["times"]) for each in found["cold"]]
    report.line(
        "share of frames with a row awaited, the first way down", statistics.median(waited) * 100, "%"
    )
    report.line(f"to the last of {count} by the scroll bar", statistics.median(found["end"]), "ms")


if __name__ == "__main__":
    main()
