"""A real training whose batch follows its gradient noise: fewer steps, at the price of samples."""

import torch
from torch.nn import functional as F

from control.policies.batch_size import BatchSize
from tests.loop.steered import SteeredLoop
from tests.trainers.small import loss_of, parts

TARGET = 0.1


def until_target(policies, most=1500):
    """(steps, samples) until the loss over all digits is below the target, and the training."""
    model, optimizer, loader = parts(seed=1, batch_size=4, lr=0.01, momentum=0.9)
    model[2].p = 0.0
    # As with devices to spare: a step costs the same, whatever its batch.
    steered = SteeredLoop(model, optimizer, loader, policies, {"batch_size": {"cost": "steps"}}, accumulate=2)
    images, labels, _ = loader.dataset.tensors
    reached, samples = [], 0

    def loss(batch):
        nonlocal samples
        steered.loop.noise.allowance_seconds = 1.0  # measure each step: the same decisions on any machine
        samples += len(batch[0])
        if not reached and steered.loop.step % 10 == 0:
            with torch.no_grad():
                if float(F.cross_entropy(model(images), labels)) < TARGET:
                    reached.append((steered.loop.step, samples))
                    steered.telling.desk.should_stop = True
        return loss_of(model, batch)

    steered.run(loss, most)
    return *reached[0], steered


def test_a_batch_that_follows_the_noise_reaches_the_target_in_fewer_steps_and_more_samples():
    fixed_steps, fixed_samples, _ = until_target([])
    steps, samples, steered = until_target([BatchSize()])
    assert steps < 0.6 * fixed_steps, steered.site.told
    # What parallel devices would save in time is paid for in samples.
    assert fixed_samples < samples < 4 * fixed_samples
    grown = [past for past in steered.decisions("batch_size") if "follow" in past.evidence["kind"]]
    assert steered.values["batch_size"] >= 32
    assert not [past for past in grown if past.verdict == "worse"], steered.site.told
    # The rate went along, by less than the batch did.
    rate, batch = steered.values["lr"] / 0.01, steered.values["batch_size"] / 4
    assert 2 < rate < batch
