"""What no policy gets past, and in which words it is refused."""

from dataclasses import replace

import pytest

from control.guards import PLAN_CHANGES, InvalidSetting, Limits, Rule, already_said, check, waits_for_a_word
from control.proposals import Change, Expected, Proposal, TunableView
from tests.control.make import a_checkpoint, a_past, a_rate, seen

LIMITS = Limits(max_factor=10, cooldown_steps=50, max_changes=5, hands_off_seconds=120)
STOP = Change("stop", value={"why": "it cannot reach the best"})
ADOPT = Change("adopt", value={"run": "other", "checkpoint": 3, "step": 50, "path": "/c/3"})
BACK = Change("rollback", value={"checkpoint": 101, "step": 100})


def proposal(*changes, **fields):
    changes = changes or (Change("set", "lr", 0.05),)
    fields = {
        "policy": "p",
        "reason": "r",
        "evidence": {},
        "metric": "loss",
        "judge_after_steps": 100,
    } | fields
    return Proposal(changes=tuple(changes), expected=Expected(-0.1, -0.2, 0.0), **fields)


def at(step=1000, **fields):
    fields = {"checkpoints": (a_checkpoint(100),)} | fields
    return seen([1.0] * 10, step=step, **fields)


def test_a_modest_change_of_a_running_run_passes():
    assert check(proposal(), at(), LIMITS) is None
    assert check(proposal(BACK, Change("set", "lr", 0.05)), at(), LIMITS) is None


def proving(value, since=0, **fields):
    checkpoint = a_checkpoint(100, settings={"lr": {"value": value, "since": since}})
    return seen([1.0] * 200, **{"checkpoints": (checkpoint,), "rate": a_rate(1.0)} | fields)


@pytest.mark.parametrize(
    ("changes", "observation", "rule"),
    [
        ((BACK, Change("set", "lr", 0.001)), proving(0.001), None),
        ((Change("set", "lr", 0.001),), proving(0.001), Rule.STEP),
        ((BACK, Change("set", "lr", 0.002)), proving(0.001), Rule.STEP),
        ((BACK, Change("set", "lr", 0.001)), proving(0.001, since=90), Rule.STEP),
        ((BACK, Change("set", "lr", 0.001)), proving(0.001, first_step=500), Rule.STEP),
        ((BACK, Change("set", "lr", 0.001)), at(rate=a_rate(1.0)), Rule.STEP),
        ((BACK, Change("set", "lr", 1e-9)), proving(1e-9), Rule.BOUNDS),
        (
            (BACK, Change("set", "lr", 0.001)),
            proving(0.001, rate=a_rate(1.0, person_seconds_ago=5)),
            Rule.PERSON,
        ),
    ],
    ids=[
        "a return", "no roll back with it", "another value", "held for ten steps", "out of sight", "not told",
        "out of bounds", "a person's hand",
    ],
)  # fmt: skip
def test_a_return_to_a_value_proven_at_the_checkpoint_may_be_longer_than_a_leap(changes, observation, rule):
    refusal = check(proposal(*changes, urgency=True), observation, LIMITS)
    assert (refusal and refusal.rule) == rule


INT = TunableView("batch", "int", 32, low=1, high=512)
FLAG = TunableView("flag", "bool", False)
MENU = TunableView("menu", "choice", "a", choices=("a", "b"))
FREE = TunableView("free", "float", 0.0)
SIGNED = TunableView("shift", "float", 0.0, low=-1.0, high=1.0)


@pytest.mark.parametrize(
    ("change", "fields", "rule", "words"),
    [
        (Change("set", "lr", 2.0), {}, Rule.BOUNDS, "1e-06..1"),
        (Change("set", "lr", float("nan")), {}, Rule.BOUNDS, "nan"),
        (Change("set", "lr", float("inf")), {"rate": a_rate(high=None)}, Rule.BOUNDS, "inf"),
        (Change("set", "lr", "0.05"), {}, Rule.BOUNDS, "number"),
        (Change("set", "lr", True), {}, Rule.BOUNDS, "number"),
        (Change("set", "lr", 0.1), {}, Rule.NO_CHANGE, "already"),
        (Change("set", "lr", 0.001), {}, Rule.STEP, "factor of 100"),
        (Change("set", "other", 1.0), {}, Rule.NO_TUNABLE, "it has: lr"),
        (Change("set", "batch", 32.5), {"rate": INT}, Rule.BOUNDS, "whole"),
        (Change("set", "batch", float("inf")), {"rate": INT}, Rule.BOUNDS, "inf"),
        (Change("set", "batch", float("nan")), {"rate": INT}, Rule.BOUNDS, "nan"),
        (Change("set", "batch", 10**40), {"rate": replace(INT, high=None)}, Rule.BOUNDS, "too large"),
        (Change("set", "lr", [0.05]), {}, Rule.BOUNDS, "number"),
        (Change("set", "lr", -0.1), {"rate": a_rate(low=None)}, Rule.BOUNDS, "log scale"),
        (Change("set", "free", 1e9), {"rate": FREE}, Rule.STEP, "no range"),
        (Change("set", "free", -1.0), {"rate": replace(FREE, value=1.0)}, Rule.STEP, "no range"),
        (Change("set", "free", 2.0), {"rate": replace(FREE, value=1.0)}, None, ""),
        (Change("set", "menu", True), {"rate": replace(MENU, choices=("a", 1))}, Rule.BOUNDS, "menu"),
        (Change("set", "flag", 1), {"rate": FLAG}, Rule.BOUNDS, "true or false"),
        (Change("set", "menu", "c"), {"rate": MENU}, Rule.BOUNDS, "'a', 'b'"),
        (Change("set", "shift", -1.0), {"rate": SIGNED}, None, ""),
        (Change("set", "shift", -0.9), {"rate": replace(SIGNED, value=0.9)}, Rule.STEP, "half"),
        (Change("set", "lr", 0.05), {"state": "paused"}, Rule.NOT_RUNNING, "paused"),
        (Change("set", "lr", 0.05), {"state": "stopping"}, Rule.NOT_RUNNING, "stopping"),
        (Change("set", "lr", 0.05), {"rate": a_rate(person_seconds_ago=60)}, Rule.PERSON, "60 s ago"),
        (Change("set", "lr", 0.05), {"rate": a_rate(person_seconds_ago=121)}, None, ""),
        (Change("rollback", value={"checkpoint": 7}), {}, Rule.CHECKPOINT, "7"),
        (Change("rollback", value=None), {}, Rule.CHECKPOINT, "None"),
        (Change("pause"), {}, Rule.VERB, "pause"),
        (Change("stop"), {}, Rule.VALUE, "says why"),
        (Change("stop", value={"why": " "}), {}, Rule.VALUE, "says why"),
        (STOP, {}, Rule.CONSENT, "may_stop"),
        (STOP, {"parameters": {"may_stop": 1}}, Rule.CONSENT, "may_stop"),
        (STOP, {"parameters": {"may_stop": True}}, None, ""),
        (STOP, {"mode": "advise"}, None, ""),
        (STOP, {"mode": "advise", "person_seconds_ago": 30.0}, Rule.PERSON, "30 s ago"),
        (ADOPT, {}, None, ""),
        (ADOPT, {"offers": frozenset({"stop"})}, Rule.VERB, "it offers stop"),
        (ADOPT, {"offers": frozenset({"adopt"})}, None, ""),
        (ADOPT, {"person_seconds_ago": 30.0}, Rule.PERSON, "30 s ago"),
        (Change("adopt", value={**ADOPT.value, "run": "abc"}), {}, Rule.CHECKPOINT, "rolled back to"),
        (Change("adopt", value={"run": "other"}), {}, Rule.CHECKPOINT, "names"),
        (Change("adopt", value="other"), {}, Rule.CHECKPOINT, "names"),
        (Change("prune", value={"ratio": 0.5}), {}, Rule.CONSENT, "may_prune"),
        (Change("prune", value={"ratio": 0.5}), {"parameters": {"may_prune": True}}, None, ""),
        (Change("quantise", value={}), {"mode": "observe"}, None, ""),
        (Change("compile"), {}, None, ""),
        (Change("compile", value=3), {}, Rule.VALUE, "map of settings"),
    ],
)
@pytest.mark.parametrize("urgency", [False, True])
def test_no_change_passes_bounds_size_or_a_persons_hand_however_urgent(change, fields, rule, words, urgency):
    refusal = check(proposal(change, urgency=urgency), at(**fields), LIMITS)
    assert (refusal and refusal.rule) == rule
    if refusal:
        assert words in refusal.sentence


@pytest.mark.parametrize(
    ("past", "urgency", "rule"),
    [
        ({"state": "applied"}, False, Rule.OPEN),
        ({"state": "sent"}, True, Rule.OPEN),
        ({"state": "proposed"}, False, Rule.OPEN),
        ({"state": "proposed"}, True, None),
        ({"state": "proposed", "urgent": True}, True, Rule.OPEN),
        ({"state": "applied", "tunable": "clip"}, False, None),
        ({"state": "judged", "applied_step": 960}, False, Rule.COOLDOWN),
        ({"state": "judged", "applied_step": 960}, True, None),
        ({"state": "judged", "applied_step": 950}, False, None),
        ({"state": "judged", "applied_step": 1300}, False, None),
        ({"state": "recorded", "applied_step": None, "decided_step": 990}, False, None),
        ({"state": "undone", "applied_step": 990, "tunable": "", "verb": "rollback"}, False, Rule.COOLDOWN),
    ],
)
def test_one_open_change_a_tunable_and_a_cool_down_that_only_a_rescue_overrides(past, urgency, rule):
    refusal = check(proposal(urgency=urgency), at(past=(a_past(**past),)), LIMITS)
    assert (refusal and refusal.rule) == rule


@pytest.mark.parametrize("name", ["lr", "clip"])
def test_every_setting_of_a_decision_is_open_and_cools_down_not_its_first_alone(name):
    both = {"tunable": "clip" if name == "lr" else "lr", "tunables": ("clip", "lr")}
    clip = TunableView("clip", "float", 1.0, low=0.01, high=100.0)
    fields = {"tunables": {"lr": a_rate(), "clip": clip}}
    wanted = proposal(Change("set", name, 0.5))
    for urgency in (False, True):
        past = (a_past(state="applied", applied_step=100, **both),)
        assert check(replace(wanted, urgency=urgency), at(past=past, **fields), LIMITS).rule == Rule.OPEN
    assert check(wanted, at(past=(a_past(applied_step=990, **both),), **fields), LIMITS).rule == Rule.COOLDOWN


def test_a_change_by_the_script_or_an_undoing_starts_the_cool_down_too():
    assert check(proposal(), at(rate=a_rate(changed_step=990)), LIMITS).rule == Rule.COOLDOWN


def test_the_budget_counts_what_reached_the_run_and_holds_for_rescues():
    spent = tuple(a_past(id=i, applied_step=i) for i in range(5))
    assert check(proposal(urgency=True), at(past=spent), LIMITS).rule == Rule.BUDGET
    # The newest of a long history is all that is seen of it; the number is known nevertheless.
    assert check(proposal(), at(changes_made=5), LIMITS).rule == Rule.BUDGET
    blocked = tuple(a_past(id=i, state="blocked") for i in range(9))
    assert check(proposal(), at(past=blocked), LIMITS) is None


@pytest.mark.parametrize(
    ("past", "said"),
    [
        ({"state": "recorded", "decided_step": 950}, True),
        ({"state": "recorded", "decided_step": 900}, False),
        ({"state": "blocked", "decided_step": 950}, True),
        ({"state": "rejected", "decided_step": 200}, True),
        ({"state": "judged", "decided_step": 990}, False),
        ({"state": "recorded", "decided_step": 950, "policy": "other"}, False),
        ({"state": "recorded", "decided_step": 950, "tunable": "clip"}, False),
        ({"state": "recorded", "decided_step": 5000, "applied_step": None}, False),
    ],
)
def test_what_was_said_is_not_said_again_at_every_tick(past, said):
    fields = {"policy": "p", "applied_step": None} | past
    fields["judge_at_step"] = fields["decided_step"] + 100
    found = already_said(proposal(), at(past=(a_past(**fields),)), LIMITS)
    assert (found is not None) == said


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"max_factor": 0.5}, "max_factor"),
        ({"max_factor": "10"}, "max_factor"),
        ({"max_factor": True}, "max_factor"),
        ({"max_factor": float("nan")}, "max_factor"),
        ({"cooldown_steps": -1}, "cooldown_steps"),
        ({"cooldown_steps": 1.5}, "cooldown_steps"),
        ({"cool_down": 1}, "cool_down"),
    ],
)
def test_a_guard_that_makes_no_sense_is_named(settings, field):
    with pytest.raises(InvalidSetting) as error:
        Limits.of(settings)
    assert error.value.field == field
    assert Limits.of({"max_changes": 3.0}).max_changes == 3


def test_a_declared_search_need_not_wait_but_makes_only_so_many_changes():
    def answer(made):
        steps = [
            a_past(id=number + 1, policy="p", evidence={"plan": "search"}, applied_step=980)
            for number in range(made)
        ]
        return check(proposal(plan="search"), at(past=tuple(steps)), Limits())

    assert answer(PLAN_CHANGES - 1) is None
    assert answer(PLAN_CHANGES).rule == Rule.BUDGET


@pytest.mark.parametrize(
    ("past", "step", "may_stop", "waits"),
    [
        ({}, 1000, False, True),
        ({}, 1199, False, True),
        ({}, 1200, False, False),  # the run is twice as long: it is worth another word
        ({}, 1000, True, False),  # the word was given
        ({"blocked_rule": "cool-down"}, 1000, False, False),
        ({"policy": "other"}, 1000, False, False),
        ({"decided_step": 5000}, 1000, False, False),  # left behind by a roll back
    ],
)
def test_that_a_persons_word_is_missing_is_not_said_at_every_tick(past, step, may_stop, waits):
    wanted = proposal(Change("stop", value={"why": "the target is reached"}))
    fields = {"policy": "p", "state": "blocked", "verb": "stop", "tunable": "", "decided_step": 600}
    known = a_past(**fields | {"applied_step": None, "blocked_rule": str(Rule.CONSENT)} | past)
    seen = at(past=(known,), step=step, mode="act", parameters={"may_stop": may_stop})
    assert waits_for_a_word(check(wanted, seen, LIMITS), wanted, seen) is waits
