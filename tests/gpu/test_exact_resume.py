"""Broken off and resumed on a real NVIDIA GPU, a training with dropout ends with the bits of one that was not."""

import pytest
import torch
from torch.nn import functional as F

import scaleweb_sdk.torch
from tests.trainers.small import local_run, same, weights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"),
]


@pytest.fixture(autouse=True)
def deterministic(monkeypatch):
    # What NVIDIA's documentation asks for, so that cuBLAS adds up in the same order each time.
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def trained(folder, steps):
    """(where it began, the weights after so many steps, {step: checkpoint})."""
    torch.manual_seed(0)
    rows = torch.utils.data.TensorDataset(torch.randn(1024, 64), torch.randint(10, (1024,)))
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Dropout(0.2), torch.nn.Linear(256, 10)
    ).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = torch.utils.data.DataLoader(rows, batch_size=32, shuffle=True)
    loop = scaleweb_sdk.torch.attach(
        local_run(), model, optimizer, loader, checkpoint_dir=folder, checkpoint_every=25, keep=9
    )
    began = loop.step
    for _, (inputs, labels) in loop.batches(steps):
        loop.backward(F.cross_entropy(model(inputs.cuda()), labels.cuda()))
    return began, weights(model), {int(path.name[5:15]): path for path in folder.glob("step-*.pt")}


def test_dropout_on_the_card_draws_on_where_the_checkpoint_left_it(tmp_path, monkeypatch):
    _, whole, saved = trained(tmp_path / "whole", 120)
    torch.rand(17, device="cuda")  # another process has drawn other numbers
    monkeypatch.setenv("SCALEWEB_RESUME", str(saved[50]))
    began, resumed, _ = trained(tmp_path / "resumed", 120)
    assert began == 50
    assert same(whole, resumed)
