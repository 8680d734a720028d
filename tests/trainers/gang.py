"""Several ranks of one training on this machine, each a process of its own, over gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BEGIN = """
import json, os, sys
import torch, torch.distributed as dist
import scaleweb_sdk.torch
from scaleweb_sdk.run import Run
from tests.trainers.small import *
torch.set_num_threads(1)
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
dist.init_process_group("gloo", init_method="file://" + os.environ["MEET"], rank=rank, world_size=world)

def made(batch_size=16, seed=0, folder=None, every=0, **options):
    torch.manual_seed(seed)
    _, _, loader = parts(seed)
    data = loader.dataset
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Sequential(
        torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 10)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sampler = torch.utils.data.distributed.DistributedSampler(data, world, rank, seed=3)
    torch.manual_seed(100 + rank)
    loader = torch.utils.data.DataLoader(data, batch_size=batch_size, sampler=sampler)
    run = Run(rank=rank, world_size=world)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, checkpoint_dir=folder, checkpoint_every=every,
                                     **options)
    return run, loop

def weights_of(loop):
    return [float(p.detach().double().sum()) for p in loop.model.parameters()]

def told(**found):
    print("TOLD " + json.dumps(found), flush=True)
"""


def gang(code: str, folder: Path, ranks: int = 2, **environ: str) -> list[dict]:
    """What each rank told, by rank. code: after BEGIN."""
    meet = folder / f"meet-{len(list(folder.glob('meet-*')))}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env=os.environ | {"RANK": str(rank), "WORLD_SIZE": str(ranks), "MEET": str(meet), "OMP_NUM_THREADS": "1",
                              "GLOO_SOCKET_IFNAME": "lo"} | environ,
        )
        for rank in range(ranks)
    ]  # fmt: skip
    said = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=400)
            assert process.returncode == 0, err[-4000:]
            said.append(json.loads(out.split("TOLD ")[-1]))
    finally:
        for process in processes:
            process.kill()
    return said
