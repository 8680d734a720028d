"""A start that is too low, found by how the weights walk, with and without a schedule of the script's own."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from control.policies.divergence import Divergence
from control.policies.learning_rate import LearningRate
from tests.loop.steered import SteeredLoop

GOOD, STEPS, WARM_UP = 0.1, 200, 60
SCHEDULES = {
    "none": lambda optimizer: None,
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2 * STEPS),
    "warm-up": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1, (s + 1) / WARM_UP)
    ),
}


def trained(rate, schedule, policies):
    torch.manual_seed(5)
    inputs = torch.rand(2048, 4) * 2 - 1
    wanted = (torch.sin(2 * inputs[:, 0]) + inputs[:, 1] ** 2)[:, None]
    model = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    loader = DataLoader(TensorDataset(inputs, wanted), batch_size=32, shuffle=True)
    run = SteeredLoop(model, optimizer, loader, policies, scheduler=SCHEDULES[schedule](optimizer))
    return run.run(lambda batch: torch.nn.functional.mse_loss(model(batch[0]), batch[1]), STEPS, every=10)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_a_start_a_hundred_times_too_low_is_raised_under_the_scripts_own_schedule(schedule):
    alone = trained(GOOD / 100, schedule, [])
    led = trained(GOOD / 100, schedule, [Divergence(), LearningRate()])
    raised = [past for past in led.decisions("learning_rate") if past.new_value > past.old_value]
    assert raised, led.site.told
    if schedule == "warm-up":
        assert raised[0].at_step >= WARM_UP, led.site.told
    assert led.mean("loss", 20) < 0.6 * alone.mean("loss", 20), led.site.told
    # The control is the schedule's base: the rate in force is that times what the schedule makes of it.
    in_force, base = led.loop.rates.now, led.values["lr"]
    share = {"none": 1.0, "cosine": 0.5, "warm-up": 1.0}[schedule]
    assert in_force == pytest.approx(share * base, rel=0.02)


@pytest.mark.parametrize("schedule", ["none", "warm-up"])
def test_a_good_start_is_not_touched(schedule):
    led = trained(GOOD, schedule, [Divergence(), LearningRate()])
    assert led.decisions("learning_rate") == [], led.site.told
