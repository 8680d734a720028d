"""When is a reward broken for good."""

import numpy as np
import pytest

from control.proposals import Goal
from tests.control.diverging import ask
from tests.control.make import a_window, noisy


def reward(*parts):
    """An agent's reward every fourth step, beside a loss that says nothing."""
    values = np.concatenate(parts)
    loss = noisy(np.ones(4 * len(values)), 0.3)
    return {"loss": loss, "goal": Goal("reward", "max"), "windows": {"reward": a_window(values, stride=4)}}


GROWS = noisy(20 * np.exp(np.arange(100) / 100), 0.1)


def test_an_agent_whose_reward_collapses_goes_back_to_before_it():
    (proposal,) = ask(**reward(GROWS, noisy(np.linspace(50, 8, 12), 0.1), noisy(8 * np.ones(31), 0.1)))
    assert proposal.evidence["kind"] == "collapse"
    assert proposal.metric == "reward"
    assert proposal.expected.effect > 1
    assert proposal.changes[0].value["step"] == 200
    assert "reward fell from" in proposal.reason


@pytest.mark.parametrize(
    "after",
    [
        noisy(30 * np.ones(40), 0.1),
        noisy(12 * np.ones(12), 0.1),
        noisy(np.linspace(10, 60, 40), 0.1),
        [0.0] * 40,
    ],
    ids=["wanders", "not for long", "comes back", "knows zero"],
)
def test_a_reward_that_wanders_is_left_alone(after):
    assert ask(**reward(GROWS, after)) == []


def test_an_agents_loss_that_rises_with_its_reward_is_no_trouble():
    rises = np.concatenate([noisy(np.ones(300), 0.05), noisy(5 * np.ones(100), 0.05)])
    fields = {"goal": Goal("reward", "max")}
    better = {"reward": a_window(noisy(20 * np.exp(np.arange(100) / 50), 0.05), stride=4)}
    fallen = {"reward": a_window(noisy(np.repeat([60.0, 30.0], [75, 25]), 0.05), stride=4)}
    assert ask(rises, windows=better, **fields) == []
    assert len(ask(rises, windows=fallen, **fields)) == 1


@pytest.mark.parametrize("parameters", [{}, {"metric": "reward"}])
def test_a_reward_that_shoots_up_is_no_trouble(parameters):
    """What is to grow is never read as a loss, not even where it is named as the metric or called one."""
    up = np.concatenate([noisy(np.ones(300), 0.05), noisy(50 * np.ones(60), 0.05)])
    goal = Goal("reward", "max")
    fields = {"goal": goal, "windows": {"reward": a_window(up)}, "parameters": parameters}
    assert ask(noisy(np.ones(360), 0.05), **fields) == []
    assert ask(up, goal=Goal("loss", "max"), parameters={"gradient_metric": ""}) == []
