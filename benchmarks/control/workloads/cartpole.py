"""A pole on a cart learns to stand: policy gradient with a value baseline, Adam, eight poles at once.

The pole is that of Barto, Sutton and Anderson 1983 (IEEE Trans. SMC 13), with the masses, lengths and limits that are
usual since; the learner is an actor and critic over short stretches (Sutton and Barto 2018, 13.5, with n-step returns).
Progress is how long a pole stands by the moves and the falls of the last 128 steps, at most 500 moves.
"""

from collections import deque

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.control.workload import Built

NAME = "cartpole"
TARGET = 300.0
DIRECTION = "max"
RATES = (1e-4, 1e-1)
ADAM_RATE = 0.005
MEASURE_EVERY = 4
POLES, MOVES, DISCOUNT, LONGEST = 8, 2, 0.98, 500


class Poles:
    """Many carts at once, shape (poles, 4): position, speed, angle, speed of the angle."""

    def __init__(self, seed: int) -> None:
        self.dice = np.random.default_rng(seed)
        self.state = self.fresh(POLES)
        self.age = np.zeros(POLES, dtype=int)
        # Of each of the last moves; before the first, as if poles had stood for 20 moves, as they do by chance.
        self.ends: deque[int] = deque([0, 1, 0, 1, 0] * 26 * MOVES, maxlen=128 * MOVES)

    def fresh(self, count: int) -> np.ndarray:
        return self.dice.uniform(-0.05, 0.05, (count, 4))

    def move(self, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(fell, timed out); poles of both kinds are set up anew."""
        x, dx, angle, turn = self.state.T
        force = np.where(right, 10.0, -10.0)
        sine, cosine = np.sin(angle), np.cos(angle)
        pushed = (force + 0.05 * turn**2 * sine) / 1.1
        twist = (9.8 * sine - cosine * pushed) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
        speed = pushed - 0.05 * twist * cosine / 1.1
        self.state = np.stack(
            (x + 0.02 * dx, dx + 0.02 * speed, angle + 0.02 * turn, turn + 0.02 * twist), axis=1
        )
        self.age += 1
        fell = (np.abs(self.state[:, 0]) > 2.4) | (np.abs(self.state[:, 2]) > 12 * np.pi / 180)
        late = ~fell & (self.age >= LONGEST)
        ended = fell | late
        self.ends.append(int(ended.sum()))
        self.last = self.state.copy()
        self.state[ended] = self.fresh(int(ended.sum()))
        self.age[ended] = 0
        return fell, late


class Agent(torch.nn.Module):
    """(N, 4) to the logits of left and right (N, 2) and the return expected from there (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.Tanh())
        self.policy, self.value = torch.nn.Linear(64, 2), torch.nn.Linear(64, 1)

    def forward(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.body(seen)
        return self.policy(hidden), self.value(hidden)[:, 0]


def build(seed: int) -> Built:
    model, poles = Agent(), Poles(seed)
    scale = np.array([1.0, 1.0, 10.0, 1.0])

    def loss(_: object) -> torch.Tensor:
        weights = {name: each.detach().numpy().astype(np.float64) for name, each in model.named_parameters()}
        seen, moves, falls, lates, bounds = [], [], [], [], []
        for _ in range(MOVES):
            look = poles.state * scale
            hidden = np.tanh(look @ weights["body.0.weight"].T + weights["body.0.bias"])
            logits = hidden @ weights["policy.weight"].T + weights["policy.bias"]
            chance = 1 / (1 + np.exp(np.clip(logits[:, 0] - logits[:, 1], -50, 50)))
            right = poles.dice.random(POLES) < chance
            fell, late = poles.move(right)
            seen.append(look)
            moves.append(right)
            falls.append(fell)
            lates.append(late)
            bounds.append(poles.last * scale)
        seen_all = torch.tensor(np.concatenate([*seen, *bounds]), dtype=torch.float32)
        logits_all, value_all = model(seen_all)
        count = MOVES * POLES
        values, after = value_all[:count], value_all[count:].detach().view(MOVES, POLES)
        returns = torch.empty(MOVES, POLES)
        to_go = after[-1]
        for at in reversed(range(MOVES)):
            timed_out, dropped = torch.from_numpy(lates[at]), torch.from_numpy(falls[at])
            to_go = torch.where(timed_out, after[at], to_go).masked_fill(dropped, 0.0)
            to_go = 0.1 + DISCOUNT * to_go
            returns[at] = to_go
        flat = returns.flatten()
        advantage = flat - values.detach()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        chosen = torch.tensor(np.concatenate(moves)).long()
        logits = logits_all[:count]
        surprise = F.cross_entropy(logits, chosen, reduction="none")
        log_chance = logits.log_softmax(-1)
        entropy = -(log_chance.exp() * log_chance).sum(-1).mean()
        return (surprise * advantage).mean() + F.smooth_l1_loss(values, flat) - 0.01 * entropy

    def progress() -> float:
        moves = POLES * len(poles.ends)
        return min(float(LONGEST), moves / max(1, sum(poles.ends))) if moves else 1.0

    return Built(
        model=model,
        optimizer=lambda rate: torch.optim.Adam(model.parameters(), lr=rate),
        loss=loss,
        progress=progress,
    )
