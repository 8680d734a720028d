"""The batch follows the gradient's noise, and the rate the batch, by its optimiser's rule."""

import numpy as np
import pytest

from control.decide import consider
from control.guards import Limits
from control.policies.batch_size import BatchSize
from control.proposals import TunableView
from tests.control.make import a_count, a_past, a_rate, a_window, named, noisy, seen

POLICY = BatchSize()
POINTS = 200


def run(noise=None, size=32, parts=2, ranks=1, family="sgd", spread=0.3, measured=POINTS, **fields):
    """A run whose noise scale is measured as so many samples; None: it is not measured."""
    batch = a_count("batch_size", size, **({"about": {"ranks": ranks}} | fields.pop("batch", {})))
    tunables = named(
        batch, a_count("accumulation", parts, **fields.pop("parts_fields", {})),
        a_rate(0.1, about={"family": family}),
    ) | fields.pop("more", {})  # fmt: skip
    windows = {"_samples_per_second": a_window(noisy(np.full(POINTS, 5000.0), 0.05))}
    if noise is not None:
        dice = np.random.default_rng(0)
        first = POINTS - measured
        windows["_grad_square"] = a_window(1 + spread * dice.standard_normal(measured), first)
        windows["_grad_variance"] = a_window(noise * (1 + 0.2 * dice.standard_normal(measured)), first)
    windows |= fields.pop("windows", {})
    return seen(
        noisy(np.linspace(2, 1, POINTS), 0.1), policy=POLICY, tunables=tunables, windows=windows, **fields
    )


def asked(observation):
    return [[(c.tunable, c.value) for c in p.changes] for p in POLICY.propose(observation)]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"noise": 1000.0}, 64),
        ({"noise": 150.0}, None),  # the batch of 64 is near enough
        ({"noise": 1000.0, "ranks": 8}, None),  # 512 on eight ranks
        ({"noise": 1000.0, "measured": 15}, None),
        ({"noise": 300.0, "spread": 20.0}, None),  # so unsure that the noise may be small
        ({"noise": 1000.0, "batch": {"high": 48}}, None),
    ],
)
def test_the_batch_grows_while_the_noise_is_far_above_it(fields, wanted):
    found = asked(run(**fields))
    assert [changes[0] for changes in found] == ([] if wanted is None else [("batch_size", wanted)])


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({"noise": 1000.0}, [128]),
        ({"noise": 350.0}, []),  # far above the batch, and not far above twice of it
        ({"noise": 1000.0, "batch": {"high": 100}}, []),
    ],
)
def test_four_times_the_batch_is_on_offer_where_the_noise_is_far_above_that_too(fields, offered):
    (proposal,) = POLICY.propose(run(**fields))
    assert [other.changes[0].value for other in proposal.alternatives] == offered
    for other in proposal.alternatives:
        assert [change.tunable for change in other.changes] == ["batch_size", "lr"]
        assert 0.1 < proposal.changes[1].value < other.changes[1].value <= 0.4


@pytest.mark.parametrize(
    ("family", "low", "high"), [("sgd", 1.8, 2.0), ("adam", 1.41, 1.42), ("", 1.41, 1.42)]
)
def test_the_rate_follows_in_the_same_decision(family, low, high):
    ((_, (name, rate)),) = asked(run(noise=2000.0, family=family))
    assert name == "lr"
    assert low < rate / 0.1 < high


def test_where_the_process_tells_no_family_the_runs_config_does():
    ((_, (_, rate)),) = asked(run(noise=2000.0, family="", optimiser="sgd"))
    assert 1.8 < rate / 0.1 < 2.0


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"noise": 2.0, "parts": 4}, ("accumulation", 2)),
        ({"noise": 2.0, "parts": 3}, ("batch_size", 16)),
        # One micro-batch on one rank shows no noise: it would be blind, and for good.
        ({"noise": 2.0, "parts": 2}, None),
        ({"noise": 2.0, "parts": 1}, None),
        ({"noise": 2.0, "parts": 2, "parameters": {"probe": True}}, ("accumulation", 1)),
        ({"noise": 2.0, "parts": 2, "batch": {"about": {"ranks": 2}}}, ("accumulation", 1)),
        ({"noise": 2.0, "parts": 1, "batch": {"about": {"ranks": 2}}}, ("batch_size", 16)),
        ({"noise": 2.0, "size": 5, "parts": 3}, None),
        ({"noise": 30.0}, None),
    ],
)
def test_the_batch_shrinks_where_samples_are_wasted(fields, wanted):
    found = asked(run(**fields))
    assert [changes[0] for changes in found] == ([] if wanted is None else [wanted])
    for changes in found:
        assert changes[1][0] == "lr"
        assert changes[1][1] < 0.1


def test_a_growth_must_bring_samples_faster_and_a_shrinking_must_not_lose_them():
    (growth,) = POLICY.propose(run(noise=1000.0))
    assert (growth.metric, growth.trial, growth.unharmed) == ("_samples_per_second", True, ("loss",))
    (shrinking,) = POLICY.propose(run(noise=2.0, parts=4))
    assert (shrinking.metric, shrinking.trial) == ("_samples_per_second", False)


def test_where_only_steps_count_the_loss_judges_and_accumulation_serves_where_memory_ends():
    counting = {"cost": "steps"}
    (growth,) = POLICY.propose(run(noise=1000.0, parameters=counting))
    assert (growth.metric, growth.trial) == ("loss", False)
    full = {"_memory_used_bytes": a_window([9e9] * 9, 190), "_memory_total_bytes": a_window([16e9] * 9, 190)}
    found = asked(run(noise=1000.0, parameters=counting, windows=full))
    assert found[0][0] == ("accumulation", 4)
    assert asked(run(noise=1000.0, windows=full)) == []
    assert asked(run(noise=2.0, parameters=counting)) == []


def test_a_size_that_ran_out_of_memory_is_not_grown_to():
    assert asked(run(noise=1000.0, batch={"about": {"ranks": 1, "failed": 64}})) == []


def test_without_measurements_a_probe_splits_the_batch_at_the_same_effective_size():
    asked_for = {"batch_size": {"probe": True}}
    observation = run(parts=1, step=500, parameters=asked_for["batch_size"])
    (probe,) = POLICY.propose(observation)
    assert [(c.tunable, c.value) for c in probe.changes] == [("batch_size", 16), ("accumulation", 2)]
    assert probe.trial
    assert probe.evidence["kind"] == "probe"
    considered, problems = consider(observation, [POLICY], asked_for, Limits())
    assert (problems, [item.refusal for item in considered]) == ([], [None])


@pytest.mark.parametrize(
    "fields",
    [
        {"parts": 2},  # it will be measured as it is
        {"parts": 1, "size": 33},
        {"parts": 1, "size": 1},
        {"parts": 1, "ranks": 2},
        {"parts": 1, "parameters": {"probe": False}},  # it slows the training, so it has to be asked for
        {"parts": 1, "windows": {"_samples_per_second": a_window([])}, "step": 50},
        {
            "parts": 1,
            "past": (a_past(policy="batch_size", tunable="batch_size", state="undone", verdict="same"),),
        },
    ],
)
def test_no_probe_where_none_is_due(fields):
    assert asked(run(**{"step": 600, "parameters": {"probe": True}} | fields)) == []


def test_trust_ratios_are_tried_once_the_batch_is_many_times_that_of_the_start():
    trust = named(TunableView("trust_ratio", "bool", False, False, role="trust_ratio"))
    grown = {"initial": 8}
    found = asked(run(noise=150.0, size=64, parts=1, batch=grown, more=trust))
    assert found == [[("trust_ratio", True)]]
    assert asked(run(noise=100.0, size=32, parts=1, batch=grown, more=trust)) == []
    past = a_past(policy="batch_size", tunable="trust_ratio", new_value=True, state="undone", verdict="same")
    assert asked(run(noise=150.0, size=64, parts=1, batch=grown, more=trust, past=(past,))) == []


def test_it_waits_for_the_verdict_on_what_it_would_be_mixed_up_with():
    for tunable in ("lr", "batch_size", "accumulation"):
        past = a_past(policy="other", tunable=tunable, state="applied")
        assert asked(run(noise=1000.0, past=(past,))) == []
    past = a_past(policy="other", tunable="weight_decay", state="applied")
    assert asked(run(noise=1000.0, past=(past,))) != []


def test_an_unknown_cost_is_named():
    with pytest.raises(ValueError, match="cost='money'; expected one of time, steps"):
        POLICY.propose(run(noise=1000.0, parameters={"cost": "money"}))
