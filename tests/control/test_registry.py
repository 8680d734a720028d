"""Policies of other packages: found by entry point, and never able to end a tick."""

from importlib.metadata import EntryPoint

import pytest

from control.decide import consider
from control.guards import InvalidSetting, Limits
from control.parameters import check_policies
from control.policies.divergence import Divergence
from control.registry import BUILT_IN, GROUP, build
from tests.control.make import seen


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


class Nameless(Good):
    name = ""


class Impostor(Good):
    name = "divergence"


class Mute(Good):
    propose = None


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
