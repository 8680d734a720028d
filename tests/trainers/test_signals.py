"""What a training measures of itself for the controller: gradient noise, memory, precision."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

import scaleweb_sdk.torch
from scaleweb_sdk.torch.memory import MemoryUse
from scaleweb_sdk.torch.noise import pair_estimates
from tests.trainers.quadratic import Quadratic
from tests.trainers.small import events, local_run, loss_of, order, parts, points, same, train, weights


class OutOfMemory(RuntimeError):
    """What an accelerator raises, on a machine without one."""


def values(run, key):
    return [value for _, _, value in points(run, key)]


# -- gradient noise ------------------------------------------------------------------------------


def quadratic(accumulate, batch_size, sigma, distance, scaler=None, steps=120, dimensions=40):
    """(run, noise scale it has): trained at a rate so small that it stays where it is."""
    torch.manual_seed(1)
    data = TensorDataset(sigma * torch.randn(steps * accumulate * batch_size, dimensions))
    model = Quadratic(dimensions, distance)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
    run = local_run()
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, DataLoader(data, batch_size=batch_size), accumulate=accumulate, scaler=scaler
    )
    for _, (samples,) in loop.batches(steps):
        loop.noise.allowance_seconds = 1.0  # each step, however fast the machine is
        loop.backward(model(samples))
    return run, dimensions * sigma**2 / distance**2


@pytest.mark.parametrize(("accumulate", "batch_size"), [(2, 4), (8, 2)])
@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_the_noise_scale_of_a_known_quadratic_is_found(accumulate, batch_size, sigma):
    run, truth = quadratic(accumulate, batch_size, sigma, distance=1.0)
    variance, square = values(run, "_grad_variance"), values(run, "_grad_square")
    assert len(variance) == 120
    # Five standard errors of what was measured: unbiased, both of them.
    for found, wanted in ((variance, 40 * sigma**2), (square, 1.0)):
        assert abs(np.mean(found) - wanted) < 5 * np.std(found) / math.sqrt(120)
    if truth < 4 * accumulate * batch_size:  # else the signal is lost in so few steps
        assert values(run, "_grad_noise_scale")[-1] == pytest.approx(truth, rel=0.5)


def test_a_gradient_scaler_does_not_change_what_is_measured():
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    plain, scaled = quadratic(2, 4, 1.0, 1.0)[0], quadratic(2, 4, 1.0, 1.0, scaler)[0]
    for key in ("_grad_variance", "_grad_square"):
        assert values(scaled, key) == pytest.approx(values(plain, key), rel=1e-4)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 64), st.integers(2, 16), st.floats(0.01, 100.0), st.floats(0.01, 100.0)
)  # fmt: skip
def test_pair_estimates_are_exact_where_the_expectations_are_put_in(batch, parts, square, variance):
    large = batch * parts
    found = pair_estimates(square + variance / batch, square + variance / large, batch, large)
    assert found == pytest.approx((square, variance), rel=1e-6)


def test_one_micro_batch_on_one_rank_measures_nothing():
    run = local_run()
    train(scaleweb_sdk.torch.attach(run, *parts()), 5)
    assert values(run, "_grad_square") == []
    assert "measured while accumulation is 2 or more" in run.tunables["batch_size"].spec.description


def test_a_step_with_a_smaller_last_batch_is_left_out():
    run = local_run()
    data = TensorDataset(torch.randn(20, 40))
    model = Quadratic(40, 1.0)
    loop = scaleweb_sdk.torch.attach(
        run, model, torch.optim.SGD(model.parameters(), lr=1e-9), DataLoader(data, batch_size=8), accumulate=3
    )
    for _, (samples,) in loop.batches(4):
        loop.noise.allowance_seconds = 1.0
        loop.backward(model(samples))
    assert values(run, "_grad_square") == []  # 8, 8 and 4 samples


def test_measuring_is_paced_by_what_it_costs():
    run = local_run()
    loop = scaleweb_sdk.torch.attach(run, *parts(), accumulate=2)
    train(loop, 60)
    # Steps of a millisecond or two: each measurement costs some percent of one.
    assert 0 < len(values(run, "_grad_square")) < 40


def test_a_training_that_saved_its_allowance_measures_densely_once_it_can():
    run = local_run()
    loop = scaleweb_sdk.torch.attach(run, *parts())
    train(loop, 50)
    loop.noise.allowance_seconds = 0.05  # as after a long time
    order(run, "set", "accumulation", 2)
    train(loop, 80)
    assert len(values(run, "_grad_square")) >= 25


def test_measuring_does_not_change_the_weights():
    def trained(allowance):
        run = local_run()
        loop = scaleweb_sdk.torch.attach(run, *parts(momentum=0.9), accumulate=2)
        for _, batch in loop.batches(20):
            loop.noise.allowance_seconds = allowance
            loop.backward(loss_of(loop.model, batch))
        return weights(loop.model)

    assert same(trained(1.0), trained(-1.0))


RANK = """
import sys, torch, torch.distributed as dist
import scaleweb_sdk.torch
from scaleweb_sdk.run import Run
from tests.trainers.quadratic import Quadratic
from torch.utils.data import DataLoader, TensorDataset

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
torch.manual_seed(rank)
model = torch.nn.parallel.DistributedDataParallel(Quadratic(40, 1.0))
data = DataLoader(TensorDataset(torch.randn(640, 40)), batch_size=8)
run = Run(rank=rank, world_size=2)
loop = scaleweb_sdk.torch.attach(run, model, torch.optim.SGD(model.parameters(), lr=1e-9), data)
for _, (samples,) in loop.batches(80):
    loop.noise.allowance_seconds = 1.0
    loop.backward(model(samples))
found = [v for _, (_, _, items) in run._records for name, v in items if name == "_grad_variance"]
print(len(found), sum(found) / max(1, len(found)), run.tunables["batch_size"].spec.about["ranks"])
dist.destroy_process_group()
"""


def test_two_ranks_measure_it_without_accumulation(tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(tmp_path / "meet")],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]  # fmt: skip
    told = [process.communicate(timeout=240)[0].split() for process in started]
    assert told[0][0] == "80"
    assert float(told[0][1]) == pytest.approx(40, rel=0.15)
    assert told[0][2] == "2"
    assert told[1][0] == "0"  # the first rank speaks for the run


# -- memory --------------------------------------------------------------------------------------


class Meter:
    """A device on which a batch takes a megabyte a sample."""

    def __init__(self, loop, limit):
        self.loop = loop
        self.limit = limit
        self.peak = 0

    def read(self):
        return MemoryUse(self.peak, self.limit)

    def fresh(self):
        self.peak = 0

    def compute(self, samples):
        if samples * 2**20 > self.limit:
            raise OutOfMemory(f"out of memory: {samples} MiB of {self.limit >> 20}")
        self.peak = max(self.peak, samples * 2**20)


def on_a_device(limit_mib, batch_size=64):
    run = local_run()
    loop = scaleweb_sdk.torch.attach(run, *parts(batch_size=batch_size))
    loop.out_of_memory_errors += (OutOfMemory,)
    loop.memory.meter = Meter(loop, limit_mib << 20)
    return run, loop


def computed(loop, steps, each=lambda step: None):
    sizes = []
    for step, batch in loop.batches(steps):
        with loop.guard():
            loop.memory.meter.compute(len(batch[0]))
            sizes.append(len(batch[0]))
            if loop.backward(loss_of(loop.model, batch)):
                each(step)
    return sizes


def test_memory_is_logged_now_and_then_and_after_each_change_of_the_batch():
    run, loop = on_a_device(100)
    computed(loop, 30, lambda step: order(run, "set", "batch_size", 32) if step == 10 else None)
    used = points(run, "_memory_used_bytes")
    assert [value for _, _, value in used[:2]] == [64 * 2**20, 32 * 2**20]
    assert used[1][1] == 12  # one step later, when the peak is the new batch's own
    assert len(used) < 10
    assert set(values(run, "_memory_total_bytes")) == {100 * 2**20}


def test_the_size_that_failed_is_told_until_it_fits():
    run, loop = on_a_device(40)

    def each(step):
        if step == 3:
            assert run.tunables["batch_size"].spec.about == {
                "ranks": 1, "failed": 64, "failed_limit_bytes": 40 * 2**20
            }  # fmt: skip
            loop.memory.meter.limit = 80 << 20
            order(run, "set", "batch_size", 64)
            order(run, "set", "accumulation", 1)

    assert computed(loop, 6, each) == [32] * 6 + [64] * 3
    assert run.tunables["batch_size"].spec.about == {"ranks": 1}
    assert [data["name"] for _, data in events(run, "reflex")] == ["out_of_memory"]


# -- precision -----------------------------------------------------------------------------------


def in_forward(loop, steps, each):
    for step, batch in loop.batches(steps):
        with loop.forward():
            logits = loop.model(batch[0])
            loss = torch.nn.functional.cross_entropy(logits, batch[1])
        each(step, logits)
        loop.backward(loss)


def test_precision_is_offered_once_the_script_lets_the_loop_set_it():
    run = local_run()
    loop = scaleweb_sdk.torch.attach(run, *parts())
    assert "precision" not in run.tunables
    train(loop, 1)
    assert "precision" not in run.tunables
    in_forward(loop, 2, lambda *_: None)
    spec = run.tunables["precision"].spec
    assert (spec.value, spec.choices, spec.role) == ("float32", ["float32", "bfloat16"], "precision")


def test_an_ordered_precision_holds_in_the_forward_pass_alone():
    run = local_run()
    loop = scaleweb_sdk.torch.attach(run, *parts())
    seen = {}

    def each(step, logits):
        seen[step] = logits.dtype
        if step == 2:
            order(run, "set", "precision", "bfloat16")

    in_forward(loop, 4, each)
    assert seen == {1: torch.float32, 2: torch.float32, 3: torch.bfloat16, 4: torch.bfloat16}
    assert {p.dtype for p in loop.model.parameters()} == {torch.float32}
    assert all(math.isfinite(value) for value in values(run, "loss"))


def test_backward_inside_the_forward_block_is_not_autocast():
    run = local_run()
    loop = scaleweb_sdk.torch.attach(run, *parts(), precision="bfloat16")
    seen = []

    class Look(torch.autograd.Function):
        @staticmethod
        def forward(context, value):
            return value.clone()

        @staticmethod
        def backward(context, gradient):
            seen.append(torch.is_autocast_enabled("cpu"))
            return gradient

    for _, batch in loop.batches(1):
        with loop.guard(), loop.forward():
            loop.backward(Look.apply(loss_of(loop.model, batch)))
            assert torch.is_autocast_enabled("cpu")
    assert seen == [False]


def test_float16_is_offered_with_a_scaler_and_refused_without():
    scaler = torch.amp.GradScaler("cpu")
    run = local_run()
    in_forward(scaleweb_sdk.torch.attach(run, *parts(), scaler=scaler), 1, lambda *_: None)
    assert "float16" in run.tunables["precision"].spec.choices
    with pytest.raises(ValueError, match="expected one of float32, bfloat16"):
        scaleweb_sdk.torch.attach(local_run(), *parts(), precision="float16")


def test_float32_in_the_forward_block_is_the_plain_pass_bit_for_bit():
    def trained(go):
        loop = scaleweb_sdk.torch.attach(local_run(), *parts(momentum=0.9))
        go(loop)
        return weights(loop.model)

    plain = trained(lambda loop: train(loop, 20))
    assert same(trained(lambda loop: in_forward(loop, 20, lambda *_: None)), plain)
