"""The page that `board` measures: opened in a Chromium, sent messages, and looked at whether it is still that page."""

import os
import shutil
import tempfile
import threading
import time
from typing import Any

from benchmarks.first_paint import DONE
from benchmarks.site import MeasuredSite

# Told before the page's own scripts run. A message counts in the task that hands it to the page: whoever reads the
# count in a later task knows that the page has taken that message in.
WATCH = """
window.seen = { inputs: [], long: [], frames: [], points: 0, lost: 0 };
const hear = (options, into) => new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) into.push([entry.startTime, entry.duration]);
}).observe(options);
hear({ type: "event", durationThreshold: 16 }, seen.inputs);
hear({ type: "longtask", buffered: true }, seen.long);
(function frame(at) { seen.frames.push(at); requestAnimationFrame(frame); })(0);
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      if (data.includes('"type":"points"')) seen.points += 1;
      else if (data.includes('"type":"lost"')) seen.lost += 1;
    });
  }
};
"""
FORGET = "() => { seen.inputs.length = seen.long.length = seen.frames.length = 0; }"
NOW = """() => ({
  panels: document.querySelectorAll("[data-panel]").length,
  steps: [...document.querySelectorAll(".canvas")].filter((each) => {
    const box = each.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  }).map((each) => Number(each.dataset.step ?? -1)),
  lost: seen.lost, address: location.pathname + location.search, focus: document.activeElement?.outerHTML.slice(0, 200),
})"""
PATIENCE_SECONDS = 120.0
BUCKETS = 500  # of a line: what an experiment's page asks for


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
        from monitoring.live import frames
        from monitoring.live.channels import LIVE_CHANNEL

        pipe = self.client.pipeline(transaction=False)
        at = [1.75e9 + self.step * 0.1]
        columns = [
            (key, [self.step], at, [0.5 + (self.step * 7 + number) % 97 / 500])
            for number, key in enumerate(self.keys)
        ]
        frame = frames.points(0, columns)  # of every run alike: what differs is who sent it
        for code in self.codes:
            pipe.publish(f"{LIVE_CHANNEL}run:{code}", frame)
        pipe.execute()
        self.step += 1
        self.sent += len(self.codes)


def opened(playwright: Any, site: MeasuredSite, experiment: int, codes: list[str]) -> tuple[Any, Any]:
    executable = os.environ.get("SCALEWEB_CHROMIUM") or shutil.which("chromium")
    if not executable:
        raise SystemExit("no Chromium: apt-get install chromium, or set SCALEWEB_CHROMIUM to the path of one")
    browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
    context = browser.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(1000 * PATIENCE_SECONDS)
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


def listening(page: Any, messages: Messages) -> None:
    """Until each run's messages reach the page: subscribing takes a moment that nothing on the page tells."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        before = page.evaluate("seen.points")
        messages.once()
        if waited(page, "most => seen.points >= most", before + len(messages.codes), 3):
            return
    raise wrong(page, f"the page gets no message of some of its {len(messages.codes)} runs")


def bucket_of(step: int) -> int:
    """Steps that a point of a line stands for by then, at most; a picture tells the first of them."""
    bucket = 1
    while (step + 1) / bucket > BUCKETS:
        bucket *= 2
    return bucket


def reached(page: Any, step: int) -> None:
    """Until every chart in view shows this step, or the bucket that it is in."""
    drawn = f"step => (({NOW})().steps).length > 0 && (({NOW})().steps).every((each) => each >= step)"
    if not waited(page, drawn, step - bucket_of(step) + 1, PATIENCE_SECONDS):
        raise wrong(page, f"a chart in view does not show step {step} after {PATIENCE_SECONDS:g} s")


def taken(page: Any, count: int) -> None:
    """Until the page has taken in so many messages of points."""
    if not waited(page, "most => seen.points >= most || seen.lost > 0", count, PATIENCE_SECONDS):
        raise wrong(page, f"of {count} messages it got {page.evaluate('seen.points')}")
    if page.evaluate("seen.lost"):
        raise wrong(page, "messages were dropped on their way, so what is measured is less than it says")


def checked(page: Any, panels: int) -> list[int]:
    """The last steps that the charts in view show, of a page that still has all of its panels."""
    now = page.evaluate(NOW)
    if now["panels"] != panels or not now["steps"]:
        raise wrong(page, f"expected {panels} panels with some charts in view")
    return list(now["steps"])


def waited(page: Any, condition: str, argument: int, seconds: float) -> bool:
    from playwright.sync_api import TimeoutError

    try:
        page.wait_for_function(condition, arg=argument, timeout=1000 * seconds)
    except TimeoutError:
        return False
    return True


def wrong(page: Any, what: str) -> SystemExit:
    """The page is not what is to be measured: no figure, but what it is instead, and a picture of it."""
    now = page.evaluate(NOW)
    with tempfile.NamedTemporaryFile(prefix="board-", suffix=".png", delete=False) as picture:
        picture.write(page.screenshot())
    return SystemExit(
        f"{what}. It is at {now['address']} with {now['panels']} panels, charts in view at the steps {now['steps']},"
        f" {now['lost']} losses told, the focus on {now['focus']}. A picture of it: {picture.name}"
    )
