"""A pole on a cart learns to stand: policy gradient with a value baseline on gymnasium's CartPole-v1.

    python -m training.trainers.cartpole --lr 0.01 --steps 400

REINFORCE (Williams 1992) with reward to go, minus what a second head expected (Sutton and Barto 2018, 13.4).
There is no loader here: each step plays some episodes with the policy as it is, so the loop runs over
`loop.steps()` and the script declares tunables of its own: discount and exploration (entropy).

An ordinary user of the SDK: under ScaleWeb it is seen and steered, alone it just trains.
Shapes: N moves of all episodes of a step, O = 4 observed values, A = 2 actions.
"""

import argparse
import math
import os
from dataclasses import dataclass

import gymnasium
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import scaleweb_sdk
import scaleweb_sdk.torch

OBSERVED, ACTIONS = 4, 2


class Agent(nn.Module):
    """(N, O) to action logits (N, A) and the return expected from there (N,)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(OBSERVED, width), nn.Tanh())
        self.policy = nn.Linear(width, ACTIONS)
        self.value = nn.Linear(width, 1)

    def forward(self, seen_NO: Tensor) -> tuple[Tensor, Tensor]:
        hidden_NW = self.body(seen_NO)
        return self.policy(hidden_NW), self.value(hidden_NW)[:, 0]


@dataclass(frozen=True)
class Played:
    seen_NO: Tensor
    actions_N: Tensor
    returns_N: Tensor  # discounted sum of the rewards from each move on
    lengths: list[int]  # moves of each episode


@torch.no_grad()
def play(agent: Agent, environment: gymnasium.Env, moves: int, discount: float) -> Played:
    """Whole episodes until there are at least `moves` moves. Draws actions from torch's generator."""
    seen: list[Tensor] = []
    actions: list[int] = []
    returns: list[float] = []
    lengths: list[int] = []
    while len(actions) < moves:
        state, _ = environment.reset(seed=int(torch.randint(2**31, ()).item()))
        rewards: list[float] = []
        ended = False
        while not ended:
            state_O = torch.from_numpy(state)
            logits_A = agent.policy(agent.body(state_O))
            action = int(torch.multinomial(logits_A.softmax(-1), 1))
            seen.append(state_O)
            actions.append(action)
            state, reward, fell, timed_out, _ = environment.step(action)
            rewards.append(float(reward))
            ended = fell or timed_out
        total, to_go = 0.0, []
        for reward in reversed(rewards):
            total = reward + discount * total
            to_go.append(total)
        returns += to_go[::-1]
        lengths.append(len(rewards))
    return Played(torch.stack(seen), torch.tensor(actions), torch.tensor(returns), lengths)


def loss_of(agent: Agent, played: Played, entropy_weight: float) -> tuple[Tensor, dict[str, float]]:
    """Policy loss + value loss - entropy bonus, and the parts."""
    logits_NA, value_N = agent(played.seen_NO)
    surprise_N = F.cross_entropy(logits_NA, played.actions_N, reduction="none")
    advantage_N = played.returns_N - value_N.detach()
    advantage_N = (advantage_N - advantage_N.mean()) / (advantage_N.std() + 1e-6)
    policy_loss = (surprise_N * advantage_N).mean()
    # Returns run up to 100: Huber keeps the value head from drowning the policy in the shared body.
    value_loss = F.smooth_l1_loss(value_N, played.returns_N)
    log_NA = logits_NA.log_softmax(-1)
    entropy = -(log_NA.exp() * log_NA).sum(-1).mean()
    loss = policy_loss + 0.05 * value_loss - entropy_weight * entropy
    return loss, {
        "policy_loss": policy_loss.item(), "value_loss": value_loss.item(), "entropy": entropy.item(),
    }  # fmt: skip


@torch.no_grad()
def validate(agent: Agent, environment: gymnasium.Env, episodes: int = 5) -> dict[str, float]:
    """The best action each time, from the same starts each time."""
    moves = 0
    for seed in range(episodes):
        state, _ = environment.reset(seed=seed)
        ended = False
        while not ended:
            action = int(agent.policy(agent.body(torch.from_numpy(state))).argmax())
            state, _, fell, timed_out, _ = environment.step(action)
            moves += 1
            ended = fell or timed_out
    return {"val/moves": moves / episodes}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.trainers.cartpole", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate of Adam")
    parser.add_argument("--steps", type=int, default=400, help="optimiser steps")
    parser.add_argument("--moves", type=int, default=512, help="moves to play before each step, at least")
    parser.add_argument("--discount", type=float, default=0.99, help="weight of the next reward, 0..1")
    parser.add_argument("--entropy", type=float, default=0.01, help="weight of the entropy bonus")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--clip", type=float, default=1.0, help="largest gradient norm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validate-every", type=int, default=20, help="steps between two validations")
    parser.add_argument("--checkpoint-every", type=int, default=50)
    # As many as the job was given (its node says so here); by hand one, for the neighbours' sake.
    given_cores = os.environ.get("OMP_NUM_THREADS") or "1"
    parser.add_argument("--threads", type=int, default=given_cores, help="cores to compute with")
    parser.add_argument("--experiment", default="cartpole")
    given = parser.parse_args(argv)
    for name in ("steps", "threads", "moves", "width", "validate_every"):
        if getattr(given, name) < 1:
            parser.error(f"--{name.replace('_', '-')} {getattr(given, name)}: expected at least 1")
    if not 0 < given.lr < math.inf:
        parser.error(f"--lr {given.lr}: expected a number above 0")
    if given.checkpoint_every < 0:
        parser.error(f"--checkpoint-every {given.checkpoint_every}: expected 0 (none between) or more")
    for name in ("discount", "entropy"):
        if not 0 <= getattr(given, name) <= 1:
            parser.error(f"--{name} {getattr(given, name)}: expected 0 to 1")
    if not given.clip > 0:
        parser.error(f"--clip {given.clip}: expected a norm above 0")
    return given


def train(args: argparse.Namespace) -> dict[str, float]:
    """Train as the arguments say; the last validation's figures."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    environment = gymnasium.make("CartPole-v1")
    agent = Agent(args.width)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.lr)
    figures: dict[str, float] = {}
    with scaleweb_sdk.init(experiment=args.experiment, config=vars(args)) as run:
        discount = run.tunable(
            "discount", args.discount, low=0.0, high=1.0, description="Weight of the next move's reward."
        )
        entropy = run.tunable(
            "entropy_weight", args.entropy, low=0.0, high=1.0, description="Pull towards trying all actions."
        )
        loop = scaleweb_sdk.torch.attach(
            run, agent, optimizer, clip=args.clip, checkpoint_every=args.checkpoint_every
        )
        for step in loop.steps(args.steps):
            played = play(agent, environment, args.moves, float(discount))
            loss, parts = loss_of(agent, played, float(entropy))
            loop.backward(loss, parts | {"moves": sum(played.lengths) / len(played.lengths)})
            if step % args.validate_every == 0 or step == args.steps:
                figures = validate(agent, environment)
                run.log(figures, step=step)
                print(f"step {step}: val/moves {figures['val/moves']:.1f}", flush=True)
    environment.close()
    return figures


def main() -> int:
    train(arguments())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
