"""Click to applied: from a command's request to the step boundary that applied it, and to its row saying so.

    python -m benchmarks.control_latency --commands 100 --step-ms 10 [--rest] [--json]

A process over a raw link makes steps of the given length and applies orders between them. With --rest the
command is asked for over the API, as the page does; else by training.commands.issue in this process.
"""

import asyncio
import statistics
import time
import uuid

from benchmarks.report import Report, parser, quantile
from benchmarks.site import MeasuredSite, measured_site


async def train(site, step_seconds: float, applied: dict[int, float], stop: asyncio.Event) -> None:
    from websockets.asyncio.client import connect

    from scaleweb_sdk.protocol import LINK_PATH, Ack, Batch, Event, Hello, Orders, decode_down, encode

    waiting: list[int] = []
    headers = {"Authorization": f"Bearer {site.token}"}
    async with connect(site.ws + LINK_PATH, additional_headers=headers, compression=None) as socket:
        await socket.send(encode(Hello(1, uuid.uuid4().hex, "bench", f"run:{site.run}")))

        async def listen() -> None:
            async for raw in socket:
                frame = decode_down(raw if isinstance(raw, bytes) else raw.encode())
                if isinstance(frame, Orders):
                    waiting.extend(order.seq for order in frame.orders)
                assert isinstance(frame, Ack | Orders) or frame is not None

        listening = asyncio.create_task(listen())
        step = seq = 0
        while not stop.is_set():
            await asyncio.sleep(step_seconds)
            step += 1
            if waiting:
                now = time.time()
                events = [Event("command", now, step, {"seq": each, "ok": True}) for each in waiting]
                applied.update(dict.fromkeys(waiting, now))
                waiting.clear()
                seq += 1
                await socket.send(encode(Batch(seq, events=events)))
        listening.cancel()


async def measure(report: Report, site: MeasuredSite, count: int, step_seconds: float, rest: bool) -> None:
    import httpx

    from training.commands import issue
    from training.models import Command, Run

    applied: dict[int, float] = {}
    stop = asyncio.Event()
    training = asyncio.create_task(train(site, step_seconds, applied, stop))

    def running():
        return Run.objects.get(code=site.run).state == "running"

    while not await asyncio.to_thread(running):
        await asyncio.sleep(0.05)
    run = await asyncio.to_thread(Run.objects.get, code=site.run)
    # Kept alive, as a browser keeps its connection.
    client = httpx.Client(base_url=site.url, headers={"Authorization": f"Bearer {site.user_token}"})
    to_applied, to_row = [], []
    for turn in range(count):
        value = 0.1 + turn / 1000
        began = time.time()
        if rest:
            await asyncio.to_thread(post, client, site, value)
        else:
            await asyncio.to_thread(issue, run, "set", tunable="lr", value=value, asked_by="bench")
        seq = turn + 1
        while seq not in applied:
            await asyncio.sleep(0.001)
        to_applied.append(applied[seq] - began)
        while not await asyncio.to_thread(Command.objects.filter(seq=seq, state="applied").exists):
            await asyncio.sleep(0.001)
        to_row.append(time.time() - began)
    client.close()
    stop.set()
    await training
    kind = {"commands": count, "step_ms": step_seconds * 1000, "asked_by": "rest" if rest else "issue"}
    goal = 50 + step_seconds * 1000
    report.line("asked to applied, median", statistics.median(to_applied) * 1000, "ms", at_most=goal, **kind)
    report.line("asked to applied, p95", quantile(to_applied, 0.95) * 1000, "ms", **kind)
    report.line("asked to the row that says so, median", statistics.median(to_row) * 1000, "ms", **kind)


def post(client, site, value: float) -> None:
    body = {"verb": "set", "tunable": "lr", "value": value}
    client.post(f"/api/v1/runs/{site.run}/commands", json=body).raise_for_status()


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--commands", type=int, default=100)
    made.add_argument("--step-ms", type=float, default=10)
    made.add_argument("--rest", action="store_true", help="ask over the REST API")
    given = made.parse_args()
    report = Report("control_latency", given.json)
    with measured_site() as site:
        asyncio.run(measure(report, site, given.commands, given.step_ms / 1000, given.rest))


if __name__ == "__main__":
    main()
