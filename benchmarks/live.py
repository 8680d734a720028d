"""Publish to browser: how long a live message takes to N viewers of one busy topic, and what it costs.

    python -m benchmarks.live --viewers 1000 --rate 10 --seconds 10 [--json]

Starts a broker and the real site in a process of their own; the viewers are raw websockets in this process.
On two cores the viewers' own work counts too: the figures are an upper bound.
"""

import argparse
import asyncio
import json
import statistics
import time

from benchmarks.site import measured_site, resource_seconds


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


async def measure(site, viewers: int, rate: float, seconds: float) -> dict:
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
    latencies.sort()
    return {
        "benchmark": "live",
        "viewers": viewers,
        "messages_per_second": rate,
        "seconds": seconds,
        "sent": sent,
        "delivered_ratio": len(latencies) / (sent * viewers),
        "viewers_at_last_message": sum(n == sent for n in last),
        "median_ms": statistics.median(latencies) * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
        "server_cpu_seconds": cpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, default=500)
    parser.add_argument("--rate", type=float, default=10, help="messages a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    arguments = parser.parse_args()
    with measured_site() as site:
        result = asyncio.run(measure(site, arguments.viewers, arguments.rate, arguments.seconds))
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{result['viewers']} viewers, {result['messages_per_second']:g} messages/s, {result['sent']} sent")
    median, p99 = result["median_ms"], result["p99_ms"]
    print(f"delivered {result['delivered_ratio']:.2%}, median {median:.1f} ms, p99 {p99:.1f} ms")
    print(f"server CPU {result['server_cpu_seconds']:.2f} s over {result['seconds']:g} s")


if __name__ == "__main__":
    main()
