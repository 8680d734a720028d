"""A training whose whole batch is larger than any card's memory, for test_site_on_a_gpu.

A sample is a row of 2**21 numbers, and each of the passes keeps it once more: 8 MiB a sample and pass.
"""

import os

import torch

import scaleweb_sdk
import scaleweb_sdk.torch

LENGTH, PASSES = 2**21, 5

size = 2 ** (torch.cuda.get_device_properties(0).total_memory // (4 * LENGTH * PASSES)).bit_length()
weight = torch.nn.Parameter(torch.ones(LENGTH, device="cuda"))
optimizer = torch.optim.SGD([weight], lr=0.01)
model = torch.nn.ParameterList([weight])
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.arange(4.0 * size)), batch_size=size, num_workers=0
)
with scaleweb_sdk.init() as run:
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader)
    for _, (numbers,) in loop.batches(max_steps=int(os.environ["STEPS"])):
        with loop.guard():
            hidden = (numbers.cuda()[:, None] / numbers.numel()) * weight
            for _ in range(PASSES):
                hidden = torch.sin(hidden)
            loop.backward(hidden.mean())
    print(f"began with {size} samples")
