"""Group policies as tables: whom they stop, extend or let take over, and whom they leave alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.decide import consider, directly
from control.groups import Adoption, Seen, ask, curve_of
from control.groups import Budget as Means
from control.guards import Limits
from control.policies.asha import Asha, rungs
from control.policies.budget import Budget
from control.policies.median_stopping import MedianStopping
from control.policies.population import Population
from control.proposals import TunableView
from tests.control.groups import a_group, a_member, a_saved, falling, verbs
from tests.control.make import a_past

REFUSED = a_past(policy="population", verb="adopt", tunable="", state="rejected", decided_step=550)
BUDGET, ASHA, MEDIAN, PBT = Budget(), Asha(), MedianStopping(), Population()


# -- budget --------------------------------------------------------------------------------------


def test_a_run_that_cannot_become_the_best_is_stopped_with_figures():
    good = a_member("good", falling(300, 0.1), total=1000)
    bad = a_member("bad", falling(300, 1.5, seed=1), total=1000)
    (proposal,) = BUDGET.propose_group(a_group(good, bad, policy=BUDGET))
    assert verbs([proposal]) == {"bad": "stop"}
    assert "would be 1." in proposal.reason
    assert "the chance to end better is" in proposal.reason.lower()
    assert proposal.evidence["chance"] < 0.05
    assert proposal.evidence["leader"] == "good"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ((falling(300, 0.5), falling(300, 0.5, seed=1)), "as good as each other"),
        ((falling(300, 0.1), falling(60, 0.1, speed=0.02)), "too early to be looked at"),
        ((falling(300, 0.1, speed=0.5), falling(300, 0.1, speed=0.004)), "slower, and still on its way"),
    ],
)
def test_a_run_that_may_still_become_the_best_is_left_alone(members, why):
    group = a_group(*(a_member(f"r{i}", v, total=1000) for i, v in enumerate(members)), policy=BUDGET)
    assert BUDGET.propose_group(group) == [], why


def test_an_ended_run_is_a_measure_for_those_that_run():
    ended = a_member("ended", falling(1000, 0.1), total=1000, state="finished")
    bad = a_member("bad", falling(300, 1.5, seed=1), total=1000)
    assert verbs(BUDGET.propose_group(a_group(ended, bad, policy=BUDGET))) == {"bad": "stop"}


def test_without_a_length_or_a_goal_nothing_is_foretold():
    group = a_group(a_member("a", falling(300, 0.1)), a_member("b", falling(300, 1.5)), policy=BUDGET)
    assert BUDGET.propose_group(group) == []


def test_a_run_whose_metric_is_no_number_any_more_is_stopped():
    broken = a_member("broken", np.r_[falling(250), np.full(50, np.nan)], total=1000)
    good = a_member("good", falling(300, 0.1), total=1000)
    (proposal,) = BUDGET.propose_group(a_group(good, broken, policy=BUDGET))
    assert proposal.run == "broken"
    assert "is not a number" in proposal.reason


def test_a_run_that_has_reached_the_target_ends_now():
    group = a_group(a_member("a", falling(300, 0.1), total=1000), policy=BUDGET, target=0.2)
    (proposal,) = BUDGET.propose_group(group)
    assert [(c.verb, c.tunable, c.value) for c in proposal.changes] == [("set", "total_steps", 300)]
    assert "the target of 0.2 is reached" in proposal.reason


def test_a_run_that_cannot_reach_the_target_is_stopped():
    hopeless = a_member("a", falling(900, 0.5), total=1000)
    (proposal,) = BUDGET.propose_group(
        a_group(hopeless, a_member("b", falling(900, 0.49, seed=2), total=1000), policy=BUDGET, target=0.2)
    )
    assert proposal.changes[0].verb == "stop"
    assert "the chance to reach the target of 0.2" in proposal.reason


@pytest.mark.parametrize(
    ("values", "target", "extended"),
    [
        (3 * np.arange(1, 901) ** -0.5, None, True),
        (falling(900, 0.5, noise=0.01), None, False),
        (3 * np.arange(1, 901) ** -0.5, 0.09, True),
        (3 * np.arange(1, 901) ** -0.5, 0.01, False),
        ((3 * np.arange(1, 901) ** -0.5)[:500], None, False),
    ],
    ids=["still improves", "has settled", "the target is near", "the target is far", "not near its end"],
)
def test_the_end_is_moved_out_only_where_that_pays(values, target, extended):
    found = BUDGET.propose_group(a_group(a_member("a", values, total=1000), policy=BUDGET, target=target))
    moved = [c.value for p in found for c in p.changes if c.verb == "set"]
    assert moved == ([1500] if extended else [])


def test_a_run_at_its_end_is_left_to_end():
    good = a_member("good", falling(300, 0.1), total=1000)
    over = a_member("over", falling(300, 1.5), total=300)
    assert BUDGET.propose_group(a_group(good, over, policy=BUDGET, target=1.6)) != []
    assert "over" not in verbs(BUDGET.propose_group(a_group(good, over, policy=BUDGET, target=1.6)))


def test_the_least_promising_go_when_the_hours_do_not_suffice():
    members = [
        a_member(f"r{i}", falling(300, 0.1 + 0.02 * i, seed=i), total=1000, device_hours=3.0)
        for i in range(4)
    ]
    # 12 hours spent, each needs 7 more: two of them can be paid.
    group = a_group(*members, policy=BUDGET, budget=Means(device_hours=26.5, spent=12.0), chance=1e-9)
    assert verbs(BUDGET.propose_group(group)) == {"r2": "stop", "r3": "stop"}


def test_after_the_deadline_only_the_best_goes_on():
    members = [a_member(f"r{i}", falling(300, 0.1 + 0.1 * i), total=1000) for i in range(3)]
    group = a_group(*members, policy=BUDGET, budget=Means(seconds_left=-1.0))
    assert verbs(BUDGET.propose_group(group)) == {"r1": "stop", "r2": "stop"}


# -- successive halving and the median rule ------------------------------------------------------


def test_rungs_grow_by_the_factor():
    assert rungs(100, 3, 99) == []
    assert rungs(100, 3, 1000) == [100, 300, 900]


def test_at_a_rung_the_best_third_goes_on():
    members = [a_member(f"r{i}", falling(110, 0.1 * (i + 1))) for i in range(9)]
    found = ASHA.propose_group(a_group(*members, policy=ASHA))
    assert set(verbs(found)) == {f"r{i}" for i in range(3, 9)}
    assert "At step 100 loss was" in found[0].reason


def test_who_comes_first_to_a_rung_has_nobody_to_be_worse_than():
    members = [a_member("first", falling(110, 2.0)), *(a_member(f"r{i}", falling(50, 0.1)) for i in range(5))]
    assert ASHA.propose_group(a_group(*members, policy=ASHA)) == []


def these(*runs):
    """Members r0, r1, … of (steps, floor) or (steps, floor, state); NaN for a curve without a number."""
    members = []
    for i, (steps, floor, *state) in enumerate(runs):
        values = np.full(steps, floor) if np.isnan(floor) else falling(steps, floor, seed=i)
        members.append(a_member(f"r{i}", values, state=state[0] if state else "running"))
    return members


@pytest.mark.parametrize(
    ("runs", "parameters", "stopped", "rung"),
    [
        ([(110, 0.1), (110, 0.5)], {}, "", None),  # fewer than `reduction` decide nothing
        ([(110, 0.1), (110, 0.5), (110, 0.9)], {}, "r1 r2", 100),
        ([(110, 0.1), (110, 0.5)], {"reduction": 2.0}, "r1", 100),
        (
            [(110, 0.1), (110, 0.5), (110, 0.9)],
            {"reduction": 0.5},
            "r2",
            100,
        ),  # never less than 1.5: two of three
        # It was the first at its rung, and trained on: once enough others have come, it goes.
        ([(290, 0.9), (110, 0.1), (110, 0.2)], {}, "r0 r2", 100),
        ([(310, 0.3), (310, 0.2), (310, 0.1), (110, 1.0), (110, 1.0)], {}, "r0 r1 r3 r4", 300),
        # Who has ended is a measure too, however it ended, and is not stopped itself.
        ([(110, 0.1, "finished"), (110, 0.2, "failed"), (110, 0.5)], {}, "r2", 100),
        ([(110, np.nan), (110, 0.2), (110, 0.5)], {}, "r0 r2", 100),
        ([(99, 0.1), (99, 0.5), (99, 0.9)], {}, "", None),
        ([(60, 0.1), (60, 0.5), (60, 0.9)], {"first_steps": 50}, "r1 r2", 50),
    ],
)
def test_who_goes_on_at_a_rung(runs, parameters, stopped, rung):
    found = ASHA.propose_group(a_group(*these(*runs), policy=ASHA, **parameters))
    assert verbs(found) == dict.fromkeys(stopped.split(), "stop")
    assert all(p.evidence["rung"] <= rung for p in found)
    assert not found or max(p.evidence["rung"] for p in found) == rung


def test_at_a_rung_more_is_better_where_the_goal_says_so():
    members = [a_member(f"r{i}", np.linspace(0.1, 0.2 + 0.2 * i, 110)) for i in range(3)]
    found = ASHA.propose_group(a_group(*members, policy=ASHA, direction="max"))
    assert set(verbs(found)) == {"r0", "r1"}
    assert "2 of the 3 runs that came so far were better, and the best 1 go on" in found[0].reason


@pytest.mark.parametrize(
    ("runs", "parameters", "stopped"),
    [
        ([(300, 1.5), *[(300, 0.1)] * 5], {}, "r0"),
        ([(300, 1.5), *[(300, 0.1)] * 4], {}, ""),  # four others are too few
        ([(300, 1.5), *[(300, 0.1)] * 4], {"least_runs": 4}, "r0"),
        ([(300, 1.5), *[(299, 0.1)] * 5], {}, ""),  # nobody has come as far
        ([(300, 1.5), *[(900, 0.1, "finished")] * 5], {}, "r0"),
        ([(190, 1.5), *[(300, 0.1)] * 5], {}, ""),  # in its grace
        ([(190, 1.5), *[(300, 0.1)] * 5], {"grace_steps": 100}, "r0"),
        ([(300, np.nan), *[(300, 0.1)] * 5], {}, "r0"),
        ([(300, 1.5), (300, np.nan), *[(300, 0.1)] * 4], {}, ""),  # of those only four have an average
        ([(300, 0.3), *[(300, 0.1)] * 5], {}, ""),  # its best is below what they averaged on their way down
    ],
)
def test_whom_the_median_rule_stops(runs, parameters, stopped):
    found = verbs(MEDIAN.propose_group(a_group(*these(*runs), policy=MEDIAN, **parameters)))
    # Of a run without a single number, too, that is among the others.
    assert {run for run in found if run == "r0"} == set(stopped.split())


def test_the_median_rule_asks_for_more_where_the_goal_says_so():
    members = [a_member(f"r{i}", np.linspace(0.1, 0.2 + 0.1 * i, 300)) for i in range(7)]
    found = MEDIAN.propose_group(a_group(*members, policy=MEDIAN, direction="max"))
    assert set(verbs(found)) == {"r0", "r1"}
    assert "half of the 6 other runs averaged 0." in found[0].reason


def test_the_median_rule_stops_what_is_worse_than_half_were_on_average():
    members = [a_member(f"r{i}", falling(300, 0.05 + 0.2 * i, speed=0.2)) for i in range(7)]
    found = MEDIAN.propose_group(a_group(*members, policy=MEDIAN))
    assert set(verbs(found)) == {"r4", "r5", "r6"}


def test_the_median_rule_waits_for_enough_runs_and_steps():
    few = [a_member(f"r{i}", falling(300, 0.2 * (i + 1))) for i in range(4)]
    early = [a_member(f"r{i}", falling(100, 0.2 * (i + 1))) for i in range(9)]
    assert MEDIAN.propose_group(a_group(*few, policy=MEDIAN)) == []
    assert MEDIAN.propose_group(a_group(*early, policy=MEDIAN)) == []


# -- population ----------------------------------------------------------------------------------


def a_population(**fields):
    return [
        a_member(
            f"r{i}",
            falling(600, 0.1 * (i + 1)),
            rate=0.01 * (i + 1),
            checkpoints=[a_saved(f"r{i}", 500)],
            **fields,
        )
        for i in range(5)
    ]


def test_the_worst_goes_on_from_the_best_with_its_settings_moved():
    (proposal,) = PBT.propose_group(a_group(*a_population(), policy=PBT, resample=1e-9))
    assert proposal.run == "r4"
    adopt, rate = proposal.changes
    assert (adopt.verb, adopt.value["run"], adopt.value["step"]) == ("adopt", "r0", 500)
    assert rate.tunable == "lr"
    assert rate.value in (0.0125, 0.008)
    assert "go on from step 500 of r0" in proposal.reason


def test_the_same_moment_decides_the_same():
    group = a_group(*a_population(), policy=PBT)
    assert PBT.propose_group(group)[0].changes == PBT.propose_group(group)[0].changes


def test_a_value_drawn_anew_stays_within_the_bounds():
    for seed in range(20):
        group = a_group(*a_population(name=str(seed)), policy=PBT, resample=1.0, factor=1e4)
        (proposal,) = PBT.propose_group(group)
        assert 1e-6 <= proposal.changes[1].value <= 10.0


@pytest.mark.parametrize(
    "change",
    [{"ready_steps": 700}, {"least_runs": 6}],
    ids=["not long enough since", "too few runs"],
)
def test_a_population_waits(change):
    assert PBT.propose_group(a_group(*a_population(), policy=PBT, **change)) == []


def test_a_setting_that_is_far_away_is_moved_as_far_as_the_guards_let_it():
    members = a_population()
    far = a_member("far", falling(600, 2.0), rate=1e-5, checkpoints=[a_saved("far", 500)])
    (proposal,) = PBT.propose_group(a_group(*members[:4], far, policy=PBT, resample=1e-9))
    assert (proposal.run, proposal.changes[1].value) == ("far", 1e-4)


def adopting(members=None, **parameters):
    """{run: (giver, [(setting, value)])} of who takes over from whom."""
    group = a_group(*(members or a_population()), policy=PBT, **{"resample": 1e-9, **parameters})
    found = PBT.propose_group(group)
    return {p.run: (p.changes[0].value["run"], [(c.tunable, c.value) for c in p.changes[1:]]) for p in found}


def with_settings(member, past=(), **values):
    """The member with further tunables, by name the role."""
    more = {
        name: TunableView(name, "int" if isinstance(value, int) else "float", value, value, role=name)
        for name, value in values.items()
    }
    observation = replace(member.observation, tunables={**member.observation.tunables, **more}, past=past)
    return replace(member, observation=observation)


@pytest.mark.parametrize(
    ("members", "parameters", "wanted"),
    [
        (a_population(), {}, {"r4": "r0"}),
        (a_population(), {"quantile": 0.4}, {"r3": "r0 r1", "r4": "r0 r1"}),
        (a_population(), {"quantile": 0.9}, {"r3": "r0 r1", "r4": "r0 r1"}),  # never more than half
        # It took over a hundred steps ago; or its process has refused to.
        ([*a_population()[:4], replace(a_population()[4], adoptions=(Adoption(500, "r0", 500),))], {}, {}),
        ([*a_population()[:4], replace(a_population()[4], adoptions=(Adoption(100, "r0", 100),))], {}, {"r4": "r0"}),
        ([*a_population()[:4], with_settings(a_population()[4], past=(REFUSED,))], {}, {}),
        # The weights of one that has just begun are no gain, and none where all are alike.
        ([a_member("young", falling(60, 0.01), checkpoints=[a_saved("young", 50)]), *a_population()[1:]], {}, {}),
        ([a_member(f"r{i}", np.ones(600), checkpoints=[a_saved(f"r{i}", 500)]) for i in range(5)], {}, {}),
    ],
)  # fmt: skip
def test_who_takes_over_from_whom(members, parameters, wanted):
    found = {run: giver for run, (giver, _) in adopting(members, **parameters).items()}
    assert found.keys() == wanted.keys()
    assert all(giver in wanted[run] for run, giver in found.items())


def test_settings_of_the_named_roles_are_taken_over_and_whole_numbers_stay_whole():
    *others, worst = a_population()
    best, *others = others
    best = with_settings(best, weight_decay=0.02, batch_size=64)
    worst = with_settings(worst, weight_decay=0.01, batch_size=8)
    names = lambda **parameters: [name for name, _ in adopting([best, *others, worst], **parameters)["r4"][1]]  # noqa: E731
    assert names() == ["lr", "weight_decay"]
    assert names(roles="weight_decay") == ["weight_decay"]
    (size,) = adopting([best, *others, worst], roles="batch_size")["r4"][1]
    assert size in {("batch_size", 80), ("batch_size", 51)}


def test_nobody_takes_over_what_was_not_saved():
    members = [a_member(f"r{i}", falling(600, 0.1 * (i + 1))) for i in range(5)]
    assert PBT.propose_group(a_group(*members, policy=PBT)) == []


# -- what holds for all --------------------------------------------------------------------------

curves = st.lists(
    st.one_of(st.floats(1e-3, 1e3), st.just(float("nan")), st.just(float("inf"))), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(curves, st.sampled_from(["running", "finished", "failed"])), min_size=1, max_size=7),
    st.sampled_from(["min", "max"]),
    st.floats(0.0, 5.0),
)
def test_whatever_the_group_the_best_is_never_stopped_and_no_policy_breaks(runs, direction, hours):
    members = [
        a_member(f"r{i}", values, total=100, state=state, device_hours=1.0)
        for i, (values, state) in enumerate(runs)
    ]
    group = a_group(
        *members, direction=direction, budget=Means(device_hours=hours, spent=float(len(members)))
    )
    everything = {
        "budget": {"may_stop": True, "may_extend": True, "least_steps": 1, "first_look": 0.01},
        "asha": {"enabled": True, "may_stop": True, "first_steps": 2},
        "median_stopping": {"enabled": True, "may_stop": True, "grace_steps": 2, "least_runs": 2},
        "population": {"enabled": True, "ready_steps": 2, "least_runs": 2},
    }
    policies = (BUDGET, ASHA, MEDIAN, PBT)
    asked, problems = ask(group, policies, everything)
    assert problems == {}
    standings = group.standings()
    stopped = set()
    for member in group.running:
        seen = member.observation.__class__(
            **{**member.observation.__dict__, "standing": standings.get(member.run)}
        )
        considered, _ = consider(
            seen,
            policies,
            everything,
            Limits(least_steps=0),
            ask=Seen(None, asked.get(member.run, ())).asking(directly),
        )
        taken = [c.proposal for c in considered if c.refusal is None]
        stopped |= {member.run for p in taken if p.changes[0].verb == "stop"}
        assert sum(p.changes[0].verb in {"stop", "adopt"} for p in taken) <= 1
    if len(members) > 1 and group.best is not None:
        assert group.best.run not in stopped


def test_a_proposal_for_a_run_that_is_not_there_is_named_and_left_out():
    class Lost:
        name, summary, defaults = "lost", "", {}

        def propose_group(self, group):
            from control.groups import stop

            return [stop("lost", group, a_member("elsewhere", falling(5)), "why", {})]

    asked, problems = ask(a_group(a_member("a", falling(5))), [Lost()], {})
    assert asked == {}
    assert "names 'elsewhere'" in problems["lost"]


def test_a_curve_keeps_its_past_while_the_run_goes_on():
    values = falling(5000)
    steps = np.arange(1, 5001)
    before, after = curve_of(steps[:4000], values[:4000]), curve_of(steps[:4060], values[:4060])
    assert len(after) <= 128
    whole = len(before) - 1
    assert np.array_equal(before.values[:whole], after.values[:whole])
