"""An environment of its own for each peer, below `.bench/`, with exact pins.

python -m benchmarks.peers.environments
"""

import subprocess
import sys
import venv
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / ".bench"
PINS = {
    "trackio": "trackio==0.43.0",
    "tensorboard": "tensorboard==2.21.0",
    "aim": "aim==3.29.1",
    "mlflow": "mlflow==3.17.2",
}
# What benchmarks.control compares itself with, which is no tool to watch runs with.
SEARCHES = {"optuna": "optuna==5.0.0"}


def python_of(peer: str) -> Path:
    return FOLDER / peer / "bin" / "python"


def ready(peer: str) -> str:
    """Install the peer if it is not; the sentence that says why it could not be, or ""."""
    pin = (PINS | SEARCHES)[peer]
    stamp = FOLDER / peer / "installed"
    if stamp.exists() and stamp.read_text() == pin + sys.version:
        return ""
    print(f"installing {pin} into {FOLDER.name}/{peer}", file=sys.stderr, flush=True)
    venv.create(FOLDER / peer, with_pip=True, clear=True, symlinks=True)
    command = [
        str(python_of(peer)),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        pin,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
        return f"{pin} cannot be installed on Python {sys.version.split()[0]}: {last[:300]}"
    stamp.write_text(pin + sys.version)
    return ""


def main() -> None:
    for peer in PINS:
        print(ready(peer) or f"{PINS[peer]} is there", flush=True)


if __name__ == "__main__":
    main()
