"""A reconnect storm: so many processes come to the link in the same instant; when is each welcomed and stored?

    python -m benchmarks.storm --processes 500 [--json]

The processes are raw websockets out of four processes, each with a run and a token of its own. Meanwhile the site is
asked for its health all the time. Servers and clients share the machine's cores.
"""

import argparse
import asyncio
import multiprocessing
import time
import uuid
from typing import Any

from benchmarks.report import Report, parser, quantile
from benchmarks.site import MeasuredSite, measured_site, resource_seconds

PARTS = 4
PATIENCE_SECONDS = 120


async def come(site: MeasuredSite, source: str, token: str, session: str, seq: int) -> tuple[float, float]:
    """Seconds until welcomed and until its batch was stored; asks again when it may, as the SDK does."""
    from websockets.asyncio.client import connect

    from scaleweb_sdk.protocol import (
        LINK_PATH,
        Ack,
        Batch,
        Column,
        Hello,
        Refusal,
        Welcome,
        decode_down,
        encode,
    )

    began = time.monotonic()
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(
        site.ws + LINK_PATH, additional_headers=headers, compression=None, open_timeout=PATIENCE_SECONDS
    ) as socket:
        await socket.send(encode(Hello(1, session, "bench", source)))
        welcomed = 0.0
        while True:
            frame = decode_down(await socket.recv(decode=False))
            if isinstance(frame, Refusal):
                raise SystemExit(f"{source} was refused: {frame.message}")
            if isinstance(frame, Welcome):
                welcomed = time.monotonic() - began
                if frame.last_seq != seq - 1:
                    raise SystemExit(f"{source}: the server has batch {frame.last_seq}; expected {seq - 1}")
                await socket.send(encode(Batch(seq, columns=[Column("loss", [seq], [time.time()], [0.5])])))
            if isinstance(frame, Ack) and frame.seq == seq:
                return welcomed, time.monotonic() - began


def one_part(
    site: MeasuredSite, processes: list[tuple[str, str, str]], seq: int, start: Any, results: Any
) -> None:
    async def all_at_once() -> list[tuple[float, float]]:
        return await asyncio.gather(*(come(site, *process, seq) for process in processes))

    start.wait()
    results.put(asyncio.run(all_at_once()))


async def ask_meanwhile(
    site: MeasuredSite, results: Any, parts: int
) -> tuple[list[tuple[float, float]], list[float]]:
    import httpx

    found: list[tuple[float, float]] = []
    health: list[float] = []
    async with httpx.AsyncClient(base_url=site.url, timeout=PATIENCE_SECONDS) as client:
        while parts:
            began = time.monotonic()
            (await client.get("/healthz")).raise_for_status()
            health.append(time.monotonic() - began)
            while not results.empty():
                found += results.get()
                parts -= 1
            await asyncio.sleep(0.02)
    return found, health


def a_storm(
    site: MeasuredSite, processes: list[tuple[str, str, str]], seq: int
) -> tuple[list[Any], list[float]]:
    # Not forked: this process has threads and a database by now.
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(PARTS + 1), context.Queue()
    parts = [
        context.Process(target=one_part, args=(site, processes[part::PARTS], seq, start, results))
        for part in range(PARTS)
    ]
    for part in parts:
        part.start()
    start.wait()
    found, health = asyncio.run(ask_meanwhile(site, results, PARTS))
    for part in parts:
        part.join()
    return found, health


def prepare(count: int) -> list[tuple[str, str, str]]:
    """(source, token, session) of so many runs."""
    from training.models import ApiToken, Experiment, Run, TokenKind

    experiment = Experiment.objects.get()
    found = []
    for number in range(count):
        run = Run.objects.create(experiment=experiment, name=f"storm {number}", state="starting")
        found.append((run.source, ApiToken.issue(TokenKind.RUN, run=run)[1], uuid.uuid4().hex))
    return found


def options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--processes", type=int, default=500)
    return made.parse_args()


def main() -> None:
    given = options()
    report = Report("storm", given.json)
    with measured_site() as site:
        processes = prepare(given.processes)
        for seq, name in ((1, "first"), (2, "again")):
            cpu = resource_seconds(site.pid)
            found, health = a_storm(site, processes, seq)
            cpu = resource_seconds(site.pid) - cpu
            kind = {"processes": given.processes, "storm": name}
            welcomed, stored = [pair[0] for pair in found], [pair[1] for pair in found]
            report.line(f"storm, {name}: welcomed, median", quantile(welcomed, 0.5), "s", **kind)
            report.line(f"storm, {name}: the last one welcomed", max(welcomed), "s", **kind)
            report.line(f"storm, {name}: the last one stored", max(stored), "s", **kind)
            report.line(f"storm, {name}: the site's answer meanwhile, slowest", max(health), "s", **kind)
            report.line(f"storm, {name}: CPU of the web process", cpu, "s", **kind)


if __name__ == "__main__":
    main()
