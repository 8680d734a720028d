"""A small data-parallel training for the browser tests; its second rank has no room for a width of more than 10."""

import time

import torch
import torch.distributed as dist

import scaleweb_sdk
import scaleweb_sdk.torch

PACE_SECONDS = 0.03  # leaves the machine's cores to the site and the browser

torch.set_num_threads(1)
torch.manual_seed(0)
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
numbers = torch.arange(1024)
data = torch.utils.data.TensorDataset(torch.randn(len(numbers), 16), numbers % 4)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(16, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
sampler = torch.utils.data.distributed.DistributedSampler(data, world, rank, seed=1)
loader = torch.utils.data.DataLoader(data, batch_size=32, sampler=sampler)


def widen(width: int) -> None:
    if rank == 1 and width > 10:
        raise ValueError(f"there is no room for a width of {width} here")


with scaleweb_sdk.init() as run:
    run.tunable("width", 5, on_change=widen)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader)

    @run.action("sample", "Print samples", count={"default": 3, "low": 1, "high": 9}, style=["plain", "loud"])
    def sample(count: int, style: str) -> None:
        if style == "loud" and count > 5:
            raise ValueError("not more than 5 loud ones")
        print("sample", count, style, flush=True)

    for _, (values, label) in loop.batches(max_steps=100_000):
        time.sleep(PACE_SECONDS)
        loop.backward(torch.nn.functional.cross_entropy(model(values), label))
dist.destroy_process_group()
