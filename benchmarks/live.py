"""Publish to browser: how long a live message takes to N viewers of one busy topic, and what it costs.

    python -m benchmarks.live --viewers 1000 --rate 10 --seconds 10 [--json]

Starts a broker and the real site in a process of their own; the viewers are raw websockets in this process.
On two cores the viewers' own work counts too: the figures are an upper bound; `fan_out` keeps it apart.
"""

import asyncio
import json
import statistics
import time

from benchmarks.report import Report, parser, quantile
from benchmarks.site import MeasuredSite, measured_site, resource_seconds


async def watch(socket, latencies: list[float], until: float) -> int:
    """Read until the time is over; returns the last number seen."""
    last = 0
    while (left := until - time.monotonic()) > 0:
        try:
            raw = await asyncio.wait_for(socket.recv(), left)
        except TimeoutError:
            break
        frame = json.loads(raw)
        if frame["type"] == "changed":
            latencies.append(time.time() - frame["at"])
            last = frame["n"]
    return last


async def measure(report: Report, site: MeasuredSite, viewers: int, rate: float, seconds: float) -> None:
    import redis.asyncio as redis
    from websockets.asyncio.client import connect

    sockets = []
    for _ in range(viewers):
        socket = await connect(
            site.ws + "/ws/live", additional_headers=site.headers, compression=None, ping_interval=None
        )
        await socket.send(json.dumps({"type": "subscribe", "topics": ["run:" + site.run]}))
        sockets.append(socket)
    for socket in sockets:
        await socket.recv()
    latencies: list[float] = []
    end = time.monotonic() + seconds + 2
    reading = [asyncio.create_task(watch(socket, latencies, end)) for socket in sockets]
    client = redis.Redis.from_url(site.broker_url)
    cpu = resource_seconds(site.pid)
    sent = 0
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        message = {
            "type": "changed",
            "what": "run",
            "at": time.time(),
            "data": {"last_step": sent, "pad": "x" * 200},
        }
        await client.publish("sw:live:run:" + site.run, json.dumps(message))
        sent += 1
        await asyncio.sleep(max(0.0, began + sent / rate - time.monotonic()))
    last = await asyncio.gather(*reading)
    cpu = resource_seconds(site.pid) - cpu
    await client.aclose()
    for socket in sockets:
        await socket.close()
    kind = {"viewers": viewers, "messages_per_second": rate}
    report.line("publish to browser, median", statistics.median(latencies) * 1000, "ms", **kind)
    report.line("publish to browser, p99", quantile(latencies, 0.99) * 1000, "ms", **kind)
    report.line("messages delivered", len(latencies) / (sent * viewers), "ratio", at_least=1, **kind)
    report.line("viewers that saw the last message", sum(n == sent for n in last), "viewers", **kind)
    report.line("CPU of the web process", cpu / seconds, "cores", at_most=1, **kind)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--viewers", type=int, default=500)
    made.add_argument("--rate", type=float, default=10, help="messages a second")
    made.add_argument("--seconds", type=float, default=10)
    given = made.parse_args()
    report = Report("live", given.json)
    with measured_site() as site:
        asyncio.run(measure(report, site, given.viewers, given.rate, given.seconds))


if __name__ == "__main__":
    main()
