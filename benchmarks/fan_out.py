"""1,000 viewers of one busy board: how long a message takes to each of them, and what the web process pays.

    python -m benchmarks.fan_out --viewers 1000 --rate 10 --seconds 10 [--json]

The viewers are raw sockets (`raw_viewer.py`) in processes of their own (--parts). Latency: from the publish on the
broker to the viewer's read, by one machine's clock. CPU: of the web process alone. Viewers and site share the
machine's cores: the latencies are an upper bound.
"""

import argparse
import asyncio
import functools
import json
import multiprocessing
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks.raw_viewer import RawViewer
from benchmarks.report import Report, parser, quantile
from benchmarks.site import MeasuredSite, measured_site, resource_seconds

PATIENCE_SECONDS = 120


class Counted:
    """What one part's viewers saw."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.gaps = 0
        self.cpu_seconds = 0.0  # of the part's process, from the last subscription on


def one_part(site: MeasuredSite, viewers: int, last: int, ready: Any, results: Any) -> None:
    counted = Counted()

    async def watch_all() -> None:
        loop = asyncio.get_running_loop()
        host, _, port = urlsplit(site.url).netloc.partition(":")
        done = []
        for _ in range(viewers):
            viewer = RawViewer(site, loop)
            await loop.create_connection(functools.partial(same, viewer), host, int(port))
            frame = await viewer.next_frame()
            assert frame["type"] == "subscribed", frame
            with ready.get_lock():
                ready.value += 1
            done.append(viewer.count(counted, last))
        began = time.process_time()
        await asyncio.wait_for(asyncio.gather(*done), PATIENCE_SECONDS)
        counted.cpu_seconds = time.process_time() - began

    try:
        asyncio.run(watch_all())
    finally:
        results.put(counted)


def same(viewer: RawViewer) -> RawViewer:
    return viewer


def publish(site: MeasuredSite, count: int, rate: float) -> None:
    import redis

    client = redis.Redis.from_url(site.broker_url)
    began = time.monotonic()
    for sent in range(count):
        time.sleep(max(0.0, began + sent / rate - time.monotonic()))
        data = {"last_step": sent, "pad": "x" * 200}
        message = {"type": "changed", "what": "run", "at": time.time(), "data": data}
        client.publish("sw:live:run:" + site.run, json.dumps(message))


def measure(report: Report, site: MeasuredSite, given: argparse.Namespace) -> None:
    count = int(given.rate * given.seconds)
    context = multiprocessing.get_context("spawn")
    ready, results = context.Value("i", 0), context.Queue()
    each = [
        given.viewers // given.parts + (part < given.viewers % given.parts) for part in range(given.parts)
    ]
    parts = [
        context.Process(target=one_part, args=(site, viewers, count, ready, results)) for viewers in each
    ]
    for part in parts:
        part.start()
    while ready.value < given.viewers:
        if not all(part.is_alive() for part in parts):
            raise SystemExit("a part of the viewers has failed; its error is above")
        time.sleep(0.1)
    idle = resource_seconds(site.pid)
    time.sleep(given.seconds / 2)
    idle = (resource_seconds(site.pid) - idle) / (given.seconds / 2)
    cpu, began = resource_seconds(site.pid), time.monotonic()
    publish(site, count, given.rate)
    found = [results.get(timeout=PATIENCE_SECONDS) for _ in parts]
    seconds = time.monotonic() - began
    cpu = (resource_seconds(site.pid) - cpu) / seconds
    theirs = sum(counted.cpu_seconds for counted in found) / seconds
    for part in parts:
        part.join()
    latencies = [each for counted in found for each in counted.latencies]
    kind = {"viewers": given.viewers, "messages_per_second": given.rate}
    report.line("message to viewer, median", quantile(latencies, 0.5) * 1000, "ms", **kind)
    report.line("message to viewer, p99", quantile(latencies, 0.99) * 1000, "ms", at_most=100, **kind)
    report.line("web process, watched", cpu, "cores", at_most=1, **kind)
    report.line("web process, viewers there but nothing to show", idle, "cores", **kind)
    report.line("the viewers' processes, which share the machine", theirs, "cores", **kind)
    report.line("messages dropped", sum(counted.gaps for counted in found), "messages", at_most=0, **kind)
    report.line("messages delivered", len(latencies), "messages", **kind)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--viewers", type=int, default=1000)
    made.add_argument("--rate", type=float, default=10, help="messages a second")
    made.add_argument("--seconds", type=float, default=10)
    made.add_argument("--parts", type=int, default=2, help="processes that the viewers are spread over")
    given = made.parse_args()
    report = Report("fan_out", given.json)
    with measured_site() as site:
        measure(report, site, given)


if __name__ == "__main__":
    main()
