"""A data-parallel training over nccl under torchrun, for test_site_on_a_gpu: it ends by itself after so many steps."""

import os
import sys

import torch
import torch.distributed as dist

import scaleweb_sdk
import scaleweb_sdk.torch

torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("nccl")
torch.manual_seed(0)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(256, 256).cuda())
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = torch.utils.data.TensorDataset(torch.randn(4096, 256), torch.randn(4096, 256))
sampler = torch.utils.data.distributed.DistributedSampler(data, dist.get_world_size(), dist.get_rank())
loader = torch.utils.data.DataLoader(data, batch_size=64, sampler=sampler)
with scaleweb_sdk.init() as run:
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, checkpoint_every=50)
    for _, (inputs, targets) in loop.batches(max_steps=int(sys.argv[1])):
        loop.backward(torch.nn.functional.mse_loss(model(inputs.cuda()), targets.cuda()))
    print(f"ended over {dist.get_backend()} with {dist.get_world_size()} of {torch.cuda.get_device_name()}")
dist.destroy_process_group()
