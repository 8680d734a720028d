"""An experiment's page live: 30 panels of 20 runs, each at 10 messages a second, and what a person feels of it.

    python -m benchmarks.board [--runs 20] [--keys 30] [--messages 10] [--seconds 30] [--json]
    python -m benchmarks.board --soak 8 --messages 1      # eight hours of messages, as fast as the page takes them

Each run has a history in the store; then each run's messages, all of its keys in each, are published to the broker as
the link publishes them, and the browser gets them over the site's own websocket. The page is scrolled to and fro and
keys are pressed on its charts meanwhile. Told: how long an input waits for the frame that shows it (Event Timing, from
16 ms on, so at most 16 where none is told), tasks over 50 ms after the page has loaded, and frames. The soak sends what
so many hours of live view bring, as fast as the page takes in every message of it, and reads what the tab holds, after
a collection, at the start and at the end. Both end with an error where the page is no longer that with all its charts.
"""

import itertools
import time
from typing import Any

from benchmarks.board_page import (
    FORGET,
    Messages,
    bucket_of,
    checked,
    listening,
    opened,
    reached,
    taken,
    wrong,
)
from benchmarks.first_paint import fill, keys_of
from benchmarks.report import Report, parser, quantile
from benchmarks.site import measured_site

# A chart's crosshair goes on, and those of all the others with it; then the focus leaves the chart, and comes back.
# Arrows are pressed on a chart alone: on the layout's choice they would choose, and the charts would be gone.
KEYS = ("ArrowRight", "Tab", "Shift+Tab", "ArrowRight", "ArrowRight")
TO_A_CHART = """() => [...document.querySelectorAll(".chart")].find((each) => {
  const box = each.getBoundingClientRect();
  return box.top > 0 && box.bottom < innerHeight;
})?.focus({ preventScroll: true })"""
ON_A_CHART = "document.activeElement?.classList.contains('chart')"
IN_FLIGHT = 200  # messages: the server keeps 256 for a viewer that is behind, and drops the oldest then
WARMING_UP = 100  # steps
DRAWN_EVERY = 10  # turns


def busy(devtools: Any) -> float:
    """CPU seconds that the page's main thread has worked."""
    return float(metrics(devtools)["TaskDuration"])


def metrics(devtools: Any) -> dict[str, float]:
    return {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}


def felt(page: Any, messages: Messages, seconds: float, panels: int) -> dict[str, Any]:
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    listening(page, messages)
    messages.start()
    page.wait_for_timeout(3000)  # what the first messages compile is the loading's, not the living's
    page.evaluate(TO_A_CHART)
    page.evaluate(FORGET)
    came, sent = page.evaluate("seen.points"), messages.sent
    began, worked = time.monotonic(), busy(devtools)
    keys = itertools.cycle(KEYS)
    number = 0
    while time.monotonic() - began < seconds or number % len(KEYS):
        number += 1
        key = next(keys)
        if key.startswith("Arrow") and not page.evaluate(ON_A_CHART):
            raise wrong(page, f"{key} was about to be pressed with the focus on something other than a chart")
        page.keyboard.press(key)
        page.mouse.move(400 + number % 700, 400 + number % 300)
        if number % 10 == 0:
            page.mouse.wheel(0, 600 if number % 20 else -600)
        page.wait_for_timeout(100)
        if number % 10 == 0:
            page.evaluate(TO_A_CHART)  # one in view: the focus left above would bring the page back there
    found: dict[str, Any] = page.evaluate("seen")
    lasted = time.monotonic() - began
    found["busy"] = (busy(devtools) - worked) / lasted
    found["messages"] = (messages.sent - sent) / lasted
    found["came"] = (found["points"] - came) / lasted
    found["step"] = messages.step
    found["drawn"] = min(checked(page, panels))
    messages.stopped.set()
    messages.join()
    # What it dropped it reads from the store, which has none of these: one more step shows that it lives.
    listening(page, messages)
    reached(page, messages.step - 1)
    return found


def tell_felt(report: Report, found: dict[str, Any], size: dict[str, Any]) -> None:
    waits = [duration for _, duration in found["inputs"]] or [16.0]
    long = [duration for _, duration in found["long"]]
    frames = found["frames"]
    apart = [later - earlier for earlier, later in itertools.pairwise(frames)] or [0.0]
    report.line("input to the frame that shows it, worst", max(waits), "ms", at_most=100, **size)
    report.line("input to the frame that shows it, p95 of those over 16 ms", quantile(waits, 0.95), "ms")
    report.line("longest task after load", max(long, default=0.0), "ms", at_most=50)
    report.line("tasks over 50 ms after load", len(long), "tasks", at_most=0)
    report.line("CPU of the page's main thread", found["busy"] * 100, "% of a core")
    report.line("frames a second", 1000 / (sum(apart) / len(apart)) if sum(apart) else 0.0, "frames/s")
    report.line("messages a second that were sent", found["messages"], "messages/s")
    report.line("messages a second that came to the page", found["came"], "messages/s")
    report.line(
        "steps that the last of the charts in view is behind",
        found["step"] - found["drawn"],
        "steps",
        note=f"a point of it stands for up to {bucket_of(found['step'])}",
    )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=20)
    arguments.add_argument("--keys", type=int, default=30)
    arguments.add_argument("--points", type=int, default=10_000, help="of each key of each run, before")
    arguments.add_argument("--messages", type=float, default=10, help="a second, of each run")
    arguments.add_argument("--seconds", type=float, default=30)
    arguments.add_argument(
        "--soak", type=float, default=0, help="hours of messages, sent as fast as the page takes them in"
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
                soak(report, page, messages, options.soak, options.keys, size)
            else:
                tell_felt(report, felt(page, messages, options.seconds, options.keys), size)
            browser.close()


def live(page: Any, messages: Messages, steps: int, panels: int) -> None:
    """So many steps of each run, as fast as the page takes in every one of them and draws the last of each few.

    Half of what may be under way is sent while the page is at the other half, so that it never waits for us.
    """
    runs = len(messages.codes)
    before = page.evaluate("seen.points") - messages.sent
    turn = max(1, IN_FLIGHT // 2 // runs)
    last = messages.step + steps
    while messages.step < last:
        for _ in range(min(turn, last - messages.step)):
            messages.once()
        taken(page, before + messages.sent - turn * runs)
        if messages.step % (DRAWN_EVERY * turn) < turn:
            reached(page, messages.step - 1)
    taken(page, before + messages.sent)
    reached(page, last - 1)
    checked(page, panels)


def held(page: Any) -> dict[str, float]:
    """What the tab holds after a collection: MiB of its heap and the arrays and elements beside it, and counts."""
    page.evaluate(FORGET)
    page.wait_for_timeout(2000)
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.collectGarbage")
    told = devtools.send("Runtime.getHeapUsage")
    devtools.send("Performance.enable")
    counted = metrics(devtools)
    devtools.detach()
    parts = ("usedSize", "backingStorageSize", "embedderHeapUsedSize")
    return {
        "MiB": sum(told.get(part, 0) for part in parts) / 2**20,
        "nodes": counted["Nodes"],
        "listeners": counted["JSEventListeners"],
    }


def soak(
    report: Report, page: Any, messages: Messages, hours: float, panels: int, size: dict[str, Any]
) -> None:
    """`hours` at the asked pace; the first steps are the page's warming up."""
    listening(page, messages)
    live(page, messages, WARMING_UP, panels)
    before, began, first = held(page), time.monotonic(), messages.step
    live(page, messages, round(hours * 3600 / messages.pause), panels)
    lasted, after = time.monotonic() - began, held(page)
    report.line(
        f"what the tab holds after {hours:g} hours of live view, growth",
        after["MiB"] - before["MiB"],
        "MiB",
        at_most=50,
        **size,
    )
    report.line("what the tab holds before", before["MiB"], "MiB")
    report.line("elements and texts of the page, growth", after["nodes"] - before["nodes"], "nodes")
    report.line("listeners of the page, growth", after["listeners"] - before["listeners"], "listeners")
    steps = messages.step - first
    report.line("messages taken in, each of them", steps * len(messages.codes), "messages")
    report.line("sped up by", hours * 3600 / lasted, "times")
    report.line("it took", lasted / 60, "minutes")


if __name__ == "__main__":
    main()
