"""A character-level GPT on text files; by default on Python's own library sources.

    python -m training.trainers.gpt --steps 3000
    python -m training.trainers.gpt --data ~/books --glob "*.txt"

Decoder of Radford et al. 2019 ("GPT-2"): learned positions, layer norm before each block, GELU, tied head.
Learning rate with linear warm-up and cosine decay, a LambdaLR like any script's: the control `lr` scales it.
The button "render sample" writes some lines of text as the model would.

An ordinary user of the SDK: under ScaleWeb it is seen and steered, alone it just trains.
Shapes: B batch, T time (characters), D model width, H heads, K = D / H, V vocabulary, F = 4 D.
"""

import argparse
import math
import os
import sys
import sysconfig
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler

import scaleweb_sdk
import scaleweb_sdk.torch
from training import accelerator

# Newline, tab and printable ASCII. All else is one sign, so that a stray letter does not widen the vocabulary.
ALPHABET = "\n\t" + "".join(chr(code) for code in range(32, 127))
UNKNOWN = len(ALPHABET)
VOCABULARY = UNKNOWN + 1


class BadText(ValueError):
    """There is no usable text: where it was looked for, and what was expected."""


def encode(text: str) -> Tensor:
    """Characters to tokens, shape (characters,)."""
    codes = {character: code for code, character in enumerate(ALPHABET)}
    return torch.tensor([codes.get(character, UNKNOWN) for character in text], dtype=torch.long)


def decode(tokens_T: Tensor) -> str:
    return "".join(
        ALPHABET[token] if token < UNKNOWN else "\N{REPLACEMENT CHARACTER}" for token in tokens_T.tolist()
    )


def read_text(folder: Path, pattern: str, most: int) -> str:
    """The files of `folder` that match, in order of name, up to `most` characters. Raises BadText."""
    if not folder.is_dir():
        raise BadText(f"{folder}: there is no such folder")
    parts: list[str] = []
    for path in sorted(folder.glob(pattern)):
        if path.is_file():
            parts.append(path.read_text(encoding="utf-8", errors="replace"))
        if sum(map(len, parts)) >= most:
            break
    text = "\n".join(parts)[:most]
    if len(text) < 10_000:
        raise BadText(f"{folder}: {len(text)} characters in files like {pattern}; expected at least 10,000")
    return text


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Every window of `length` characters, and the same one character on: what is to be foretold."""

    def __init__(self, tokens: Tensor, length: int) -> None:
        self.tokens, self.length = tokens, length

    def __len__(self) -> int:
        return len(self.tokens) - self.length

    def __getitem__(self, start: int) -> tuple[Tensor, Tensor]:
        window = self.tokens[start : start + self.length + 1]
        return window[:-1], window[1:]


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        split = self.query_key_value(self.norm_1(hidden_BTD)).chunk(3, dim=-1)
        query_BHTK, key_BHTK, value_BHTK = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in split
        )
        seen_BHTK = F.scaled_dot_product_attention(query_BHTK, key_BHTK, value_BHTK, is_causal=True)
        hidden_BTD = hidden_BTD + self.merge(seen_BHTK.transpose(1, 2).flatten(2))
        wide_BTF = F.gelu(self.widen(self.norm_2(hidden_BTD)))
        return hidden_BTD + self.narrow(wide_BTF)


class GPT(nn.Module):
    def __init__(self, length: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.length = length
        self.token = nn.Embedding(VOCABULARY, width)
        self.position = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                # What adds to the residual is drawn smaller, by the number of such additions (GPT-2).
                adds = name.endswith(("merge.weight", "narrow.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * layers) if adds else 0.02)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits, shape (B, T, V)."""
        places_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        hidden_BTD = self.token(tokens_BT) + self.position(places_T)
        for block in self.blocks:
            hidden_BTD = block(hidden_BTD)
        logits_BTV = self.norm(hidden_BTD) @ self.token.weight.T
        return logits_BTV

    @torch.no_grad()
    def write(
        self, prompt: str, characters: int, generator: torch.Generator, temperature: float = 0.8
    ) -> str:
        """`prompt` continued; drawn from its own generator, so that a sample does not change the training."""
        device = self.position.weight.device
        tokens_BT = encode(prompt)[None].to(device)
        for _ in range(characters):
            logits_V = self(tokens_BT[:, -self.length :])[0, -1] / temperature
            # Drawn on the CPU: the same sample for the same generator, wherever the model computes.
            token = torch.multinomial(logits_V.softmax(0).cpu(), 1, generator=generator).to(device)
            tokens_BT = torch.cat([tokens_BT, token[None]], dim=1)
        return decode(tokens_BT[0])


def schedule(warm_up: int, steps: int):  # -> step to factor
    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = min(1.0, (step - warm_up) / max(1, steps - warm_up))
        return 0.1 + 0.45 * (1 + math.cos(math.pi * done))

    return factor


def loss_of(model: GPT, inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
    """Mean cross-entropy in nats a character."""
    return F.cross_entropy(model(inputs_BT).flatten(0, 1), targets_BT.flatten())


@torch.no_grad()
def validate(model: GPT, tokens: Tensor, batches: int = 8, batch_size: int = 32) -> dict[str, float]:
    """Over the same windows each time, evenly spread over the held-out text."""
    model.eval()
    windows = Windows(tokens, model.length)
    starts = torch.linspace(0, len(windows) - 1, batches * batch_size).long().tolist()
    losses = []
    device = model.position.weight.device
    for first in range(0, len(starts), batch_size):
        pairs = [windows[start] for start in starts[first : first + batch_size]]
        inputs_BT, targets_BT = (torch.stack(side).to(device) for side in zip(*pairs, strict=True))
        losses.append(loss_of(model, inputs_BT, targets_BT).item())
    model.train()
    loss = sum(losses) / len(losses)
    return {"val/loss": loss, "val/bits_per_character": loss / math.log(2)}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.trainers.gpt", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--lr", type=float, default=3e-3, help="peak learning rate of AdamW")
    parser.add_argument("--steps", type=int, default=3000, help="optimiser steps")
    parser.add_argument("--warm-up", type=int, default=100, help="steps until the peak rate")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--clip", type=float, default=1.0, help="largest gradient norm")
    parser.add_argument("--length", type=int, default=64, help="characters in a window")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validate-every", type=int, default=100, help="steps between two validations")
    parser.add_argument("--checkpoint-every", type=int, default=200)
    parser.add_argument(
        "--data", type=Path, default=Path(sysconfig.get_path("stdlib")), help="folder of text files"
    )
    parser.add_argument("--glob", default="*.py", help="which files of the folder")
    parser.add_argument("--most-characters", type=int, default=2_000_000)
    # As many as the job was given (its node says so here); by hand one, for the neighbours' sake.
    given_cores = os.environ.get("OMP_NUM_THREADS") or "1"
    parser.add_argument("--threads", type=int, default=given_cores, help="cores to compute with")
    parser.add_argument(
        "--device", choices=accelerator.CHOICES, default="auto", help="auto: a GPU where one is given"
    )
    parser.add_argument("--experiment", default="library-gpt")
    given = parser.parse_args(argv)
    counts = ("steps", "threads", "warm_up", "batch_size", "length", "width", "heads", "layers")
    for name in (*counts, "validate_every", "most_characters"):
        if getattr(given, name) < 1:
            parser.error(f"--{name.replace('_', '-')} {getattr(given, name)}: expected at least 1")
    if given.width % given.heads:
        parser.error(f"--width {given.width} cannot be split over --heads {given.heads}")
    if not 0 < given.lr < math.inf:
        parser.error(f"--lr {given.lr}: expected a number above 0")
    if given.checkpoint_every < 0:
        parser.error(f"--checkpoint-every {given.checkpoint_every}: expected 0 (none between) or more")
    if not 0 <= given.weight_decay < math.inf:
        parser.error(f"--weight-decay {given.weight_decay}: expected 0 or more")
    if not given.clip > 0:
        parser.error(f"--clip {given.clip}: expected a norm above 0")
    return given


def train(args: argparse.Namespace) -> dict[str, float]:
    """Train as the arguments say; the last validation's figures. Raises BadText, NoSuchDevice."""
    device = accelerator.device_named(args.device)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokens = encode(read_text(args.data, args.glob, args.most_characters))
    held_out = len(tokens) // 20
    if held_out <= args.length:
        raise BadText(f"{args.data}: {len(tokens)} characters are too few for windows of {args.length}")
    windows = Windows(tokens[:-held_out], args.length)
    # Windows overlap, so an epoch means little: windows drawn anew each time, without an order of millions.
    sampler = RandomSampler(windows, replacement=True, num_samples=1000 * args.batch_size)
    loader = DataLoader(windows, batch_size=args.batch_size, sampler=sampler)
    model = GPT(args.length, args.width, args.heads, args.layers).to(device)
    decayed = [weight for weight in model.parameters() if weight.dim() >= 2]
    others = [weight for weight in model.parameters() if weight.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": args.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=args.lr, betas=(0.9, 0.95),
    )  # fmt: skip
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(args.warm_up, args.steps))
    config = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    config["parameters"] = sum(weight.numel() for weight in model.parameters())
    figures: dict[str, float] = {}
    with scaleweb_sdk.init(experiment=args.experiment, config=config) as run:
        loop = scaleweb_sdk.torch.attach(
            run, model, optimizer, loader,
            scheduler=scheduler, clip=args.clip, checkpoint_every=args.checkpoint_every,
        )  # fmt: skip

        @run.action("render sample", description="Write 200 characters to the log as the model would")
        def render_sample() -> None:
            model.eval()
            sample = model.write("def ", 200, torch.Generator().manual_seed(loop.step))
            model.train()
            print(f"--- sample after step {loop.step} ---\n{sample}\n---", flush=True)

        for step, (inputs_BT, targets_BT) in loop.batches(args.steps):
            with accelerator.passes(loop, device):
                loop.backward(loss_of(model, inputs_BT.to(device), targets_BT.to(device)))
            if loop.step == step and (step % args.validate_every == 0 or step == args.steps):
                figures = validate(model, tokens[-held_out:])
                run.log(figures, step=step)
                print(f"step {step}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()), flush=True)
    return figures


def main() -> int:
    try:
        train(arguments())
    except (BadText, accelerator.NoSuchDevice) as error:
        print(f"gpt: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
