"""A real data-parallel training, small: each rank notes which samples its steps were made of.

Argument: a folder for the notes; it trains until a file `stop` is in it.
"""

import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

import scaleweb_sdk
import scaleweb_sdk.torch

SAMPLE_SECONDS = 0.001  # the work on a sample, which ranks share

torch.set_num_threads(1)
torch.manual_seed(0)
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
numbers = torch.arange(1792)
data = torch.utils.data.TensorDataset(torch.randn(len(numbers), 16), numbers % 4, numbers)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(16, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
sampler = torch.utils.data.distributed.DistributedSampler(data, world, rank, seed=1)
loader = torch.utils.data.DataLoader(data, batch_size=int(os.environ["BATCH"]), sampler=sampler)
notes = Path(sys.argv[1])

with scaleweb_sdk.init() as run, open(notes / f"{os.environ['SCALEWEB_ATTEMPT']}-{rank}", "a") as seen:
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, checkpoint_every=int(os.environ.get("EVERY", 0))
    )
    for step, (values, label, index) in loop.batches(max_steps=100_000):
        time.sleep(SAMPLE_SECONDS * len(index))
        loop.backward(torch.nn.functional.cross_entropy(model(values), label))
        print(step, world, *index.tolist(), file=seen, flush=True)
        if (notes / "stop").exists():
            run.desk.stop("it has seen enough")
dist.destroy_process_group()
