"""A real training that its learning rate decides over: least squares on digits, which explodes above a sharp bound.

Run as a process of its own; the environment names the site and the run.
"""

import threading

import numpy as np

import scaleweb_sdk
from tests.support.digits import digits

PACE_SECONDS = 0.02  # leaves the machine's cores to the site and the browser


class Regression:
    """weights: float64, shape (64, 10)."""

    def __init__(self) -> None:
        self.images, labels = digits()
        self.targets = np.eye(10)[labels]
        self.random = np.random.default_rng(0)
        self.weights = np.zeros((64, 10))

    def step(self, lr: float, batch: int = 256) -> float:
        """One step of gradient descent on a random batch; the loss before it."""
        rows = self.random.integers(0, len(self.images), batch)
        off = self.images[rows] @ self.weights - self.targets[rows]
        self.weights -= lr * self.images[rows].T @ off / batch
        return float((off**2).sum(axis=1).mean())


def main() -> None:
    model = Regression()
    run = scaleweb_sdk.init(config={"model": "least squares", "batch_size": 256})
    lr = run.tunable("lr", 0.03, low=1e-4, high=10.0, scale="log", role="learning_rate")
    wait = threading.Event().wait
    with run:
        for _ in run.steps(100_000):
            run.step({"loss": model.step(float(lr)), "lr": float(lr)})
            wait(PACE_SECONDS)


if __name__ == "__main__":
    main()
