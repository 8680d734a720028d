"""A learning-rate scheduler of the user's keeps its shape, and the control `lr` scales all of it."""

import pytest
import torch
from torch.optim import lr_scheduler

import scaleweb_sdk.torch
from tests.trainers.small import events, local_run, order, parts, points, train

STEPS = 12
SCHEDULERS = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.9**step),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 4, gamma=0.5),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5, eta_min=0.01),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=STEPS + 1),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(
        o, factor=0.5, patience=1, threshold=0.5, min_lr=0.01
    ),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o,
        [lr_scheduler.LinearLR(o, 0.1, total_iters=4), lr_scheduler.CosineAnnealingLR(o, 8, eta_min=0.01)],
        [4],
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.LinearLR(o, 0.5, total_iters=4), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
}


def rates(make, order_at=None, value=None, every="step", steps=STEPS):
    """The rate of each step, with an order for the base rate during step `order_at`."""
    run = local_run()
    model, optimizer, loader = parts(lr=0.1, batch_size=256)
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, scheduler=make(optimizer), scheduler_every=every
    )
    train(loop, steps, lambda step, _: order(run, "set", "lr", value) if step == order_at else None)
    return run, [rate for _, _, rate in points(run, "lr")]


def plain(make):
    """The same rates from the scheduler alone."""
    _, optimizer, _ = parts(lr=0.1)
    scheduler, seen = make(optimizer), []
    for _ in range(STEPS):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "ReduceLROnPlateau"])
def test_nobody_steering_the_rates_are_those_of_the_scheduler(name):
    _, seen = rates(SCHEDULERS[name])
    assert seen == plain(SCHEDULERS[name])


@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_a_tenth_of_the_base_rate_makes_a_tenth_of_every_later_rate(make):
    _, alone = rates(make)
    run, seen = rates(make, order_at=5, value=0.01)
    assert seen[:5] == alone[:5]
    # The plateau's decisions hang on losses, which the rate itself changes: its first rates are compared.
    count = 7 if "ReduceLROnPlateau" in str(make(parts()[1])) else STEPS
    assert seen[5:count] == pytest.approx([rate / 10 for rate in alone[5:count]], rel=1e-9)
    assert run.tunables["lr"].value == 0.01


def test_a_rate_that_the_script_assigns_scales_the_schedule_as_an_order_does():
    make = SCHEDULERS["CosineAnnealingLR"]
    run = local_run()
    model, optimizer, loader = parts(lr=0.1, batch_size=256)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, scheduler=make(optimizer))

    def assign(step, _):
        if step == 5:
            run.tunables["lr"].value = 0.01

    train(loop, STEPS, assign)
    _, ordered = rates(make, order_at=4, value=0.01)
    assert [rate for _, _, rate in points(run, "lr")][6:] == pytest.approx(ordered[6:], rel=1e-9)
    assert run.tunables["lr"].value == 0.01


def test_an_assigned_value_that_cannot_be_put_into_force_changes_nothing():
    run = local_run()
    rate = run.tunable("rate", 0.1, low=0.01, high=1.0)

    def refuse(value):
        raise ValueError(f"{value} does not fit")

    rate.put = refuse
    with pytest.raises(ValueError, match=r"0\.5 does not fit"):
        rate.value = 0.5
    assert rate.value == 0.1


def test_a_plateau_lowers_the_steered_rate_down_to_the_scaled_floor():
    def make(optimizer):
        return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=1.0, min_lr=0.04)

    _, seen = rates(make, order_at=1, value=0.05)
    # Halved by the plateau at the end of step 1, halved by the order; then half of the floor of 0.04.
    assert seen == pytest.approx([0.1, 0.025] + [0.02] * (STEPS - 2))


def test_a_schedule_by_epoch_moves_at_the_ends_of_epochs_alone():
    _, seen = rates(lambda o: lr_scheduler.StepLR(o, 1, gamma=0.5), every="epoch", steps=17)
    assert seen == [0.1] * 8 + [0.05] * 8 + [0.025]  # 1,797 images in batches of 256: 8 to an epoch


def test_a_script_that_steps_its_scheduler_itself_is_not_stepped_for():
    run = local_run()
    model, optimizer, loader = parts(lr=0.1)
    scheduler = lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, scheduler=scheduler, scheduler_every="script"
    )
    train(loop, 4, lambda step, _: scheduler.step() if step == 3 else None)
    assert [rate for _, _, rate in points(run, "lr")] == [0.1, 0.1, 0.1, 0.05]


def test_every_group_keeps_its_ratio_to_the_first():
    run = local_run()
    model, _, loader = parts()
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[3].parameters(), "lr": 0.02}]
    )
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, scheduler=scheduler)
    train(loop, 3, lambda step, _: order(run, "set", "lr", 0.05) if step == 1 else None)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.01])
    assert scheduler.base_lrs == pytest.approx([0.05, 0.01])


def test_the_page_is_told_that_the_control_scales_a_schedule():
    run, _ = rates(SCHEDULERS["CosineAnnealingLR"])
    assert "scales every rate" in run.tunables["lr"].spec.description
    assert any("CosineAnnealingLR" in data["message"] for _, data in events(run, "note"))
    run, _ = rates(SCHEDULERS["OneCycleLR"])
    assert run.tunables["lr"].spec.value == 0.1  # the peak, not the low rate it starts from
