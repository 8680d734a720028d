"""A model is measured before it is pruned, exported or compiled, and only what stays within the bound is done."""

import numpy as np
import pytest

from control.decide import consider, no_action
from control.guards import Limits, Rule, check
from control.policies.algorithm import Algorithm, plateau, shares
from control.proposals import Change, Goal, Measurement, leaves_training
from control.undo import undo
from control.verify import Judgement
from tests.control.make import a_checkpoint, a_count, a_past, a_window, named, noisy, seen

POLICY = Algorithm()
ALL = frozenset({"prune", "quantise", "compile"})
FLAT = noisy(np.full(600, 0.5), 0.03)
FALLING = noisy(np.linspace(2.0, 0.5, 600), 0.03)


def table(
    verb, value, step=590, outcome="measured", within=True, accuracy=(0.95, 0.949), training=(0.01, 0.008)
):
    sides = [
        {"size_bytes": 1000, "packed_bytes": packed, "latency_seconds": 0.002, "training_seconds": seconds,
         "nonzero_ratio": 1.0, "metrics": {"val/accuracy": held}}
        for packed, seconds, held in zip((1000, 600), training, accuracy, strict=True)
    ]  # fmt: skip
    return Measurement(verb, outcome, step, {
        "value": value, "metric": "val/accuracy", "direction": "max", "bound": 0.01, "within": within,
        "worse": accuracy[0] - accuracy[1], "before": sides[0], "after": sides[1],
    })  # fmt: skip


def pruned(amount, **fields):
    return table("prune", {"amount": amount, "structured": False}, **fields)


def run(loss=FLAT, measured=(), end=None, **fields):
    more = {} if end is None else named(a_count("total_steps", end))
    fields = {"algorithms": ALL, "measured": tuple(measured), "tunables": more} | fields
    return seen(loss, policy=POLICY, **fields)


def asked(observation):
    return [(p.verb, dict(p.changes[0].value)) for p in POLICY.propose(observation)]


def look(amount):
    return [("prune", {"amount": amount, "structured": False, "dry": True})]


def switch(amount):
    return [("prune", {"amount": amount, "structured": False})]


REFUSED = {"within": False, "accuracy": (0.95, 0.6)}
DONE = {
    "policy": "algorithm",
    "verb": "prune",
    "tunable": "",
    "new_value": {"amount": 0.8, "structured": False},
}


@pytest.mark.parametrize(
    ("observation", "wanted"),
    [
        (run(), look(0.8)),
        (run(FALLING), []),
        (run(noisy(np.linspace(0.5, 0.9, 600), 0.03)), []),  # it gets worse: not the moment
        (run(algorithms=frozenset()), []),
        (run(algorithms=None), []),
        (run(algorithms=frozenset({"compile"})), []),
        (run(FLAT[:20]), []),
        (run(measured=[pruned(0.8)]), switch(0.8)),
        (run(measured=[pruned(0.8, **REFUSED)]), look(0.6)),
        (run(measured=[pruned(0.8, **REFUSED), pruned(0.6)]), switch(0.6)),
        (run(measured=[pruned(a, **REFUSED) for a in (0.8, 0.6, 0.4, 0.2)]), []),
        # Switching was refused although the dry measurement was within: the newer table counts.
        (run(measured=[pruned(0.8), pruned(0.8, outcome="refused", **REFUSED)]), look(0.6)),
        # Half is pruned already: only more is worth asking.
        (run(measured=[pruned(0.4, outcome="switched"), pruned(0.8, **REFUSED), pruned(0.6, **REFUSED)]), []),
        (run(measured=[table("prune", {"amount": 0.8, "structured": True})]), look(0.8)),
        (run(np.tile(FLAT, 3), measured=[pruned(0.8, step=10)]), look(0.8)),  # too old
        (run(measured=[pruned(0.8)], past=(a_past(**DONE, decided_step=300, applied_step=300),)), []),
        (run(measured=[pruned(0.8)], past=(a_past(**DONE, state="undone", verdict="worse", applied_step=500),)), []),
        (run(past=(a_past(state="applied"),)), []),
        # Late, though it still gets better; and too late for a verdict.
        (run(FALLING, end=1400, step=990), look(0.8)),
        (run(FALLING, end=1400), []),
        (run(end=900), []),
        (run(parameters={"try_prune": False}), []),
        (run(parameters={"amounts": "0.5, huge, 2"}), look(0.5)),
    ],
)  # fmt: skip
def test_pruning_goes_down_from_the_largest_share_to_one_within_the_bound(observation, wanted):
    assert asked(observation) == wanted


def test_a_dry_measurement_that_gave_no_table_is_not_asked_for_at_every_look():
    dry = {"amount": 0.8, "structured": False, "dry": True}
    past = a_past(
        policy="algorithm", verb="prune", tunable="", new_value=dry, state="rejected", decided_step=580
    )
    assert asked(run(past=(past,))) == []


def test_the_table_says_what_is_expected_and_stands_in_the_evidence():
    goal = Goal("val/accuracy", "max")
    windows = {"val/accuracy": a_window(noisy(np.full(600, 0.95), 0.001))}
    (proposal,) = POLICY.propose(run(measured=[pruned(0.8)], goal=goal, windows=windows))
    assert proposal.metric == "val/accuracy"
    assert proposal.expected.effect == pytest.approx(-0.001 / 0.95)
    assert proposal.expected.low < proposal.expected.effect < proposal.expected.high
    assert proposal.evidence["packed_bytes"] == [1000, 600]
    assert proposal.evidence["val/accuracy"] == [0.95, 0.949]
    assert "val/accuracy 0.95 → 0.949" in proposal.reason
    assert "share of 0.8" in proposal.reason
    assert not proposal.trial


def test_what_is_logged_now_and_then_is_given_longer():
    (proposal,) = POLICY.propose(run(FLAT[:500], stride=50, measured=[pruned(0.8, step=24_900)]))
    assert proposal.judge_after_steps == 24 * 50


EXPORT = {"scheme": "int8-weight-only"}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"end": 650}, [("quantise", {**EXPORT, "dry": True})]),
        ({"end": 800}, []),
        ({}, []),
        ({"end": 650, "measured": [table("quantise", EXPORT)]}, [("quantise", EXPORT)]),
        ({"end": 650, "measured": [table("quantise", EXPORT, **REFUSED)]}, []),
        ({"end": 650, "measured": [table("quantise", EXPORT)],
          "past": (a_past(policy="algorithm", verb="quantise", tunable="", new_value=EXPORT),)}, []),
    ],
)  # fmt: skip
def test_weights_are_exported_once_near_the_end(fields, wanted):
    assert asked(run(parameters={"try_prune": False}, **fields)) == wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, [("compile", {"dry": True})]),
        ({"measured": [table("compile", {"on": True})]}, [("compile", {})]),
        ({"measured": [table("compile", {"on": True}, training=(0.01, 0.0099))]}, []),
        ({"measured": [table("compile", {"on": True}, **REFUSED)]}, []),
        ({"measured": [table("compile", {"on": True})],
          "past": (a_past(policy="algorithm", verb="compile", tunable="", new_value={}),)}, []),
    ],
)  # fmt: skip
def test_a_model_is_compiled_once_and_only_where_the_measured_pass_gains(fields, wanted):
    speed = {"_samples_per_second": a_window(noisy(np.full(600, 5000.0), 0.05))}
    observation = run(windows=speed, parameters={"try_compile": True, "try_prune": False}, **fields)
    assert asked(observation) == wanted
    for proposal in POLICY.propose(observation):
        if not proposal.changes[0].value:
            assert (proposal.metric, proposal.trial, proposal.unharmed) == (
                "_samples_per_second",
                True,
                ("loss",),
            )
            assert proposal.expected.high == pytest.approx(0.25)


def test_it_is_off_until_somebody_enables_it():
    assert consider(run(), [POLICY], {}, Limits())[0] == []


@pytest.mark.parametrize(
    ("fields", "settings", "rule"),
    [
        ({}, {}, None),  # a dry measurement needs nobody's word
        ({"measured": [pruned(0.8)]}, {}, Rule.CONSENT),
        ({"measured": [pruned(0.8)]}, {"may_prune": True}, None),
        ({"measured": [pruned(0.8)], "mode": "advise"}, {}, None),
        ({"person_seconds_ago": 10.0}, {"may_prune": True}, Rule.PERSON),
    ],
)
def test_what_it_may_do_by_itself_is_a_persons_to_say(fields, settings, rule):
    considered, problems = consider(
        run(**fields), [POLICY], {"algorithm": {"enabled": True, **settings}}, Limits()
    )
    assert problems == []
    assert [item.refusal and item.refusal.rule for item in considered] == [rule]


def test_a_verb_that_the_run_does_not_offer_is_refused_by_the_guards():
    (proposal,) = POLICY.propose(run())
    refusal = check(proposal, run(algorithms=frozenset({"compile"})), Limits())
    assert refusal is not None
    assert refusal.rule == Rule.VERB
    assert "loop.offer_algorithms" in refusal.sentence


def test_a_measurement_is_no_change_to_others():
    assert leaves_training("prune", {"dry": True})
    assert leaves_training("quantise", {})
    assert not leaves_training("prune", {"amount": 0.5})
    assert not leaves_training("set", {"dry": True})
    dry = a_past(policy="algorithm", verb="prune", tunable="", new_value={"dry": True}, applied_step=595)
    (proposal,) = POLICY.propose(run(past=(dry,)))
    assert no_action(run(past=(dry,)), proposal) is None
    (other,) = POLICY.propose(run(past=(dry,), measured=[pruned(0.8)]))
    assert check(other, run(past=(dry,), parameters={"may_prune": True}), Limits()) is None
    # The forecast rests on all the points, not on those since the measurement alone.
    assert no_action(run(past=(dry,)), other) is not None


WORSE = Judgement("worse", "")
BACK = Change("rollback", value={"checkpoint": 201, "step": 200, "path": ""})


@pytest.mark.parametrize(
    ("verb", "judgement", "trial", "steps", "wanted"),
    [
        ("prune", WORSE, False, (100, 200, 201, 300), BACK),
        ("prune", WORSE, False, (300,), None),
        ("prune", Judgement("same", ""), False, (100,), None),
        ("compile", WORSE, False, (), Change("compile", value={"on": False})),
        ("compile", Judgement("same", ""), True, (), Change("compile", value={"on": False})),
        ("compile", Judgement("better", ""), True, (), None),
    ],
)  # fmt: skip
def test_what_proved_worse_is_taken_back_by_its_own_way(verb, judgement, trial, steps, wanted):
    found = undo(
        judgement, trial=trial, verb=verb, settings=(), tunables={}, broken=False,
        checkpoints=[a_checkpoint(step) for step in steps], before_step=200,
    )  # fmt: skip
    assert (found and found.changes) == (None if wanted is None else (wanted,))


def test_what_is_no_share_is_left_out():
    assert shares("0.2 0.8,0.5 x 0 1 -1 nan") == [0.8, 0.5, 0.2]


def test_a_plateau_is_no_movement_and_none_with_little_known():
    flat = a_window(noisy(np.full(500, 0.9), 0.01))
    assert plateau(flat, 400, "acc")
    assert not plateau(a_window(noisy(np.linspace(0.5, 0.9, 500), 0.01)), 400, "acc")
    assert not plateau(a_window(noisy(np.full(300, 0.9), 0.01)), 400, "acc")
    signed = a_window(np.random.default_rng(2).standard_normal(500))
    assert plateau(signed, 400, "reward")
