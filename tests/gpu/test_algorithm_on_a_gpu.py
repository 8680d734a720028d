"""Pruned, quantised and compiled on a real NVIDIA GPU, each with the table measured there. Skipped without one."""

import pytest
import torch
from torch.nn import functional as F

import scaleweb_sdk.torch
from scaleweb_sdk.torch.algorithm import load_quantised
from tests.trainers.small import events, local_run, order, outcomes

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"),
]
WIDTH, CLASSES = 512, 10


def network():
    torch.manual_seed(0)
    layers = [
        torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.LayerNorm(WIDTH), torch.nn.GELU())
        for _ in range(6)
    ]
    return torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, CLASSES)).cuda()


@pytest.fixture(scope="module")
def data():
    """Rows that a linear rule names, and as many held back."""
    generator = torch.Generator().manual_seed(1)
    rule = torch.randn(WIDTH, CLASSES, generator=generator)
    rows = torch.randn(8192, WIDTH, generator=generator)
    labels = (rows @ rule).argmax(1)
    return (
        torch.utils.data.TensorDataset(rows[:4096], labels[:4096]),
        rows[4096:].cuda(),
        labels[4096:].cuda(),
    )


@pytest.fixture
def training(data, tmp_path):
    learnt, rows, labels = data
    run, model = local_run(), network()
    loader = torch.utils.data.DataLoader(learnt, batch_size=256, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, checkpoint_dir=tmp_path)

    def evaluate(copy):
        return {"val/accuracy": (copy(rows).argmax(1) == labels).float().mean()}

    loop.offer_algorithms(evaluate, rows[:256], bound=0.05)
    return run, loop, evaluate


def train(loop, steps, each=lambda step: None):
    losses = []
    for step, (rows, labels) in loop.batches(steps):
        loss = F.cross_entropy(loop.model(rows.cuda()), labels.cuda())
        loop.backward(loss)
        losses.append(loss.item())
        each(step)
    return losses


def at(number, run, verb, **value):
    return lambda step: order(run, verb, value=value) if step == number else None


def the_table(run):
    (record,) = [data for _, data in events(run, "algorithm")]
    print(record["outcome"], record["table"])
    assert record["table"]["device"].startswith("cuda")
    for side in ("before", "after"):
        assert 0 < record["table"][side]["latency_seconds"] < 0.1
    return record


def test_half_the_weights_are_held_at_zero_on_the_card(training):
    run, loop, _ = training
    train(loop, 200, at(150, run, "prune", amount=0.5))
    assert outcomes(run) == [(1, True, "")]
    assert the_table(run)["outcome"] == "switched"
    assert all(mask.is_cuda for mask in loop.masks.pruned.values())
    zero = sum(int((value == 0).sum()) for name, value in loop.model.named_parameters() if value.dim() == 2)
    whole = sum(value.numel() for value in loop.model.parameters() if value.dim() == 2)
    assert zero == pytest.approx(whole / 2, rel=0.01)


@pytest.mark.parametrize("scheme", ["int8-weight-only", "int8-dynamic"])
def test_a_quantised_copy_is_smaller_and_as_exact_where_it_is_read_again(training, tmp_path, scheme):
    run, loop, evaluate = training
    train(loop, 200, at(200, run, "quantise", scheme=scheme))
    assert outcomes(run) == [(1, True, "")]
    record = the_table(run)
    assert record["outcome"] == "exported"
    assert record["table"]["after"]["size_bytes"] < 0.35 * record["table"]["before"]["size_bytes"]
    (path,) = tmp_path.glob(f"quantised-{scheme}-*.pt")
    read = load_quantised(path, network()).cuda()
    with torch.no_grad():
        assert float(evaluate(read)["val/accuracy"]) == pytest.approx(
            float(evaluate(loop.model)["val/accuracy"]), abs=0.05
        )


def test_a_compiled_model_trains_on_with_the_same_losses(training):
    run, loop, _ = training
    losses = train(loop, 160, at(80, run, "compile", on=True))
    assert outcomes(run) == [(1, True, "")]
    assert the_table(run)["outcome"] == "switched"
    assert sum(losses[-20:]) < 0.8 * sum(losses[40:60])
