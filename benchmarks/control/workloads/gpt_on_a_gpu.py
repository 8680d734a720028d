"""A character GPT of 11 million parameters on Python's own library sources, AdamW, bfloat16, on a GPU.

Not among the built-in ones, which need no GPU: `--workload benchmarks/control/workloads/gpt_on_a_gpu.py`. The model is
that of training/trainers/gpt.py. All trainings at once share the card, so that only counts of steps tell anything.
Shapes: B batch, T time (characters).
"""

import sysconfig
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.control.workload import Built, Rows, batches
from training.trainers.gpt import GPT, encode, loss_of, read_text

NAME = "gpt on a GPU"
TARGET = 1.6
RATES = (3e-5, 3e-3)
ADAM_RATE = 3e-4
MEASURE_EVERY = 20
TIME, WIDTH, HEADS, LAYERS, BATCH = 128, 384, 6, 6, 32
CHARACTERS, HELD = 2_000_000, 256


def build(seed: int) -> Built:
    tokens = encode(read_text(Path(sysconfig.get_path("stdlib")), "*.py", CHARACTERS))
    windows = tokens.unfold(0, TIME + 1, 1)
    cut = int(0.95 * len(tokens))
    held = windows[cut:][:: (len(windows) - cut) // HELD][:HELD].cuda()
    model = GPT(TIME, WIDTH, HEADS, LAYERS).cuda()

    def surprise(windows_BT: Tensor) -> Tensor:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return loss_of(model, windows_BT[:, :-1], windows_BT[:, 1:])

    @torch.no_grad()
    def progress() -> float:
        return float(surprise(held))

    return Built(
        model=model,
        optimizer=lambda rate: torch.optim.AdamW(model.parameters(), lr=rate, fused=True),
        loss=lambda batch: surprise(batch[0].cuda(non_blocking=True)),
        progress=progress,
        loader=batches(Rows(windows[: cut - TIME]), BATCH, seed),
    )
