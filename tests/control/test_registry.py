"""Policies of other packages: found by entry point, and never able to end a tick."""

import itertools
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from control.decide import consider
from control.guards import InvalidSetting, Limits
from control.parameters import check_policies
from control.policies.divergence import Divergence
from control.proposals import Alternative, Change, Expected, Proposal
from control.registry import BUILT_IN, GROUP, build
from tests.control.make import a_rate, seen


class Good:
    name = "good"
    summary = "Does nothing."
    defaults = {"enabled": True, "share": 0.5, "times": 3, "metric": "loss", "strict": False, "list": []}

    def propose(self, observation):
        return []


class Raises(Good):
    name = "raises"

    def propose(self, observation):
        raise KeyError("loss")


class Talks(Good):
    name = "talks"

    def propose(self, observation):
        return ["lower the rate"]


class FailsToStart(Good):
    def __init__(self):
        raise RuntimeError("no licence")


class EndsTheProcess(Good):
    def __init__(self):
        sys.exit("no licence")


class Nameless(Good):
    name = ""


class Impostor(Good):
    name = "divergence"


class Mute(Good):
    propose = None


class Greedy(Good):
    reads = "loss"


def point(name, target=None):
    return EntryPoint(name, f"tests.control.test_registry:{target or name}", GROUP)


def test_the_built_in_policies_are_there_without_any_package():
    assert [policy.name for policy in build(()).policies] == list(BUILT_IN)


def test_a_package_adds_a_policy_by_an_entry_point():
    registry = build((point("Good"),))
    assert registry.named("good").summary == "Does nothing."
    assert registry.problems == {}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("FailsToStart", "RuntimeError: no licence"),
        ("Nameless", "name"),
        ("Impostor", "taken"),
        ("Mute", "propose"),
        ("Greedy", "reads must be a tuple"),
        ("Missing", "AttributeError"),
    ],
)
def test_a_broken_package_is_reported_in_words_and_the_others_stay(target, words):
    registry = build((point("odd", target), point("Good")))
    assert words in registry.problems["odd"]
    assert [policy.name for policy in registry.policies] == [*BUILT_IN, "good"]


def test_a_policy_that_raises_or_answers_nonsense_is_reported_and_the_others_are_heard():
    loss = [2.3] * 300 + [float("nan")] * 20
    observation = seen(loss)
    considered, problems = consider(observation, [Raises(), Talks(), Divergence()], {}, Limits())
    assert [item.proposal.policy for item in considered] == ["divergence"]
    assert [(p.policy, p.message.split(":")[0]) for p in problems] == [
        ("raises", "KeyError"),
        ("talks", "TypeError"),
    ]


def test_a_policy_that_is_switched_off_is_not_asked():
    _, problems = consider(seen([1.0]), [Raises()], {"raises": {"enabled": False}}, Limits())
    assert problems == []


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ([], "policies", "map"),
        ({"none": {}}, "policies.none", "divergence"),
        ({"good": 3}, "policies.good", "map"),
        ({"good": {"shares": 1}}, "policies.good.shares", "share"),
        ({"good": {"share": "half"}}, "policies.good.share", "number"),
        ({"good": {"share": True}}, "policies.good.share", "number"),
        ({"good": {"share": float("nan")}}, "policies.good.share", "number"),
        ({"good": {"share": -1}}, "policies.good.share", "above 0"),
        ({"good": {"times": 1.5}}, "policies.good.times", "whole"),
        ({"good": {"metric": 1}}, "policies.good.metric", "text"),
        ({"good": {"strict": 1}}, "policies.good.strict", "true or false"),
        ({"good": {"enabled": "yes"}}, "policies.good.enabled", "true or false"),
        ({"good": {"list": {}}}, "policies.good.list", "list"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(settings, field, words):
    with pytest.raises(InvalidSetting) as error:
        check_policies(settings, build((point("Good"),)))
    assert error.value.field == field
    assert words in error.value.message


def test_parameters_of_the_defaults_types_are_taken():
    settings = {
        "good": {"share": 1, "times": 4.0, "metric": "", "strict": True, "list": [1], "enabled": False}
    }
    assert check_policies(settings, build((point("Good"),))) == settings


def answer(**fields):
    fields = {
        "policy": "odd", "changes": (Change("set", "lr", 0.05),), "reason": "r", "evidence": {},
        "expected": Expected(-0.1, -0.2, 0.0), "metric": "loss", "judge_after_steps": 100,
    } | fields  # fmt: skip
    return Proposal(**fields)


OTHER = Alternative((Change("set", "lr", 0.02),), "r", Expected(-0.1, -0.2, 0.0), 100)


def odd(made):
    class Odd(Good):
        name = "odd"

        def propose(self, observation):
            return made(observation) if callable(made) else made

    return Odd()


def leave(observation):
    sys.exit(3)


def spoil_points(observation):
    observation.windows["loss"].values[:] = 0.0


def spoil_bounds(observation):
    observation.tunables["lr"] = a_rate(high=1e9)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (None, "NoneType"),
        (lambda _: 7, "int"),
        (leave, "SystemExit"),
        (spoil_points, "read-only"),
        (spoil_bounds, "item assignment"),
        (lambda _: itertools.repeat(answer()), "at most 20"),
        ([answer(policy="divergence")], "its own policy"),
        ([answer(changes=None)], "changes must be a tuple"),
        ([answer(changes=("lr",))], "Change objects"),
        ([answer(changes=(Change("set", "lr", 0.1), Change("set", "lr", 0.2)))], "sets a tunable once"),
        ([answer(changes=(Change("set", "lr", object()),))], "value is object"),
        ([answer(changes=(Change("set", "l" * 201, 1),))], "201 characters"),
        ([answer(changes=(Change("an unheard-of verb"),))], "18 characters"),
        ([answer(changes=(Change("set", 7, 1),))], "tunable must be a text"),
        ([answer(reason=None)], "reason must be a text"),
        ([answer(evidence={"why": object()})], "evidence.why is object"),
        ([answer(evidence=[1])], "map of figures"),
        ([answer(expected=None)], "Expected"),
        ([answer(expected=Expected(float("nan"), 0, 0))], "finite"),
        ([answer(expected=Expected("half", 0, 0))], "finite"),
        ([answer(expected=Expected(0.0, -1.0, 1.0, low80=-0.5))], "both ends"),
        ([answer(expected=Expected(0.0, -1.0, 1.0, low80=-2.0, high80=0.5))], "within -1..1"),
        ([answer(alternatives=None)], "alternatives must be a tuple"),
        ([answer(alternatives=("lr",))], "Alternative objects"),
        ([answer(alternatives=(OTHER,) * 9)], "at most 8"),
        ([answer(changes=(Change("set", "clip", 0.5),), alternatives=(OTHER,))], "the same things"),
        ([answer(run=7)], "run must be a text"),
        ([answer(metric=None)], "metric must be a text"),
        ([answer(judge_after_steps=10**30)], "judge_after_steps"),
        ([answer(judge_after_steps=0.5)], "judge_after_steps"),
        ([answer(judge_after_steps=True)], "judge_after_steps"),
    ],
)
def test_rubbish_is_named_and_costs_nobody_else_anything(made, words):
    """Each of these would otherwise end the whole run's turn, or be stored where nothing can read it."""
    observation = seen([2.3] * 300 + [float("nan")] * 20)
    considered, problems = consider(observation, [odd(made), Divergence()], {}, Limits())
    assert [item.proposal.policy for item in considered] == ["divergence"]
    assert [p.policy for p in problems] == ["odd"]
    assert words in problems[0].message
    assert len(problems[0].message) <= 500


def test_a_policy_may_answer_in_numpys_own_numbers():
    made = answer(
        changes=[Change("set", "lr", np.float64(0.05))],
        evidence={"window": [np.int64(3), 4], "slopes": np.array([0.5, np.nan]), 7: (1, 2)},
        expected=Expected(np.float32(-0.5), np.int64(-1), 0),
        judge_after_steps=np.int64(50),
        trial=np.bool_(True),
    )
    (item,), problems = consider(seen([1.0] * 300), [odd([made])], {}, Limits())
    assert problems == []
    proposal = item.proposal
    told = dict(proposal.evidence)
    assert told.pop("belief")["action"] == "learning_rate /2"
    assert told == {"window": [3, 4], "slopes": [0.5, "NaN"], "7": [1, 2]}
    kinds = proposal.changes[0].value, proposal.judge_after_steps, proposal.trial, proposal.expected.low
    assert [type(kind) for kind in kinds] == [float, int, bool, float]


def test_a_package_that_ends_the_process_while_it_is_imported_is_reported_too():
    registry = build((point("odd", "EndsTheProcess"),))
    assert "SystemExit" in registry.problems["odd"]
