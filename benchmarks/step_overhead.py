"""How much slower a 10 ms training step is with the SDK attached, hardware sampling and a live viewer.

    python -m benchmarks.step_overhead [--steps 200] [--repeats 9] [--json]

A process trains a small network with torch on one thread; its batch is sized for a step of about 10 ms. Blocks of steps
without and with ScaleWeb take turns in that one process, so that both meet the same machine: "with" means a run
that logs 5 values a step (the torch helper: its own 10), watched by a viewer so that it flushes every 50 ms, beside
the node's hardware agent. Without, the agent is suspended and no run exists. The figure is the median of the
pairs' ratios; the CPU time of the process's other threads during a block is told too, which noise does not touch.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import Report, parser
from benchmarks.site import MeasuredSite, measured_site

TRAINER = """
import json, os, sys, tempfile, time
import torch
import scaleweb_sdk, scaleweb_sdk.torch
from torch.nn import functional as F

torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
ready = {}

def batch_of(size):
    return torch.randn(size, 784), torch.randint(10, (size,))

def step(batch):
    images, labels = batch
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()

def seconds_of(batch, steps=30):
    for _ in range(3):
        step(batch)
    start = time.perf_counter()
    for _ in range(steps):
        step(batch)
    return (time.perf_counter() - start) / steps

size = 64
while (taken := seconds_of(batch_of(size))) < 0.009:
    size = max(size + 1, min(4 * size, int(size * 0.01 / taken)))
batch = batch_of(size)

def others():
    return time.process_time() - time.thread_time()

def measured(steps, work):
    before, start = others(), time.perf_counter()
    for number in range(steps):
        work(number)
    seconds = time.perf_counter() - start
    return {"step_seconds": seconds / steps, "others_share": (others() - before) / seconds}

def plain(steps):
    return measured(steps, lambda _: step(batch))

def sdk(steps):
    run = begun()
    values = {"lr": 0.01, "accuracy": 0.5, "epoch": 1.0, "speed": 311.0}
    def work(number):
        loss = step(batch)
        run.step({"loss": loss, **values})
    found = measured(steps, work)
    run.finish()
    return found

def helper(steps):
    run = begun()
    loop = scaleweb_sdk.torch.attach(run, model, optimizer)
    numbers = loop.steps()
    images, labels = batch
    def work(_):
        next(numbers)
        loop.backward(F.cross_entropy(model(images), labels))
    found = measured(steps, work)
    run.finish()
    return found

def begun():
    run = scaleweb_sdk.init(experiment="bench", project="bench", capture=False, dir=tempfile.mkdtemp())
    until = time.monotonic() + 30
    while not run.code:
        time.sleep(0.01)
        if time.monotonic() > until:
            raise SystemExit("the site made no run")
    print(json.dumps({"code": run.code}), flush=True)
    while run.link.flush_seconds > 0.1:  # until the server says that somebody watches
        run.step({"loss": 1.0})
        time.sleep(0.02)
        if time.monotonic() > until:
            raise SystemExit("no viewer came to be seen by the server")
    return run

print(json.dumps({"ready": taken}), flush=True)
for line in sys.stdin:
    name, steps = line.split()
    print(json.dumps(globals()[name](int(steps))), flush=True)
"""


class Trainer:
    """The training process, a block of steps at a time."""

    def __init__(self, site: MeasuredSite) -> None:
        self.site = site
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALEWEB_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=kept | {"SCALEWEB_URL": site.url, "SCALEWEB_TOKEN": site.user_token},
        )  # fmt: skip
        self.step_seconds = self.answer()["ready"]

    def block(self, kind: str, steps: int) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{kind} {steps}\n")
        self.process.stdin.flush()
        said = self.answer()
        if "code" not in said:
            return said
        with viewer(self.site, said["code"]):
            return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the training process ended; its error is above")
        said: dict[str, Any] = json.loads(line)
        return said


@contextmanager
def viewer(site: MeasuredSite, code: str) -> Iterator[None]:
    """A page that watches the run and reads all it is sent."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with connect(site.ws + "/ws/live", additional_headers=site.headers) as page:
        page.send(json.dumps({"type": "subscribe", "topics": [f"run:{code}"]}))

        def read() -> None:
            try:
                while True:
                    page.recv()
            except ConnectionClosed:
                return

        reading = threading.Thread(target=read)
        reading.start()
        yield
    reading.join()


@contextmanager
def agent(site: MeasuredSite) -> Iterator[psutil.Process]:
    """The node's hardware agent, as the node worker starts it."""
    from monitoring import nodes
    from training.models import ApiToken, TokenKind

    node = nodes.register("bench", {}, [])
    token = ApiToken.issue(TokenKind.NODE, node=node)[1]
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALEWEB_")}
        where = {
            "SCALEWEB_URL": site.url,
            "SCALEWEB_TOKEN": token,
            "SCALEWEB_NODE": "bench",
            "SCALEWEB_SPOOL_DIR": folder,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "monitoring.hardware.agent"], env=kept | where, cwd=Path(__file__).parent.parent,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        found = psutil.Process(process.pid)
        try:
            yield found
        finally:
            found.resume()
            process.terminate()
            process.wait(20)


def main() -> None:
    arguments = parser(__doc__, repeats=9)
    arguments.add_argument("--steps", type=int, default=200, help="in a block")
    options = arguments.parse_args()
    report = Report("step_overhead", options.json)
    with measured_site() as site, agent(site) as sampling:
        trainer = Trainer(site)
        for kind, name in (("sdk", "run.step with 5 values"), ("helper", "torch helper")):
            slower, shares, steps = [], [], []
            for turn in range(options.repeats):
                # Whoever is second meets a warmer machine: they take turns at that, too.
                found = {}
                for which in ("plain", kind) if turn % 2 else (kind, "plain"):
                    sampling.suspend() if which == "plain" else sampling.resume()
                    found[which] = trainer.block(which, options.steps)
                slower.append(100 * (found[kind]["step_seconds"] / found["plain"]["step_seconds"] - 1))
                shares.append(100 * (found[kind]["others_share"] - found["plain"]["others_share"]))
                steps.append(1000 * found["plain"]["step_seconds"])
            told = {"repeats": options.repeats, "steps": options.steps}
            report.line(f"a step, {name}, slower by", statistics.median(slower), "percent", at_most=1, **told)
            report.line(
                f"link's thread beside it, {name}, of a core", statistics.median(shares), "percent", **told
            )
            report.line(f"the step without, {name}", statistics.median(steps), "ms", **told)
        assert trainer.process.stdin is not None
        trainer.process.stdin.close()
        trainer.process.wait(30)


if __name__ == "__main__":
    main()
