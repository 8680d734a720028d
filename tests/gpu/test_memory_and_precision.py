"""Memory figures, a real out of memory and growth after it, and bfloat16, on a real NVIDIA GPU. Skipped without one."""

import gc

import pytest
import torch
from torch.nn import functional as F

import scaleweb_sdk.torch
from benchmarks.control.workload import Rows, batches
from control.policies.memory import Memory
from scaleweb_sdk.run import Run
from tests.loop.steered import SteeredLoop

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"),
]

MIB = 2**20
WIDTH = 1024
DEPTH = 8


@pytest.fixture(autouse=True)
def empty_card():
    gc.collect()  # what an earlier test left in cycles would be freed in the middle of this one, and be room
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def a_training(batch_size):
    """(model, optimizer, loader) on the GPU; a sample keeps some 32 KiB of activations."""
    torch.manual_seed(0)
    layers = [layer for _ in range(DEPTH) for layer in (torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, 10)).cuda()
    data = Rows(torch.randn(16384, WIDTH), torch.randint(10, (16384,)))
    return model, torch.optim.SGD(model.parameters(), lr=1e-3), batches(data, batch_size, seed=0)


def loss_of(model, batch):
    return F.cross_entropy(model(batch[0].cuda()), batch[1].cuda())


def leave_room_for(bytes_more):
    """Let this process have so much more than it holds now, as if others had the rest of the card."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    # The allocator takes memory in pieces of 2 to 20 MiB.
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved() + bytes_more) / total))


def values(run, key):
    return [value for _, (_, _, items) in run._records for name, value in items if name == key]


def test_memory_figures_are_those_of_the_card():
    run = Run()
    model, optimizer, loader = a_training(512)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader)
    for _, batch in loop.batches(30):
        loop.backward(loss_of(model, batch))
    used, total = values(run, "_memory_used_bytes"), values(run, "_memory_total_bytes")
    weights = sum(4 * p.numel() for p in model.parameters())
    assert 2 * weights < used[-1] <= torch.cuda.max_memory_allocated()
    assert used[-1] < total[-1] <= torch.cuda.get_device_properties(0).total_memory
    # What this process may have shrinks with what it is allowed.
    leave_room_for(2048 * MIB)
    assert loop.memory.meter.read().limit_bytes < 8192 * MIB


def test_the_peak_that_a_script_reads_is_left_alone_until_the_batch_is_changed():
    run = Run()
    model, optimizer, loader = a_training(512)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader)
    large = torch.empty(512 * MIB, dtype=torch.uint8, device="cuda")
    del large
    for _, batch in loop.batches(5):
        loop.backward(loss_of(model, batch))
    assert torch.cuda.max_memory_allocated() >= 512 * MIB
    loop.controls.change("batch_size", 256)
    for _, batch in loop.batches(9):
        loop.backward(loss_of(model, batch))
    assert torch.cuda.max_memory_allocated() < 512 * MIB


def test_a_real_out_of_memory_shrinks_the_batch_and_room_lets_it_grow_again():
    model, optimizer, loader = a_training(4096)
    steered = SteeredLoop(
        model, optimizer, loader, [Memory()], {"memory": {"horizon_steps": 40, "try_precision": False}}
    )
    # The libraries' own workspaces are there before the room is measured out.
    loss_of(model, next(iter(loader))).backward()
    optimizer.zero_grad()
    # A batch of 4096 keeps 128 MiB of activations, and needs half as much again on its way back.
    leave_room_for(150 * MIB)

    def each(step, batch):
        if step == 60:
            torch.cuda.set_per_process_memory_fraction(1.0)

    steered.run(lambda batch: loss_of(model, batch), 500, each=each)
    assert steered.site.reflexes["out_of_memory"] >= 1, steered.site.told
    sizes = [samples for _, samples in steered.sizes]
    assert max(sizes[:40]) < 4096
    grown = steered.decisions("memory")
    assert grown, steered.site.told
    assert grown[0].decided_step >= 60
    assert grown[0].new_value == 2 * grown[0].old_value
    # The effective batch stays to the sample, whatever the verdict on speed was.
    now = steered.values
    assert now["batch_size"] * now["accumulation"] == 4096
    assert not [past for past in grown if past.state == "rejected"], steered.site.told


def test_bfloat16_computes_in_half_the_width_and_learns():
    run = Run()
    model, optimizer, loader = a_training(1024)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, precision="bfloat16")
    kinds = set()
    for _, batch in loop.batches(20):
        with loop.guard(), loop.forward():
            logits = model(batch[0].cuda())
            kinds.add(logits.dtype)
            loop.backward(F.cross_entropy(logits, batch[1].cuda()))
    assert kinds == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert {p.grad is None or p.grad.dtype == torch.float32 for p in model.parameters()} == {True}
    assert run.tunables["precision"].spec.about == {"device": "cuda"}
    assert all(value == value for value in values(run, "loss"))


def test_bfloat16_is_tried_and_judged_by_samples_a_second():
    model, optimizer, loader = a_training(4096)
    # Strict float32: what a card's matrix units gain by bfloat16 is to be seen.
    torch.backends.cuda.matmul.allow_tf32 = False
    images, labels = torch.randn(4096, WIDTH).cuda(), torch.randint(10, (4096,)).cuda()
    steered = SteeredLoop(model, optimizer, loader, [Memory()], {"memory": {"horizon_steps": 40}})

    def loss(batch):
        with steered.loop.forward():
            found = F.cross_entropy(model(images), labels)
            for _ in range(4):  # a step that computes, not one that waits for its loader
                found = 0.5 * (found + F.cross_entropy(model(images), labels))
        return found

    steered.run(loss, 150)
    (trial,) = steered.decisions("memory")
    assert (trial.tunable, trial.new_value) == ("precision", "bfloat16")
    assert trial.verdict in {"better", "same", "worse", "unclear"}
    kept = steered.values["precision"] == "bfloat16"
    assert kept == (trial.verdict == "better"), steered.site.told


def test_gradient_noise_and_trust_ratios_work_on_the_card():
    run = Run()
    model, optimizer, loader = a_training(256)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, accumulate=2)
    loop.trust.set(True)
    for _, batch in loop.batches(30):
        loop.noise.allowance_seconds = 1.0
        loop.backward(loss_of(model, batch))
    assert len(values(run, "_grad_variance")) == 30
    assert all(value > 0 for value in values(run, "_grad_variance"))
    assert all(value == value for value in values(run, "loss"))
