"""One run as a user would write it: a small network on scikit-learn's digits, recorded and steered by the SDK.

    python -m scripts.pictures.trained NAME --lr 0.1 --width 64 --seed 1 [--epochs 20] [--pause 0] [--crash]

It computes for a few seconds, and has of everything a page shows: metrics, coloured lines, a progress bar, images,
a table, histograms, sound, files, settings, an action, checkpoints.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import scaleweb_sdk

BATCH = 64


def softmax(scores: Any) -> Any:
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


class Network:
    """64 pixels, a hidden layer, 10 classes."""

    def __init__(self, width: int, draw: Any) -> None:
        self.first = draw.normal(0, 0.18, (64, width))
        self.second = draw.normal(0, (1 / width) ** 0.5, (width, 10))

    def classes(self, pixels: Any) -> tuple[Any, Any]:
        hidden = np.maximum(pixels @ self.first, 0)
        return hidden, softmax(hidden @ self.second)

    def learn(self, pixels: Any, labels: Any, lr: float, decay: float) -> tuple[float, float]:
        """(loss, norm of the gradient) of one step of gradient descent."""
        hidden, found = self.classes(pixels)
        rows = np.arange(len(labels))
        loss = float(-np.log(found[rows, labels] + 1e-12).mean())
        found[rows, labels] -= 1
        second = hidden.T @ found / len(labels)
        first = pixels.T @ (found @ self.second.T * (hidden > 0)) / len(labels)
        self.first -= lr * (first + decay * self.first)
        self.second -= lr * (second + decay * self.second)
        return loss, float(np.sqrt((first**2).sum() + (second**2).sum()))


def show(run: Any, network: Network, images: Any, pixels: Any, labels: Any, epoch: int) -> None:
    _, found = network.classes(pixels)
    guess = found.argmax(1)
    matrix = np.zeros((10, 10))
    np.add.at(matrix, (labels, guess), 1)
    run.log_image("confusion", np.kron(matrix / matrix.sum(1, keepdims=True), np.ones((12, 12))))
    wrong = np.flatnonzero(guess != labels)[:6]
    if len(wrong):
        run.log_image(
            "samples/wrong",
            [np.kron(images[each] / 16, np.ones((10, 10))) for each in wrong],
            caption=[f"{labels[each]} taken for {guess[each]}" for each in wrong],
        )
    doubt = np.argsort(found.max(1))[:40]
    rows = [[int(i), int(labels[i]), int(guess[i]), round(float(found[i].max()), 3)] for i in doubt]
    run.log_table("least certain", rows, columns=["id", "label", "predicted", "confidence"])
    run.log_histogram("weights/first", network.first.ravel())
    run.log_histogram("weights/second", network.second.ravel())
    run.log_text(
        "report", f"Epoch {epoch}: {len(wrong)} of the first six mistakes are shown under samples/wrong."
    )


def train(run: Any, options: argparse.Namespace) -> None:
    data = load_digits()
    pixels, labels = data.data / 16, data.target
    held_out = np.arange(len(labels)) % 5 == 0
    x, y = pixels[~held_out], labels[~held_out]
    draw = np.random.default_rng(options.seed)
    network = Network(options.width, draw)
    lr = run.tunable("lr", options.lr, low=1e-5, high=10.0, scale="log", role="learning_rate")
    decay = run.tunable("weight_decay", 1e-4, low=0.0, high=0.1, role="weight_decay")
    augment = run.tunable("augment", True, description="moves each image by a pixel at most")

    @run.action("evaluate now", description="on the held-out fifth")
    def evaluate() -> None:
        print("evaluated on request")

    folder = Path(tempfile.mkdtemp(dir=options.folder))
    steps = len(y) // BATCH
    print(f"\x1b[1mdigits\x1b[0m {len(y)} images, width {options.width}, seed {options.seed}")
    for epoch in range(options.epochs):
        order = draw.permutation(len(y))
        for step in range(steps):
            if run.should_stop:
                return
            rows = order[step * BATCH : (step + 1) * BATCH]
            batch = x[rows]
            if augment.value:
                batch = np.roll(batch.reshape(-1, 8, 8), draw.integers(-1, 2), axis=2).reshape(-1, 64)
            loss, norm = network.learn(batch, y[rows], float(lr), float(decay))
            figures = {"loss": loss, "grad_norm": norm, "train/images": (epoch * steps + step + 1) * BATCH}
            if step == steps - 1:
                _, found = network.classes(pixels[held_out])
                right = found.argmax(1) == labels[held_out]
                figures["val/accuracy"] = float(right.mean())
                figures["val/loss"] = float(
                    -np.log(found[np.arange(len(right)), labels[held_out]] + 1e-12).mean()
                )
            run.step(figures)
            time.sleep(options.pause)
            if step % 4 == 3 or step == steps - 1:
                done = (step + 1) / steps
                sys.stdout.write(f"\repoch {epoch:2d} [{'#' * int(30 * done):<30}] {done:4.0%}")
        sys.stdout.write("\n")
        print(
            f"\x1b[32mINFO\x1b[0m epoch {epoch} loss \x1b[1m{loss:.4f}\x1b[0m accuracy {figures['val/accuracy']:.4f}"
        )
        if norm > 3:
            print(
                f"\x1b[33mWARNING\x1b[0m gradient norm {norm:.1f}, the rate may be too high", file=sys.stderr
            )
        if epoch % 5 == 4:
            show(run, network, data.images[held_out], pixels[held_out], labels[held_out], epoch)
            path = folder / f"epoch-{epoch}.npz"
            np.savez(path, first=network.first, second=network.second)
            run.checkpointed(path, metrics={"val/accuracy": figures["val/accuracy"]}, reason="every 5 epochs")
        if options.crash and epoch == options.epochs - 1:
            raise FloatingPointError("loss is not finite: 3 of 64 labels are outside 0..9")
    moments = np.arange(8000) / 8000
    run.log_audio("bell", 0.5 * np.sin(2 * np.pi * 440 * moments) * np.exp(-3 * moments), rate=8000)
    report = folder / "predictions.csv"
    guess = network.classes(pixels[held_out])[1].argmax(1)
    report.write_text(
        "label,predicted\n" + "".join(f"{a},{b}\n" for a, b in zip(labels[held_out], guess, strict=True))
    )
    run.log_file(report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds after each step")
    parser.add_argument("--folder", required=True, help="for checkpoints and the spool")
    parser.add_argument("--crash", action="store_true")
    options = parser.parse_args()
    config = {
        "lr": options.lr,
        "seed": options.seed,
        "batch_size": BATCH,
        "model": {"width": options.width, "activation": "relu"},
        "optimizer": {"name": "sgd", "weight_decay": 1e-4},
        "data": {"name": "digits", "augment": True},
    }
    tags = ["sweep", "wide" if options.width > 64 else "narrow"]
    with scaleweb_sdk.init(
        experiment="Digits, width and rate",
        project="default",
        name=options.name,
        config=config,
        tags=tags,
        dir=options.folder,
    ) as run:
        train(run, options)


if __name__ == "__main__":
    main()
