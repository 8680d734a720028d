"""A character GPT on the descriptions of scikit-learn's data sets (some 60,000 characters), AdamW.

Decoder of Radford et al. 2019 in small: learned positions, layer norm before each block, tied head.
Shapes: B batch, T time (characters), D model width, V vocabulary.
"""

from pathlib import Path

import sklearn.datasets
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.control.workload import Built, Rows, batches

NAME = "gpt"
TARGET = 2.3
RATES = (1e-4, 1e-1)
ADAM_RATE = 0.005
TIME, WIDTH, HEADS, BLOCKS, VOCABULARY = 24, 24, 2, 1, 97


def text() -> str:
    folder = Path(str(sklearn.datasets.__file__)).parent / "descr"
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.rst")))


def encode(characters: str) -> Tensor:
    """Printable ASCII from 1 on, a new line as 0, all else as the last token."""
    codes = [0 if c == "\n" else ord(c) - 31 if 32 <= ord(c) < 127 else VOCABULARY - 1 for c in characters]
    return torch.tensor(codes)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x_BTD: Tensor) -> Tensor:
        batch, time, _ = x_BTD.shape
        qkv = self.query_key_value(self.before(x_BTD)).view(batch, time, 3, HEADS, WIDTH // HEADS)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x_BTD = x_BTD + self.out(seen.transpose(1, 2).reshape(batch, time, WIDTH))
        return x_BTD + self.narrow(F.gelu(self.wide(self.between(x_BTD))))


class Gpt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.letters = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Parameter(0.02 * torch.randn(TIME, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.last = nn.LayerNorm(WIDTH)
        nn.init.normal_(self.letters.weight, std=0.02)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.letters(tokens_BT) + self.places
        return self.last(self.blocks(x_BTD)) @ self.letters.weight.T


def build(seed: int) -> Built:
    tokens = encode(text())
    windows = tokens.unfold(0, TIME + 1, 1)
    cut = int(0.9 * len(tokens))
    held = windows[cut :: TIME + 1][:96]
    model = Gpt()

    def surprise(windows_BT: Tensor) -> Tensor:
        logits_BTV = model(windows_BT[:, :-1])
        return F.cross_entropy(logits_BTV.flatten(0, 1), windows_BT[:, 1:].flatten())

    @torch.no_grad()
    def progress() -> float:
        return float(surprise(held))

    return Built(
        model=model,
        optimizer=lambda rate: torch.optim.AdamW(model.parameters(), lr=rate, fused=True),
        loss=lambda batch: surprise(batch[0]),
        progress=progress,
        loader=batches(Rows(windows[: cut - TIME]), 16, seed),
    )
