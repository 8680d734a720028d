"""Real trainings whose loader is slow, or whose device is small, under the policies for input and memory."""

import time
from typing import ClassVar

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from control.policies.input import Input
from control.policies.memory import Memory
from control.proposals import Change, Expected, Proposal
from scaleweb_sdk import clock
from scaleweb_sdk.torch.memory import MemoryUse
from tests.loop.steered import SteeredLoop
from tests.trainers.small import loss_of, parts

MIB = 2**20


class Slow(Dataset):
    """Digits that take so long to come, as from a network disk."""

    def __init__(self, loader, seconds_a_batch):
        # Ten times over: workers start anew with each epoch, and these epochs are long ones.
        self.tensors = [column.repeat(10, *[1] * (column.dim() - 1)) for column in loader.dataset.tensors]
        self.seconds = seconds_a_batch

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, index):
        return [column[index] for column in self.tensors]

    def __getitems__(self, indices):
        time.sleep(self.seconds)
        return [column[indices] for column in self.tensors]


def as_it_is(batch):
    return batch


def with_input_policy(seconds_a_batch, seconds_a_step, steps):
    model, optimizer, loader = parts()
    slow = DataLoader(Slow(loader, seconds_a_batch), batch_size=32, shuffle=True, collate_fn=as_it_is)
    steered = SteeredLoop(model, optimizer, slow, [Input()], {"input": {"horizon_steps": 30, "points": 25}})

    def loss(batch):
        time.sleep(seconds_a_step)  # a device that computes beside the processor
        return loss_of(model, batch)

    return steered.run(loss, steps)


def test_workers_are_raised_where_the_loader_is_slow_and_samples_come_faster():
    steered = with_input_policy(seconds_a_batch=0.03, seconds_a_step=0.02, steps=100)
    (first, *_) = steered.decisions("input")
    assert (first.tunable, first.old_value, first.verdict) == ("loader_workers", 0, "better"), (
        steered.site.told
    )
    assert steered.values["loader_workers"] >= 1
    assert first.effect > 0.2


class Clock:
    """The training's own: what else the machine does takes none of its time."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(clock, "seconds", lambda: self.now)

    def passes(self, seconds):
        self.now += seconds


def test_a_loader_that_keeps_up_is_let_be(monkeypatch):
    time_of = Clock(monkeypatch)
    model, optimizer, loader = parts()
    steered = SteeredLoop(model, optimizer, loader, [Input()], {"input": {"horizon_steps": 30, "points": 25}})

    def loss(batch):
        time_of.passes(0.05)
        return loss_of(model, batch)

    steered.run(loss, 50)
    assert steered.decisions("input") == []


class Device:
    """A card on which a batch takes a megabyte a sample, beside ten that do not depend on it."""

    def __init__(self, limit_mib):
        self.limit = limit_mib * MIB
        self.peak = 0

    def read(self):
        return MemoryUse(self.peak, self.limit)

    def fresh(self):
        self.peak = 0

    def compute(self, samples):
        needed = (10 + samples) * MIB
        if needed > self.limit:
            raise OutOfMemory(f"out of memory: {needed} bytes of {self.limit}")
        self.peak = max(self.peak, needed)
        time.sleep(0.005)  # what a pass takes beside its samples


class OutOfMemory(RuntimeError):
    """What an accelerator raises, on a machine without one."""


def on_a_card(limit_mib, batch_size=64):
    model, optimizer, loader = parts(batch_size=batch_size)
    steered = SteeredLoop(model, optimizer, loader, [Memory()], {"memory": {"horizon_steps": 30}})
    card = Device(limit_mib)
    steered.loop.out_of_memory_errors += (OutOfMemory,)
    steered.loop.memory.meter = card
    return steered, card


def test_a_batch_that_ran_out_of_memory_grows_again_once_there_is_room_and_not_before():
    steered, card = on_a_card(50)

    def each(step, batch):
        if step == 80 and card.limit == 50 * MIB:
            card.limit = 200 * MIB  # the other training on the card has ended
        card.compute(len(batch[0]))

    steered.run(lambda batch: loss_of(steered.loop.model, batch), 160, each=each)
    assert steered.site.reflexes == {"out_of_memory": 1}
    (grown,) = steered.decisions("memory")
    assert grown.evidence["total_bytes"] == 200 * MIB  # it was decided on the room that there is now
    assert (grown.tunable, grown.old_value, grown.new_value) == ("batch_size", 32, 64)
    assert grown.verdict == "better", steered.site.told
    assert (steered.values["batch_size"], steered.values["accumulation"]) == (64, 1)
    effective = {}
    for step, samples in steered.sizes:
        effective[step] = effective.get(step, 0) + samples
    # Steps that were begun anew after the reflex, and an epoch's last batch, apart.
    assert sorted(effective.values())[len(effective) // 2] == 64
    assert "failed" not in steered.telling.tunables["batch_size"].spec.about


class Doubling:
    """Once, at step 40: twice the batch, at a rate that cannot be better."""

    name = "doubling"
    summary = "For this test."
    defaults: ClassVar = {"enabled": True}

    def propose(self, observation):
        if observation.step < 40 or any(past.policy == self.name for past in observation.past):
            return []
        size, rate = observation.tunables["batch_size"], observation.tunables["lr"]
        changes = (Change("set", "batch_size", 2 * size.value), Change("set", "lr", rate.value / 5))
        return [
            Proposal(
                self.name, changes, "Twice the batch.", {"window": [0, observation.step]},
                Expected(-0.1, -0.2, 0.0), "loss", 30, trial=True,
            )
        ]  # fmt: skip


def test_a_larger_batch_that_ran_out_of_memory_goes_back_to_the_samples_of_before():
    steered, card = on_a_card(50, batch_size=32)
    steered.site.policies = [Doubling()]
    steered.run(
        lambda batch: loss_of(steered.loop.model, batch), 120, each=lambda _, b: card.compute(len(b[0]))
    )
    assert steered.site.reflexes == {"out_of_memory": 1}
    (doubled,) = steered.decisions("doubling")
    assert doubled.state == "undone", steered.site.told
    values = steered.values
    assert (values["batch_size"], values["accumulation"], values["lr"]) == (32, 1, 0.1), steered.site.told
    assert steered.loop.controls.accumulate == 1
    assert steered.site.decided_batch(32) == 32
    # While it was tried, a step had the 64 samples that were decided, in two halves.
    since = doubled.applied_step
    tried = [samples for step, samples in steered.sizes if since + 2 < step <= since + 6]
    assert tried == [32] * 2 * 4


def test_bfloat16_that_is_not_faster_here_is_taken_back(monkeypatch):
    time_of = Clock(monkeypatch)
    model, optimizer, loader = parts(batch_size=64)
    steered = SteeredLoop(
        model, optimizer, loader, [Memory()],
        {"memory": {"horizon_steps": 30, "precision_devices": "cpu"}},
    )  # fmt: skip
    seen = []

    def loss(batch):
        with steered.loop.forward():
            logits = model(batch[0])
            # A processor without instructions for it.
            time_of.passes(0.012 if logits.dtype == torch.bfloat16 else 0.002)
            seen.append(logits.dtype)
            return F.cross_entropy(logits, batch[1])

    steered.run(loss, 120)
    (trial,) = steered.decisions("memory")
    assert (trial.tunable, trial.new_value, trial.state) == ("precision", "bfloat16", "undone")
    assert trial.verdict == "worse"
    assert seen[-1] == torch.float32
    assert torch.bfloat16 in seen
    assert steered.mean("loss") < 2.0
