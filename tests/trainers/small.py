"""A training of under a millisecond a step on real digits, and how to read what its run reported."""

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from scaleweb_sdk.protocol import Order
from scaleweb_sdk.run import Run

DIGITS = load_digits()


def parts(seed=0, batch_size=32, lr=0.1, optimizer=torch.optim.SGD, workers=0, **options):
    """(model, optimizer, loader), the same for the same arguments; dropout draws from the global generator."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images = torch.tensor(DIGITS.data, dtype=torch.float32) / 16
    data = torch.utils.data.TensorDataset(images, torch.tensor(DIGITS.target), torch.arange(len(images)))
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(32, 10)
    )
    loader = torch.utils.data.DataLoader(data, batch_size=batch_size, shuffle=True, num_workers=workers)
    return model, optimizer(model.parameters(), lr=lr, **options), loader


def loss_of(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def local_run() -> Run:
    """A run without a link: what it would send stays where `events` and `points` read it."""
    return Run()


def events(run, kind=None):
    """(step, data) of the reported events of a kind, oldest first."""
    return [(event.step, event.data) for _, event in run._events if event.kind == kind]


def points(run, key):
    """(branch, step, value) of a logged key, in the order logged."""
    return [
        (branch, step, value)
        for branch, (step, _, items) in run._records
        for name, value in items
        if name == key
    ]


def order(run, verb, tunable="", value=None, seq=None):
    """What the link's thread does when an order comes in."""
    run.receive([Order(seq or run.desk.received_seq + 1, verb, tunable, value, "ada")])


def outcomes(run):
    return [(data["seq"], data["ok"], data["message"]) for _, data in events(run, "command")]


def train(loop, steps, each=lambda step, batch: None):
    for step, batch in loop.batches(steps):
        loop.backward(loss_of(loop.model, batch))
        each(step, batch)


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(left, right):
    """Whether two state_dicts agree bit by bit."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
