"""An image classifier: conv 32 3x3, ReLU, max-pool, flatten, dense 10, on handwritten digits.

    python -m training.trainers.cnn --lr 0.1 --steps 3000
    python -m training.trainers.cnn --data ~/fashion-mnist     # IDX files, .gz or plain

Without --data it learns scikit-learn's bundled digits (1,797 of 8 x 8), brought to 28 x 28 and turned, moved,
scaled and covered with noise anew each time, so that there is something to learn for some minutes.

An ordinary user of the SDK: under ScaleWeb it is seen and steered, alone it just trains.
Shapes: B batch, N images, H = W = 28.
"""

import argparse
import math
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import scaleweb_sdk
import scaleweb_sdk.torch
from training import accelerator
from training.idx import BadIdxFile, read_labelled_images

SIDE = 28
CLASSES = 10


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images (N, 1, 28, 28) in 0..1 and labels (N,), then the same for validation.

    Every fifth image of the data set's own order validates: the split does not depend on a seed.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    small_N1hw = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    # 20 x 20 in the middle of 28 x 28, as MNIST's digits sit.
    images_N1HW = F.pad(
        F.interpolate(small_N1hw, (20, 20), mode="bilinear", align_corners=False), (4, 4, 4, 4)
    )
    labels_N = torch.tensor(data.target)
    held_out = torch.arange(len(labels_N)) % 5 == 0
    return images_N1HW[~held_out], labels_N[~held_out], images_N1HW[held_out], labels_N[held_out]


def idx_folder(folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same from a folder of IDX files, part t10k validating. Raises BadIdxFile."""
    tensors = []
    for part in ("train", "t10k"):
        images, labels = read_labelled_images(folder, part)
        if images.shape[1:] != (SIDE, SIDE):
            raise BadIdxFile(
                f"{folder}: {part} images are {images.shape[1]} x {images.shape[2]}; expected 28 x 28"
            )
        if labels.max() >= CLASSES:
            raise BadIdxFile(f"{folder}: a {part} label is {labels.max()}; expected 0 to {CLASSES - 1}")
        tensors += [
            torch.from_numpy(images.copy())[:, None].float() / 255,
            torch.from_numpy(labels.copy()).long(),
        ]
    return tensors[0], tensors[1], tensors[2], tensors[3]


class TooFewImages(ValueError):
    """A batch cannot be filled; the message says with how many images."""


class Augmented(Dataset[tuple[Tensor, Tensor]]):
    """Images turned by up to 10 degrees, scaled by 0.9 to 1.1, moved by up to 1 pixel, under noise."""

    def __init__(self, images_N1HW: Tensor, labels_N: Tensor, noise: float) -> None:
        self.images_N1HW, self.labels_N, self.noise = images_N1HW, labels_N, noise

    def __len__(self) -> int:
        return len(self.labels_N)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images_B1HW, labels_B = self.__getitems__([index])
        return images_B1HW[0], labels_B[0]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """A whole batch at once: one affine map for each image, all in one call."""
        images_B1HW = self.images_N1HW[indices]
        count = len(indices)
        angle_B = torch.deg2rad(torch.empty(count).uniform_(-10, 10))
        scale_B = torch.empty(count).uniform_(0.9, 1.1)
        shift_B2 = torch.empty(count, 2).uniform_(-1, 1) * 2 / SIDE
        cos_B, sin_B = torch.cos(angle_B) / scale_B, torch.sin(angle_B) / scale_B
        map_B23 = torch.stack(
            [torch.stack([cos_B, -sin_B], 1), torch.stack([sin_B, cos_B], 1), shift_B2], dim=2
        )
        grid_BHW2 = F.affine_grid(map_B23, [count, 1, SIDE, SIDE], align_corners=False)
        turned_B1HW = F.grid_sample(images_B1HW, grid_BHW2, align_corners=False)
        return turned_B1HW + self.noise * torch.randn_like(turned_B1HW), self.labels_N[indices]


def as_is(batch: Any) -> Any:
    """`Augmented` makes whole batches; there is nothing left to collate."""
    return batch


def network() -> nn.Module:
    """(B, 1, 28, 28) to logits (B, 10). No softmax: cross-entropy takes logits."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 13 * 13, CLASSES)
    )


@torch.no_grad()
def validate(model: nn.Module, images_N1HW: Tensor, labels_N: Tensor) -> dict[str, float]:
    model.eval()
    logits_NC = torch.cat([model(part) for part in images_N1HW.split(500)])
    model.train()
    return {
        "val/loss": F.cross_entropy(logits_NC, labels_N).item(),
        "val/accuracy": (logits_NC.argmax(1) == labels_N).float().mean().item(),
    }


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.trainers.cnn", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate of SGD with momentum 0.9")
    parser.add_argument("--steps", type=int, default=3000, help="optimiser steps")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument(
        "--noise", type=float, default=0.1, help="standard deviation of the noise on an image"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="loader processes")
    parser.add_argument("--validate-every", type=int, default=50, help="steps between two validations")
    parser.add_argument("--checkpoint-every", type=int, default=100)
    parser.add_argument("--data", type=Path, help="folder of MNIST or Fashion-MNIST IDX files")
    # As many as the job was given (its node says so here); by hand one, for the neighbours' sake.
    given_cores = os.environ.get("OMP_NUM_THREADS") or "1"
    parser.add_argument("--threads", type=int, default=given_cores, help="cores to compute with")
    parser.add_argument(
        "--device", choices=accelerator.CHOICES, default="auto", help="auto: a GPU where one is given"
    )
    parser.add_argument("--experiment", default="digits")
    given = parser.parse_args(argv)
    for name in ("steps", "threads", "batch_size", "validate_every"):
        if getattr(given, name) < 1:
            parser.error(f"--{name.replace('_', '-')} {getattr(given, name)}: expected at least 1")
    if not 0 < given.lr < math.inf:
        parser.error(f"--lr {given.lr}: expected a number above 0")
    if given.checkpoint_every < 0:
        parser.error(f"--checkpoint-every {given.checkpoint_every}: expected 0 (none between) or more")
    for name in ("weight_decay", "noise", "workers"):
        if not 0 <= getattr(given, name) < math.inf:
            parser.error(f"--{name.replace('_', '-')} {getattr(given, name)}: expected 0 or more")
    return given


def train(args: argparse.Namespace) -> dict[str, float]:
    """Train as the arguments say; the last validation's figures. Raises BadIdxFile, TooFewImages, NoSuchDevice."""
    device = accelerator.device_named(args.device)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    train_N1HW, train_N, val_N1HW, val_N = idx_folder(args.data) if args.data else digits()
    if args.batch_size > len(train_N):
        raise TooFewImages(
            f"--batch-size {args.batch_size} is more than the {len(train_N)} images to train on"
        )
    # What validates is turned and noisy too, but the same each time, whatever the seed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        val_N1HW, val_N = Augmented(val_N1HW, val_N, args.noise).__getitems__(list(range(len(val_N))))
    val_N1HW, val_N = val_N1HW.to(device), val_N.to(device)
    loader = DataLoader(
        Augmented(train_N1HW, train_N, args.noise),
        batch_size=args.batch_size, shuffle=True, drop_last=True, num_workers=args.workers, collate_fn=as_is,
    )  # fmt: skip
    model = network().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=args.weight_decay)
    config = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    figures: dict[str, float] = {}
    with scaleweb_sdk.init(experiment=args.experiment, config=config) as run:
        loop = scaleweb_sdk.torch.attach(
            run, model, optimizer, loader, clip=None, checkpoint_every=args.checkpoint_every
        )
        loop.offer_algorithms(lambda model: validate(model, val_N1HW, val_N), val_N1HW[: args.batch_size])
        for step, (images_B1HW, labels_B) in loop.batches(args.steps):
            images_B1HW, labels_B = images_B1HW.to(device), labels_B.to(device)
            with accelerator.passes(loop, device):
                logits_BC = model(images_B1HW)
                correct_B = logits_BC.detach().argmax(1) == labels_B
                accuracy = correct_B.float().mean().item()
                loop.backward(F.cross_entropy(logits_BC, labels_B), {"accuracy": accuracy})
            if loop.step == step and (step % args.validate_every == 0 or step == args.steps):
                figures = validate(model, val_N1HW, val_N)
                run.log(figures, step=step)
                print(f"step {step}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()), flush=True)
    return figures


def main() -> int:
    try:
        train(arguments())
    except (BadIdxFile, TooFewImages, accelerator.NoSuchDevice) as error:
        print(f"cnn: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
