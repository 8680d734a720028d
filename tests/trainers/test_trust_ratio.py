"""Layer-wise trust ratios on the user's own optimiser, switched at a step boundary."""

import pytest
import torch

import scaleweb_sdk.torch
from scaleweb_sdk.torch.trust import CALIBRATION_STEPS, TrustRatio, family_of
from tests.trainers.small import local_run, loss_of, order, parts, points, same, train, weights

SGD = {"optimizer": torch.optim.SGD, "momentum": 0.9, "weight_decay": 1e-2}
ADAMW = {"optimizer": torch.optim.AdamW, "lr": 1e-2}


def a_layer(length, optimizer, **options):
    """One matrix of this length and one bias, with their optimiser and a gradient of length 1."""
    weight = torch.nn.Parameter(torch.full((4, 4), length / 4))
    bias = torch.nn.Parameter(torch.full((4,), 1.0))
    weight.grad, bias.grad = torch.full((4, 4), 0.25), torch.full((4,), 0.5)
    return weight, bias, optimizer([weight, bias], **options)


def calibrated(optimizer, coefficient):
    trust = TrustRatio(optimizer)
    trust.on = True
    trust.load_state_dict({"seen": 1, "log_coefficient": 0.0})
    trust._seen = CALIBRATION_STEPS
    trust._log_coefficient = CALIBRATION_STEPS * torch.tensor(coefficient, dtype=torch.float64).log().item()
    return trust


@pytest.mark.parametrize("length", [0.5, 2.0, 8.0])
def test_lars_steps_in_proportion_to_the_weights_whatever_the_gradient(length):
    weight, bias, optimizer = a_layer(length, torch.optim.SGD, lr=0.1, weight_decay=0.01)
    trust = calibrated(optimizer, 0.2)
    before, bias_before = weight.detach().clone(), bias.detach().clone()
    trust.before()
    optimizer.step()
    trust.after()
    assert (weight - before).norm().item() == pytest.approx(0.1 * 0.2 * length, rel=1e-4)
    # A bias takes plain SGD's step: rate times gradient and decay.
    assert (bias - bias_before).detach() == pytest.approx(-0.1 * (0.5 + 0.01 * bias_before), rel=1e-5)


@pytest.mark.parametrize("length", [0.5, 2.0, 8.0])
def test_lamb_steps_in_proportion_to_the_weights_in_adams_direction(length):
    weight, _, optimizer = a_layer(length, torch.optim.AdamW, lr=0.01, weight_decay=0.0)
    trust = calibrated(optimizer, 0.3)
    before = weight.detach().clone()
    trust.before()
    optimizer.step()
    trust.after()
    moved = (weight - before).detach()
    assert moved.norm().item() == pytest.approx(0.01 * 0.3 * length, rel=1e-4)
    assert bool((moved < 0).all())


@pytest.mark.parametrize("made", [SGD | {"lr": 0.005}, ADAMW], ids=["lars", "lamb"])
def test_switching_it_on_keeps_the_steps_overall_length(made):
    run = local_run()
    model, optimizer, loader = parts(**made)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader)
    lengths, before = {}, {}
    for step, batch in loop.batches(3 * CALIBRATION_STEPS):
        if step == CALIBRATION_STEPS:
            order(run, "set", "trust_ratio", True)
        before = weights(model)
        loop.backward(loss_of(model, batch))
        moved = [(value - before[name]).square().sum() for name, value in model.state_dict().items()]
        lengths[step] = float(torch.stack(moved).sum().sqrt())
    plain = sum(lengths[step] for step in range(CALIBRATION_STEPS + 1, 2 * CALIBRATION_STEPS + 1))
    scaled = sum(lengths[step] for step in range(2 * CALIBRATION_STEPS + 1, 3 * CALIBRATION_STEPS + 1))
    assert scaled == pytest.approx(plain, rel=0.4)


@pytest.mark.parametrize("made", [SGD, ADAMW], ids=["lars", "lamb"])
def test_a_training_under_trust_ratios_learns(made):
    run = local_run()
    model, optimizer, loader = parts(batch_size=256, **made)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader)
    train(loop, 60, lambda step, _: order(run, "set", "trust_ratio", True) if step == 1 else None)
    losses = [value for _, _, value in points(run, "loss")]
    assert losses[-1] < 0.5 * losses[0]


def test_switched_off_it_is_the_plain_optimiser_again():
    model, optimizer, _ = parts(**SGD)
    trust = TrustRatio(optimizer)
    trust.set(True)
    trust.set(False)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    trust.before()
    assert all(bool((p.grad == 1).all()) for p in model.parameters())


def test_a_checkpoint_holds_the_measured_coefficient_and_an_old_one_without_it_still_loads(tmp_path):
    def attached(folder):
        run = local_run()
        return run, scaleweb_sdk.torch.attach(run, *parts(**SGD), checkpoint_dir=folder, checkpoint_every=15)

    run, loop = attached(tmp_path)
    train(loop, 20, lambda step, _: order(run, "set", "trust_ratio", True) if step == 1 else None)
    measured = loop.trust.state_dict()
    assert measured["seen"] == CALIBRATION_STEPS
    kept = loop.keeper.saved[-1].path
    loop.trust.set(False)
    loop.trust.set(True)
    loop.restore(kept)
    assert loop.trust.state_dict() == measured
    state = torch.load(kept, weights_only=True)
    del state["parts"]["trust_ratio"]
    older = tmp_path / "step-0000000099-b0.pt"
    torch.save(state, older)
    before = weights(loop.model)
    train(loop, 22)
    loop.restore(older)
    assert same(weights(loop.model), before)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        (torch.optim.SGD, "sgd"), (torch.optim.Adam, "adam"), (torch.optim.AdamW, "adam"),
        (torch.optim.RMSprop, "adam"), (torch.optim.NAdam, "adam"), (torch.optim.Rprop, ""),
        (type("Mine", (torch.optim.SGD,), {}), "sgd"),
    ],
)  # fmt: skip
def test_the_optimisers_family_is_told_with_the_rate(kind, family):
    run = local_run()
    model, _, loader = parts()
    optimizer = kind(model.parameters(), lr=1e-3)
    assert family_of(optimizer) == family
    scaleweb_sdk.torch.attach(run, model, optimizer, loader)
    told = run.tunables["lr"].spec.about
    assert (told["optimizer"], told["family"]) == (kind.__name__, family)
