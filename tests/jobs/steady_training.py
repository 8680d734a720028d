"""A training that draws from every generator; it writes down the bits of each step's loss, and its weights at the end.

Arguments: a folder, and how many steps.
"""

import random
import sys
import time
from pathlib import Path

import numpy
import torch

import scaleweb_sdk
import scaleweb_sdk.torch
from scaleweb_sdk.run import Run


def train(run: Run, folder: Path, steps: int, step_seconds: float = 0.0, **attach) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(1)
    numpy.random.seed(2)
    data = torch.utils.data.TensorDataset(torch.randn(640, 16), torch.arange(640) % 4)
    loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)  # an epoch is 40 steps
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Dropout(0.3), torch.nn.Linear(16, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, scheduler=scheduler, checkpoint_every=10, **attach
    )
    with open(folder / "losses", "a") as losses:
        for step, (values, label) in loop.batches(max_steps=steps):
            noise = 0.1 * random.random() + 0.1 * float(numpy.random.random())
            loss = torch.nn.functional.cross_entropy(model(values * (1 + noise)), label)
            loop.backward(loss)
            print(step, loss.item().hex(), file=losses, flush=True)
            time.sleep(step_seconds)
    if not run.should_stop:
        torch.save(model.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    # Slow enough to be killed, put off and moved in its midst, however seldom a busy machine looks.
    with scaleweb_sdk.init() as begun:
        train(begun, Path(sys.argv[1]), int(sys.argv[2]), step_seconds=0.1)
