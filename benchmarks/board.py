"""An experiment's page live: 30 panels of 20 runs, each at 10 messages a second, and what a person feels of it.

    python -m benchmarks.board [--runs 20] [--keys 30] [--messages 10] [--seconds 30] [--json]
    python -m benchmarks.board --soak 8 --messages 1      # eight hours of messages, as fast as the page takes them

Each run has a history in the store; then each run's messages, all of its keys in each, are published to the broker as
the link publishes them, and the browser gets them over the site's own websocket. The page is scrolled to and fro and
keys are pressed meanwhile. Told: how long an input waits for the frame that shows it (Event Timing, from 16 ms on, so
at most 16 where none is told), tasks over 50 ms after the page has loaded, and frames. The soak sends what so many
hours of live view bring and reads the tab's heap, after a collection, at the start and at the end.
"""

import json
import os
import shutil
import threading
import time
from itertools import pairwise
from typing import Any

from benchmarks.first_paint import DONE, fill, keys_of
from benchmarks.report import Report, parser, quantile
from benchmarks.site import MeasuredSite, measured_site

# Told before the page's own scripts run.
WATCH = """
window.seen = { inputs: [], long: [], frames: [] };
const hear = (options, into) => new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) into.push([entry.startTime, entry.duration]);
}).observe(options);
hear({ type: "event", durationThreshold: 16 }, seen.inputs);
hear({ type: "longtask", buffered: true }, seen.long);
(function frame(at) { seen.frames.push(at); requestAnimationFrame(frame); })(0);
"""
DRAWN = "Math.max(...[...document.querySelectorAll('.canvas')].map((each) => Number(each.dataset.step ?? 0)))"
CLEAR = "() => { seen.inputs.length = seen.long.length = seen.frames.length = 0; }"


class Messages(threading.Thread):
    """Publishes what the link would: a frame a run, its keys' next step, so many times a second."""

    def __init__(self, broker: str, codes: list[str], keys: list[str], first_step: int, pause: float):
        super().__init__(daemon=True)
        import redis

        self.client = redis.Redis.from_url(broker, socket_timeout=30)
        self.codes, self.keys, self.step, self.pause = codes, keys, first_step, pause
        self.sent = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        due = time.monotonic()
        while not self.stopped.is_set():
            self.once()
            due += self.pause
            self.stopped.wait(max(0.0, due - time.monotonic()))

    def once(self) -> None:
        pipe = self.client.pipeline(transaction=False)
        for code in self.codes:
            at = [1.75e9 + self.step * 0.1]
            columns = {
                key: {"step": [self.step], "time": at, "value": [0.5 + (self.step * 7 + number) % 97 / 500]}
                for number, key in enumerate(self.keys)
            }
            frame = {"type": "points", "branch": 0, "columns": columns}
            pipe.publish(f"sw:live:run:{code}", json.dumps(frame))
        pipe.execute()
        self.step += 1
        self.sent += len(self.codes)


def opened(playwright: Any, site: MeasuredSite, experiment: int, codes: list[str]) -> tuple[Any, Any]:
    executable = os.environ.get("SCALEWEB_CHROMIUM") or shutil.which("chromium")
    if not executable:
        raise SystemExit("no Chromium: apt-get install chromium, or set SCALEWEB_CHROMIUM to the path of one")
    browser = playwright.chromium.launch(
        executable_path=executable, args=["--no-sandbox", "--enable-precise-memory-info"]
    )
    context = browser.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(120_000)
    name, value = site.headers["Cookie"].split("=", 1)
    context.add_cookies([{"name": name, "value": value, "url": site.url}])
    choice = f"localStorage.setItem('scaleweb.drawn.{experiment}', JSON.stringify({codes!r}));"
    layout = "localStorage.setItem('scaleweb.layout', JSON.stringify('charts'));"
    context.add_init_script(WATCH + choice + layout)
    page = context.new_page()
    page.goto(f"/experiments/{experiment}", wait_until="commit")
    page.wait_for_function(DONE)
    page.wait_for_load_state("networkidle")
    return browser, page


def used(page: Any) -> float:
    """MiB that the tab holds after a collection: its heap, and the arrays and elements beside it."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.collectGarbage")
    told = devtools.send("Runtime.getHeapUsage")
    found = (
        sum(told.get(part, 0) for part in ("usedSize", "backingStorageSize", "embedderHeapUsedSize")) / 2**20
    )
    devtools.detach()
    return float(found)


def reached(page: Any, step: int, patience: float = 120) -> None:
    page.wait_for_function(
        "step => [...document.querySelectorAll('.canvas')].some((each) => Number(each.dataset.step) >= step)",
        arg=step,
        timeout=1000 * patience,
    )


def busy(devtools: Any) -> float:
    """CPU seconds that the page's main thread has worked."""
    found = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    return float(found["TaskDuration"])


def felt(page: Any, messages: Messages, seconds: float) -> dict[str, Any]:
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    messages.start()
    reached(page, messages.step + 1)
    page.wait_for_timeout(3000)  # what the first messages compile is the loading's, not the living's
    page.evaluate(CLEAR)
    sent, began, worked = messages.sent, time.monotonic(), busy(devtools)
    number = 0
    while time.monotonic() - began < seconds:
        number += 1
        page.keyboard.press("Tab" if number % 2 else "ArrowRight")
        page.mouse.move(400 + number % 700, 400 + number % 300)
        if number % 10 == 0:
            page.mouse.wheel(0, 600 if number % 20 else -600)
        page.wait_for_timeout(100)
    found: dict[str, Any] = page.evaluate("seen")
    found["busy"] = (busy(devtools) - worked) / (time.monotonic() - began)
    found["messages"] = (messages.sent - sent) / (time.monotonic() - began)
    found["drawn"] = int(page.evaluate(DRAWN))
    found["step"] = messages.step
    messages.stopped.set()
    messages.join()
    return found


def tell_felt(report: Report, found: dict[str, Any], size: dict[str, Any]) -> None:
    waits = [duration for _, duration in found["inputs"]] or [16.0]
    long = [duration for _, duration in found["long"]]
    frames = found["frames"]
    apart = [later - earlier for earlier, later in pairwise(frames)] or [0.0]
    report.line("input to the frame that shows it, worst", max(waits), "ms", at_most=100, **size)
    report.line("input to the frame that shows it, p95 of those over 16 ms", quantile(waits, 0.95), "ms")
    report.line("longest task after load", max(long, default=0.0), "ms", at_most=50)
    report.line("tasks over 50 ms after load", len(long), "tasks", at_most=0)
    report.line("CPU of the page's main thread", found["busy"] * 100, "% of a core")
    report.line("frames a second", 1000 / (sum(apart) / len(apart)) if sum(apart) else 0.0, "frames/s")
    report.line("messages a second that were sent", found["messages"], "messages/s")
    report.line("steps that the picture is behind at the end", found["step"] - found["drawn"], "steps")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=20)
    arguments.add_argument("--keys", type=int, default=30)
    arguments.add_argument("--points", type=int, default=10_000, help="of each key of each run, before")
    arguments.add_argument("--messages", type=float, default=10, help="a second, of each run")
    arguments.add_argument("--seconds", type=float, default=30)
    arguments.add_argument(
        "--soak", type=float, default=0, help="hours of messages, sent as fast as they are drawn"
    )
    options = arguments.parse_args()
    keys = keys_of(options.keys)
    from playwright.sync_api import sync_playwright

    with measured_site() as site:
        from training.models import Run

        experiment = fill(options.runs, keys, options.points)
        rows = Run.objects.filter(experiment=experiment)
        rows.update(state="running")  # live points are asked for of runs that may still send some
        codes = list(rows.values_list("code", flat=True))
        messages = Messages(site.broker_url, codes, keys, options.points, 1 / options.messages)
        size = {
            "panels": options.keys,
            "runs": options.runs,
            "messages_a_second": options.messages * options.runs,
        }
        report = Report("board_soak" if options.soak else "board", options.json)
        with sync_playwright() as playwright:
            browser, page = opened(playwright, site, experiment, codes)
            if options.soak:
                soak(report, page, messages, options.soak, size)
            else:
                tell_felt(report, felt(page, messages, options.seconds), size)
            browser.close()


def live(page: Any, messages: Messages, steps: int) -> None:
    """So many steps of each run, as fast as the page draws them."""
    from playwright.sync_api import TimeoutError

    for number in range(steps):
        messages.once()
        if number % 20 < 19 and number < steps - 1:
            continue
        while True:
            try:
                reached(page, messages.step - 1, patience=3)
                break
            except TimeoutError:
                # The queue of a viewer is bounded, and what it drops is read again: these steps are not in the store.
                messages.once()


def soak(report: Report, page: Any, messages: Messages, hours: float, size: dict[str, Any]) -> None:
    """`hours` at the asked pace, as fast as the page draws them; the first hundred steps are its warming up."""
    live(page, messages, 100)
    page.wait_for_timeout(1000)
    before, began = used(page), time.monotonic()
    steps = int(hours * 3600 / messages.pause)
    live(page, messages, steps)
    page.wait_for_timeout(2000)
    after = used(page)
    report.line(
        f"what the tab holds after {hours:g} hours of live view, growth",
        after - before,
        "MiB",
        at_most=50,
        **size,
    )
    report.line("what the tab holds before", before, "MiB")
    report.line("messages", steps * len(messages.codes), "messages")
    report.line("sped up by", hours * 3600 / (time.monotonic() - began), "times")


if __name__ == "__main__":
    main()
