"""The scripts of README run as they stand there: each in a process of its own that has imported nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
README = (TOP / "README.md").read_text()
THREE_LINES, STEERABLE, WITH_TORCH = re.findall(r"```python\n(.*?)```", README, re.S)
OPENING = THREE_LINES[: THREE_LINES.index("for batch")]

# What a reader has already.
A_TRAINING = """
loader, model = range(5), None
train_step = lambda batch: 1 / (1 + batch)
sample = lambda model: "a sample"
"""
A_TORCH_TRAINING = """
import torch
model = torch.nn.Linear(3, 2)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3000)
loader = torch.utils.data.DataLoader([(torch.ones(3), 1)] * 8, batch_size=2)
loss_of = lambda model, batch: torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
"""


@pytest.mark.parametrize(
    "script",
    [A_TRAINING + THREE_LINES + STEERABLE, A_TORCH_TRAINING + OPENING + WITH_TORCH],
    ids=["three lines", "torch"],
)
def test_a_script_of_the_readme_runs_and_leaves_a_run_to_sync(script, tmp_path):
    (tmp_path / "train.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env=os.environ | {"SCALEWEB_MODE": "offline", "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("scaleweb-spool/*/*.batches")), done.stderr


def test_a_script_without_pytorch_does_not_load_it():
    code = "import sys, scaleweb_sdk; assert 'torch' not in sys.modules; scaleweb_sdk.nothing"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True)
    assert "module 'scaleweb_sdk' has no attribute 'nothing'" in done.stderr
