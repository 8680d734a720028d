"""How much slower a 10 ms training step is with the SDK attached, hardware sampling and a live viewer.

    python -m benchmarks.step_overhead [--device cuda] [--milliseconds 10] [--steps 200] [--repeats 9] [--json]

A process trains a small network with torch on one thread; its batch is sized for a step of about 10 ms. On a GPU it is
a transformer of 25 million parameters in 100 tensors, in bfloat16, whose steps a batch can make longer. Blocks of steps
without and with ScaleWeb take turns in that one process, so that both meet the same machine: "with" means a run
that logs 5 values a step (the torch helper: its own 10), watched by a viewer so that it flushes as often as it ever
does, beside the node's hardware agent. Without, the agent is suspended and no run exists. The figure is the median of
the pairs' ratios. It is then taken apart, by what Linux counts of the training's thread: time on a core (the SDK's
calls, and caches that others use), time ready but without a core (site, broker, viewer, agent and the link's thread
want them too), and time asleep (it waited for the interpreter's lock). Other work on the machine hardly touches the
time on a core, nor the CPU time of the process's other threads, which is told last.
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

device, goal_seconds = sys.argv[1], float(sys.argv[2])
torch.set_num_threads(1)
torch.manual_seed(0)

if device == "cpu":
    model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def batch_of(size):
        return torch.randn(size, 784), torch.randint(10, (size,))

    def loss_of(batch):
        return F.cross_entropy(model(batch[0]), batch[1])
else:
    layer = torch.nn.TransformerEncoderLayer(512, 8, 2048, dropout=0.0, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 8, enable_nested_tensor=False).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def batch_of(size):
        return torch.randn(size, 256, 512, device=device), torch.randn(size, 256, 512, device=device)

    def loss_of(batch):
        with torch.autocast(device, dtype=torch.bfloat16):
            return F.mse_loss(model(batch[0]), batch[1])

def step(batch):
    loss = loss_of(batch)
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

size = 64 if device == "cpu" else 1
while (taken := seconds_of(batch_of(size))) < 0.9 * goal_seconds:
    size = max(size + 1, min(4 * size, int(size * goal_seconds / taken)))
batch = batch_of(size)

def counted():
    with open("/proc/thread-self/schedstat") as file:
        on_core, queued = map(int, file.read().split()[:2])
    return time.perf_counter_ns(), on_core, queued, time.process_time_ns() - time.thread_time_ns()

def measured(steps, work):
    before = counted()
    for number in range(steps):
        work(number)
    wall, on_core, queued, others = (now - then for now, then in zip(counted(), before))
    found = {"wall": wall, "on_core": on_core, "queued": queued, "asleep": wall - on_core - queued}
    found = {name: ns / steps / 1000 for name, ns in found.items()}  # us a step
    return found | {"others_percent": 100 * others / wall}

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
    def work(_):
        next(numbers)
        loop.backward(loss_of(batch))
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

    def __init__(self, site: MeasuredSite, device: str, step_seconds: float) -> None:
        self.site = site
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALEWEB_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINER, device, str(step_seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
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


Pairs = list[tuple[dict[str, float], dict[str, float]]]  # without, with


def tell(report: Report, name: str, pairs: Pairs, told: dict[str, Any]) -> None:
    def more(what: str) -> float:
        return statistics.median(with_[what] - without[what] for without, with_ in pairs)

    def percent(what: str) -> float:
        return statistics.median(100 * (with_[what] / without[what] - 1) for without, with_ in pairs)

    report.line(f"a step, {name}, slower by", percent("wall"), "percent", at_most=1, **told)
    report.line(f"its thread's time on a core, {name}, more by", percent("on_core"), "percent", **told)
    report.line(f"time on a core, {name}, more by", more("on_core"), "us", **told)
    report.line(f"ready but without a core, {name}, more by", more("queued"), "us", **told)
    report.line(f"asleep for the interpreter's lock, {name}, more by", more("asleep"), "us", **told)
    report.line(f"link's thread beside it, {name}, of a core", more("others_percent"), "percent", **told)
    report.line(
        f"the step without, {name}",
        statistics.median(without["wall"] for without, _ in pairs) / 1000,
        "ms",
        **told,
    )


def main() -> None:
    arguments = parser(__doc__, repeats=9)
    arguments.add_argument("--steps", type=int, default=200, help="in a block")
    arguments.add_argument("--device", default="cpu", help="cpu, or a GPU as torch names it: cuda, cuda:1")
    arguments.add_argument("--milliseconds", type=float, default=10, help="of a step, at the least")
    options = arguments.parse_args()
    report = Report("step_overhead", options.json)
    with measured_site() as site, agent(site) as sampling:
        trainer = Trainer(site, options.device, options.milliseconds / 1000)
        for kind, name in (("sdk", "run.step with 5 values"), ("helper", "torch helper")):
            pairs = []
            for turn in range(options.repeats):
                # Whoever is second meets a warmer machine: they take turns at that, too.
                found = {}
                for which in ("plain", kind) if turn % 2 else (kind, "plain"):
                    sampling.suspend() if which == "plain" else sampling.resume()
                    found[which] = trainer.block(which, options.steps)
                pairs.append((found["plain"], found[kind]))
            tell(report, name, pairs, {"repeats": options.repeats, "steps": options.steps})
        assert trainer.process.stdin is not None
        trainer.process.stdin.close()
        trainer.process.wait(30)


if __name__ == "__main__":
    main()
