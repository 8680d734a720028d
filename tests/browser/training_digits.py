"""A real training for the browser tests: softmax regression on digits under the SDK, steered like any other.

Run as a process of its own; the environment names the site and the run. Saves and restores its weights.
"""

import os
import threading
from pathlib import Path

import numpy as np

import scaleweb_sdk
from tests.support.digits import digits

PACE_SECONDS = 0.02  # leaves the machine's cores to the site and the browser


class Softmax:
    """weights: float64, shape (64, 10)."""

    def __init__(self) -> None:
        self.images, labels = digits()
        self.labels = np.eye(10)[labels]
        self.random = np.random.default_rng(0)
        self.weights = np.zeros((64, 10))

    def step(self, lr: float, batch: int = 64) -> float:
        """One step of gradient descent on a random batch; the loss before it."""
        rows = self.random.integers(0, len(self.images), batch)
        scores = self.images[rows] @ self.weights
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        loss = -np.log((odds * self.labels[rows]).sum(axis=1) + 1e-12).mean()
        self.weights -= lr * self.images[rows].T @ (odds - self.labels[rows]) / batch
        return float(loss)


def main() -> None:
    folder = Path(os.environ["SCALEWEB_CHECKPOINT_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    model = Softmax()
    run = scaleweb_sdk.init(config={"model": "softmax", "batch_size": 64})
    lr = run.tunable("lr", 0.1, low=1e-4, high=10.0, scale="log", role="learning_rate")
    run.tunable("augment", False, description="Shift the digits")
    run.tunable("schedule", "constant", choices=["constant", "cosine", "linear"])
    run.tunable("patience", 5)

    @run.on_checkpoint
    def save() -> None:
        path = folder / f"{run.current_step}-{run.branch}.npy"
        np.save(path, model.weights)
        run.checkpointed(path, reason="asked for")

    @run.on_rollback
    def restore(checkpoint: dict) -> None:
        model.weights = np.load(checkpoint["path"], allow_pickle=False)
        run.branched(checkpoint["step"], "rollback")

    @run.action("print weights", "Their mean, into the log")
    def show() -> None:
        print(f"mean weight {model.weights.mean():.4f}")

    wait = threading.Event().wait
    with run:
        for step in run.steps(100_000):
            loss = model.step(float(lr))
            run.step({"loss": loss, "lr": float(lr)})
            if step % 25 == 0:
                print(f"step {step} loss {loss:.4f}", flush=True)
            wait(PACE_SECONDS)


if __name__ == "__main__":
    main()
