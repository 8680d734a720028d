"""A training with a progress bar within another one, as tqdm draws them, until a file `gate` lies beside its spool."""

import os
import sys
import threading
from pathlib import Path

import scaleweb_sdk

gate = Path(os.environ["SCALEWEB_SPOOL_DIR"]).parent / "gate"
pause = threading.Event().wait
run = scaleweb_sdk.init()
for number in range(200):
    print("line", number)
step = 0
sys.stderr.write("\rall epochs")
while not gate.exists():
    step += 1
    run.step({"loss": 1.0 / step})
    sys.stderr.write(f"\n\repoch 1: \x1b[32m{step:6}\x1b[0m of many\x1b[A")
    pause(0.01)
sys.stderr.write("\n\r                    \x1b[A\rall epochs are over\n")
while not run.should_stop:
    run.step({"loss": 1.0})
    pause(0.01)
run.finish()
