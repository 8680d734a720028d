"""What the torch helper tells of a model: its kind, by the types of its modules, and its size."""

import pytest
import torch
from torch import nn

import scaleweb_sdk.torch
from scaleweb_sdk.torch.kinds import model_facts
from tests.trainers.small import local_run, parts
from training.trainers.gpt import GPT


class SelfAttention(nn.Linear):
    pass


@pytest.mark.parametrize(
    ("model", "kind", "parameters"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 1)), "dense", 4 * 3 + 3 + 6 + 3 + 1),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)), "convolutional", 20 + 18),
        (nn.Sequential(nn.Conv1d(1, 2, 3), nn.GRU(2, 2)), "recurrent", 8 + 36),
        (nn.LSTMCell(2, 2), "recurrent", 48),
        (nn.TransformerEncoderLayer(4, 2, 8), "attention", 4 * 12 + 12 + 20 + 40 + 36 + 16),
        (nn.Sequential(nn.Conv2d(1, 2, 3), SelfAttention(2, 2)), "attention", 20 + 6),
        (nn.Sequential(nn.Embedding(5, 2), nn.Linear(2, 1)), "dense", 13),
        (nn.Bilinear(2, 2, 1), "other", 5),
        (nn.Identity(), "other", 0),
        (nn.LazyLinear(3), "dense", None),  # no batch has told its size yet
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, nn.Module) else None,
)
def test_a_model_is_told_by_its_modules_and_its_parameters(model, kind, parameters):
    told = {"model": kind} | ({} if parameters is None else {"parameters": parameters})
    found = model_facts(model)
    found.pop("width", None)
    assert found == told


@pytest.mark.parametrize(
    ("model", "width"),
    [
        (nn.Linear(384, 1536), 384),
        (nn.Linear(64, 1), 1),
        (nn.Conv2d(3, 16, 3), 16),
        (nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 64), nn.LayerNorm(64)), 16),
        (nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 4)), 54.4),  # the larger matrix counts sixteen times
        (nn.LayerNorm(8), None),
        (nn.Linear(8, 8).requires_grad_(False), None),
        (nn.LazyLinear(3), None),
    ],
    ids=["linear", "a head", "kernels", "like sides", "by their weights", "no matrix", "frozen", "lazy"],
)  # fmt: skip
def test_the_width_is_the_smaller_side_of_the_matrices_that_are_trained(model, width):
    assert model_facts(model).get("width") == width


def test_attention_that_is_written_as_a_function_is_seen_by_its_tokens_and_norms():
    assert model_facts(GPT(length=8, width=8, heads=2, layers=1))["model"] == "attention"


def test_the_rate_tells_the_kind_and_size_of_the_model_beside_its_optimiser():
    run = local_run()
    model, _, loader = parts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaleweb_sdk.torch.attach(run, model, optimizer, loader)
    assert run.tunables["lr"].spec.about == {"optimizer": "SGD", "family": "sgd"} | model_facts(model)
