"""Points a second from processes into the store, durable and acknowledged, through the real link.

    python -m benchmarks.link_ingest --processes 4 --points 2000000 [--json]

Each process sends batches of 10 keys x 1,000 points, as an SDK does that fell behind, and counts what was
acknowledged. Sender and server share the machine's cores.
"""

import argparse
import asyncio
import json
import time
import uuid

from benchmarks.site import measured_site, resource_seconds

KEYS, POINTS_A_KEY = 10, 1000


def batches(count: int) -> list[bytes]:
    """Encoded beforehand: the sender's work is not what is measured."""
    from scaleweb_sdk.protocol import Batch, Column, encode

    now = time.time()
    made = []
    for turn in range(count):
        steps = list(range(turn * POINTS_A_KEY, (turn + 1) * POINTS_A_KEY))
        times = [now + step * 0.01 for step in steps]
        columns = [
            Column(f"key{key}", steps, times, [1.0 / (1 + step + key) for step in steps])
            for key in range(KEYS)
        ]
        made.append(encode(Batch(turn + 1, columns=columns)))
    return made


async def send(site, rank: int, ranks: int, frames: list[bytes]) -> None:
    from websockets.asyncio.client import connect

    from scaleweb_sdk.protocol import LINK_PATH, Ack, Hello, Refusal, decode_down, encode

    headers = {"Authorization": f"Bearer {site.token}"}
    async with connect(site.ws + LINK_PATH, additional_headers=headers, compression=None) as socket:
        await socket.send(
            encode(Hello(1, uuid.uuid4().hex, "bench", f"run:{site.run}", rank=rank, world_size=ranks))
        )

        async def acknowledged() -> None:
            while True:
                frame = decode_down(await socket.recv(decode=False))
                if isinstance(frame, Refusal):
                    raise SystemExit(f"refused: {frame.message}")
                if isinstance(frame, Ack) and frame.seq == len(frames):
                    return

        waiting = asyncio.create_task(acknowledged())
        for frame in frames:
            await socket.send(frame)
        await waiting


async def measure(site, processes: int, points: int) -> dict:
    each = max(1, points // (processes * KEYS * POINTS_A_KEY))
    frames = batches(each)
    cpu = resource_seconds(site.pid)
    began = time.monotonic()
    await asyncio.gather(*(send(site, rank, processes, frames) for rank in range(processes)))
    seconds = time.monotonic() - began
    total = each * processes * KEYS * POINTS_A_KEY
    return {
        "benchmark": "link_ingest",
        "processes": processes,
        "points": total,
        "seconds": seconds,
        "points_per_second": total / seconds,
        "server_cpu_seconds": resource_seconds(site.pid) - cpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--points", type=int, default=2_000_000)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    arguments = parser.parse_args()
    with measured_site() as site:
        result = asyncio.run(measure(site, arguments.processes, arguments.points))
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{result['points']:,} points of {result['processes']} processes in {result['seconds']:.2f} s")
    print(f"{result['points_per_second']:,.0f} points/s, server CPU {result['server_cpu_seconds']:.2f} s")


if __name__ == "__main__":
    main()
