"""What verdicts teach, how it is shared between contexts, and what follows from it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.decide import consider
from control.guards import Limits, Rule
from control.learning.actions import action_of
from control.learning.book import Book, Lesson, Shown
from control.learning.choose import choose, dice_of
from control.learning.contexts import context_of, family_of, levels_of
from control.learning.offered import Compared, why_not
from control.learning.posterior import MEMORY, NOTHING_KNOWN, Tally, left_after
from control.proposals import Alternative, Change, Expected, Proposal, TunableView
from tests.control.make import a_past, a_rate, noisy, seen

ROLES = {"lr": "learning_rate", "batch": "batch_size"}


def change(value, old=0.1, tunable="lr", verb="set"):
    return {"verb": verb, "tunable": tunable, "value": value, "old_value": old}


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ([change(0.3)], "learning_rate x3"),
        ([change(0.03)], "learning_rate /3"),
        ([change(0.29)], "learning_rate x3"),
        ([change(1e9)], "learning_rate x100"),
        ([change(64, 32, "batch")], "batch_size x2"),
        ([change(64, 32, "secret_name")], "other x2"),
        ([change(0.5, 0.0)], "learning_rate up"),
        ([change(True, False, "x")], "other to True"),
        ([change("bf16", "fp32", "x")], "other changed"),
        ([change({"checkpoint": 1}, None, "", "rollback"), change(0.03)], "rollback + learning_rate /3"),
        ([change({"why": "slow"}, None, "", "stop")], "stop"),
        ([], "nothing"),
    ],
)
def test_an_action_is_named_by_what_it_does_and_how_far_and_never_by_a_projects_own_names(changes, action):
    assert action_of(changes, ROLES) == action


@pytest.mark.parametrize(
    ("name", "family"),
    [("adamw", "adam"), ("fusedlamb", "layerwise"), ("sgd", "sgd"), ("", "unknown"), ("shampoo", "other")],
)
def test_an_optimiser_belongs_to_a_family(name, family):
    assert family_of(name) == family


FALL = 2.3 * np.exp(-np.arange(1000) / 300)
BENT = 0.1 + 2.2 * np.exp(-np.arange(1000) / 80)
TOTAL = TunableView("steps", "int", 2000, 2000, role="total_steps")


@pytest.mark.parametrize(
    ("loss", "fields", "context"),
    [
        (noisy(FALL[:100], 0.02), {"optimiser": "sgd"}, "sgd, start, calm"),
        (noisy(FALL, 0.1), {}, "unknown, middle, noisy"),
        (noisy(BENT, 0.5), {}, "unknown, late, wild"),
        (noisy(FALL, 0.02), {"tunables": {"steps": TOTAL}}, "unknown, middle, calm"),
        (noisy(FALL, 0.02), {"tunables": {"steps": TOTAL}, "step": 1900}, "unknown, late, calm"),
        ([float("nan")] * 200, {}, "unknown, start, unknown"),
        ([], {}, "unknown, start, unknown"),
    ],
)
def test_a_moments_context_is_read_from_the_run(loss, fields, context):
    assert str(context_of(seen(loss, **fields))) == context


@pytest.mark.parametrize(
    ("about", "context"),
    [
        ({}, "unknown, middle, calm"),
        ({"model": "convolutional", "parameters": 61_706}, "unknown, middle, calm, convolutional, 10k+"),
        ({"model": "attention"}, "unknown, middle, calm, attention"),
        ({"parameters": 7_000_000_000}, "unknown, middle, calm, other, 1G+"),
        ({"model": ["odd"], "parameters": "many"}, "unknown, middle, calm, other"),
        ({"model": "my secret net", "parameters": float("nan")}, "unknown, middle, calm, other"),
        ({"optimizer": "AdamW", "model": "dense", "parameters": 999}, "adam, middle, calm, dense, 100+"),
    ],
)
def test_a_context_names_the_models_kind_and_the_decade_of_its_size_where_the_run_tells_them(about, context):
    loss = noisy(FALL, 0.02)
    assert str(context_of(seen(loss, tunables={"lr": a_rate(about=about)}))) == context


@pytest.mark.parametrize(
    ("initial", "value", "told"),
    [
        (0.1, 0.1, ""), (0.1, 0.13, ""), (0.1, 0.3, "rate x3"), (0.1, 1.0, "rate x10"), (0.01, 0.3, "rate x30"),
        (1.0, 0.3, "rate /3"), (1.0, 0.01, "rate /100"), (None, 0.1, ""), (0.1, 0, ""), (True, 0.1, ""),
    ],
)  # fmt: skip
def test_a_run_whose_rate_stands_far_from_where_it_began_is_another_moment(initial, value, told):
    rate = replace(a_rate(), value=value, initial=initial)
    context = str(context_of(seen(noisy(FALL, 0.02), tunables={"lr": rate}, past=(a_past(),))))
    assert context == ", ".join(["unknown, middle, calm, changed", *([told] if told else [])])
    assert levels_of(context)[1] == "unknown, middle, calm, changed"


@pytest.mark.parametrize(
    ("past", "context"),
    [
        ((), "unknown, middle, calm, dense"),
        (
            (a_past(state="blocked"), a_past(mode="shadow"), a_past(state="proposed")),
            "unknown, middle, calm, dense",
        ),
        ((a_past(),), "unknown, middle, calm, changed, dense"),
        ((a_past(state="undone"), a_past(state="applied")), "unknown, middle, calm, changed again, dense"),
        ((a_past(),) * 5, "unknown, middle, calm, changed again, dense"),
    ],
)
def test_a_run_that_was_changed_before_is_another_moment(past, context):
    found = context_of(seen(noisy(FALL, 0.02), tunables={"lr": a_rate(about={"model": "dense"})}, past=past))
    assert str(found) == context
    assert levels_of(context)[0] == "unknown, middle, calm"


def test_an_optimiser_that_no_config_tells_is_the_torch_helpers():
    adam = {"lr": a_rate(about={"optimizer": "AdamW"})}
    assert context_of(seen(FALL, tunables=adam)).family == "adam"
    assert context_of(seen(FALL, tunables=adam, optimiser="sgd")).family == "sgd"


LESSONS = st.lists(
    st.tuples(
        st.sampled_from(["better", "same", "worse", "unclear", ""]),
        st.one_of(st.none(), st.floats(-1e300, 1e300), st.just(math.nan), st.just(math.inf)),
    ),
    max_size=60,
)


def taught(lessons):
    tally = Tally()
    for verdict, gain in lessons:
        tally = tally.learn(verdict, gain)
    return tally


@settings(max_examples=100, deadline=None)
@given(LESSONS, LESSONS)
def test_tallies_add_up_in_any_order_and_beliefs_stay_sane(first, second):
    one, other = taught(first), taught(second)
    there, back, at_once = one.plus(other), other.plus(one), taught(first + second)
    for tally in (back, at_once):
        assert (tally.better, tally.same, tally.worse) == (there.better, there.same, there.worse)
        assert tally.mean == pytest.approx(there.mean, abs=1e-9)
        assert tally.squares == pytest.approx(there.squares, abs=1e-6)
    assert there.verdicts == sum(v in {"better", "same", "worse"} for v, _ in first + second)
    known = NOTHING_KNOWN.given(there)
    low, high = known.interval
    assert low < known.mu < high
    assert -3 <= known.mu <= 3
    assert 0 < known.chance_better < 1
    assert 0 <= known.chance_of_harm() <= 1
    assert known.chance_of_harm() == pytest.approx(1 - mirrored(known).chance_of_harm(), abs=0.02)


def test_a_tally_forgets_its_oldest_verdicts_and_believes_the_newest():
    """What harmed for long and helps now is believed to help after some two hundred verdicts, not after a thousand."""
    tally = Tally()
    for _ in range(1000):
        tally = tally.taught("worse", -0.2)
    assert tally.verdicts == pytest.approx(MEMORY)
    for _ in range(200):
        tally = tally.taught("better", 0.2)
    assert tally.verdicts == pytest.approx(MEMORY)
    assert tally.better > tally.worse
    assert tally.mean > 0
    assert tally.aged(0.5).mean == tally.mean
    assert tally.aged(0.5).verdicts == pytest.approx(MEMORY / 2)


@pytest.mark.parametrize(("days", "left"), [(-1, 1.0), (0, 1.0), (90, 2**-0.5), (180, 0.5), (1800, 2**-10)])
def test_a_verdict_loses_half_of_its_weight_in_a_half_life(days, left):
    assert left_after(days, 180) == pytest.approx(left)
    assert left_after(days, 0) == 1.0


def mirrored(known):
    return type(known)(known.worse, known.same, known.better, 0, 1, 2, 1)


def book(*lessons):
    made = Book()
    for policy, action, context, verdict, gain, times in lessons:
        for _ in range(times):
            made.learn(Lesson(policy, action, context, verdict, gain))
    return made


def test_an_unclear_verdict_teaches_nothing():
    made = book(("p", "a", "c", "unclear", 0.5, 10), ("p", "a", "c", "", 0.5, 10))
    assert made.posterior("p", "a", "c") == Book().posterior("p", "a", "c")
    assert dict(Shown(made, "p", seen([1.0]))) == {}


def test_a_size_whose_effect_one_hardly_ever_sees_is_tried_less():
    context = "unknown, middle, calm"
    known = [("p", f"learning_rate {size}", context, "better", 0.3, 4) for size in ("x1.5", "x3", "x10")]
    often = ("p", "learning_rate x3", context, "unclear", 0.0, 40)

    def times(made):
        chosen = [choose(asks(), seen(LOSS, step=step), made).proposal for step in range(200)]
        return sum(proposal.changes[0].value == 0.3 for proposal in chosen)

    assert times(book(*known, often)) < times(book(*known)) / 3


def test_a_context_with_little_data_leans_on_the_action_elsewhere_and_on_the_policy_as_a_whole():
    made = book(("p", "a", "here", "better", 0.3, 20), ("p", "a", "there", "worse", -0.3, 1))
    here, there, new, sibling, stranger = (
        made.posterior("p", "a", "here"), made.posterior("p", "a", "there"), made.posterior("p", "a", "new"),
        made.posterior("p", "b", "here"), made.posterior("q", "a", "here"),
    )  # fmt: skip
    assert here.mu > new.mu > there.mu > -0.05  # one verdict there, -0.3, weighs as much as all elsewhere
    assert new.chance_better > sibling.chance_better > stranger.chance_better
    assert stranger.mu == 0
    assert new.scale > here.scale


MOMENT = "sgd, middle, calm"


def test_what_is_known_of_a_moment_stands_in_for_a_model_that_nobody_tried_there():
    old = book(("p", "a", MOMENT, "better", 0.3, 20), ("p", "a", "adam, middle, calm", "worse", -0.3, 20))
    new = old.posterior("p", "a", f"{MOMENT}, dense, 10k+")
    assert new.chance_better > 0.7 > old.posterior("p", "a", "lars, late, wild").chance_better
    assert new.mu == pytest.approx(old.posterior("p", "a", MOMENT).mu)
    assert new.scale > old.posterior("p", "a", MOMENT).scale


def test_a_run_that_does_not_tell_its_model_learns_from_all_those_that_do():
    told = book(("p", "a", f"{MOMENT}, dense, 10k+", "better", 0.3, 9))
    plain = book(("p", "a", MOMENT, "better", 0.3, 9))
    assert told.posterior("p", "a", MOMENT) == plain.posterior("p", "a", MOMENT)
    assert told.clear_share("p", "a", MOMENT) == plain.clear_share("p", "a", MOMENT)
    # The same verdicts on every level are believed once.
    assert told.posterior("p", "a", f"{MOMENT}, dense, 10k+") == plain.posterior("p", "a", MOMENT)


def test_models_of_a_kind_share_what_they_learn_and_another_kind_keeps_its_own():
    made = book(
        ("p", "a", f"{MOMENT}, dense, 10k+", "better", 0.3, 20),
        ("p", "a", f"{MOMENT}, attention, 1M+", "worse", -0.3, 20),
    )
    larger = made.posterior("p", "a", f"{MOMENT}, dense, 100k+")
    another = made.posterior("p", "a", f"{MOMENT}, attention, 10M+")
    assert larger.mu > 0.1 > -0.1 > another.mu
    assert made.posterior("p", "a", f"{MOMENT}, dense, 10k+").scale < larger.scale
    assert abs(made.posterior("p", "a", f"{MOMENT}, recurrent, 1k+").mu) < 0.05


def test_the_posterior_covers_what_it_was_taught_from():
    """Of 400 policies whose true gain is drawn from the prior, the 80 % interval holds the truth in about 80 %."""
    dice = np.random.default_rng(1001)
    held = 0
    for _ in range(400):
        variance = 1 / dice.gamma(NOTHING_KNOWN.alpha, 1 / NOTHING_KNOWN.beta)
        truth = dice.normal(0, math.sqrt(variance / NOTHING_KNOWN.kappa))
        tally = Tally()
        for gain in dice.normal(truth, math.sqrt(variance), size=8):
            tally = tally.learn("better", float(gain))
        low, high = NOTHING_KNOWN.given(tally).interval
        held += low <= truth <= high
    assert 0.74 <= held / 400 <= 0.86


def asks(value=0.3, alternatives=(0.15, 1.0), **fields):
    def size(new):
        return (Change("set", "lr", new),), f"to {new}.", Expected(-0.1, -0.2, 0.0)

    changes, reason, expected = size(value)
    others = tuple(Alternative(*size(other), judge_after_steps=50) for other in alternatives)
    return Proposal(
        "p", changes, reason, {"window": [0, 9]}, expected, "loss", 100, alternatives=others, **fields
    )


LOSS = noisy(FALL[:300], 0.02)


def test_where_nothing_is_known_the_policys_own_size_is_taken():
    for step in range(300, 340):
        chosen = choose(asks(), seen(LOSS, step=step), Book()).proposal
        assert chosen.changes[0].value == 0.3
        assert chosen.alternatives == ()
        assert {each["rule"] for each in chosen.evidence["alternatives"]} == {"first"}


def test_the_better_size_is_taken_most_of_the_time_and_the_others_are_still_tried():
    known = book(
        *(
            ("p", f"learning_rate {size}", "unknown, middle, calm", "better", mean + off, 1)
            for size, mean in (("x1.5", 0.05), ("x3", 0.12), ("x10", 0.2))
            for off in (-0.2, 0.2, -0.2, 0.2)
        )
    )
    values = [choose(asks(), seen(LOSS, step=step), known).proposal.changes[0].value for step in range(300)]
    assert values.count(1.0) > values.count(0.3) > values.count(0.15) > 0
    assert values.count(1.0) > 150


def test_the_choice_is_the_same_for_the_same_run_and_step_and_says_what_it_chose_among():
    known = book(("p", "learning_rate x3", "unknown, middle, calm", "same", 0.0, 3))
    one, again = (choose(asks(), seen(LOSS), known).proposal for _ in range(2))
    assert one == again
    assert one.evidence["belief"]["context"] == "unknown, middle, calm"
    assert {a["action"] for a in one.evidence["alternatives"]} | {one.evidence["belief"]["action"]} == {
        "learning_rate x1.5", "learning_rate x3", "learning_rate x10",
    }  # fmt: skip
    assert one.reason == f"to {one.changes[0].value}."
    assert dice_of(seen(LOSS, step=5), asks()).random() != dice_of(seen(LOSS, step=6), asks()).random()


def test_each_size_that_was_not_taken_tells_what_it_would_have_done_and_why_it_was_left():
    known = book(("p", "learning_rate x3", "unknown, middle, calm", "better", 0.4, 9))
    made = choose(asks(alternatives=(0.31, 1.0)), seen(LOSS), known).proposal.evidence
    twin, other = made["alternatives"]
    assert twin["rule"] == "same"
    assert other["changes"] == [{"verb": "set", "tunable": "lr", "value": 1.0, "old_value": 0.1}]
    assert other["expected"] == {"effect": -0.1, "low": -0.2, "high": 0.0, "unit": "ratio"}
    assert (other["rule"], other["judge_after_steps"]) == ("draw", 50)
    assert other["drawn"] < made["belief"]["drawn"]
    assert f"{100 * math.expm1(other['drawn']):+.2g} %" in other["why"]
    assert f"{100 * math.expm1(made['belief']['drawn']):+.2g} %" in other["why"]


@pytest.mark.parametrize(
    ("draws", "taken", "rescue", "rules"),
    [
        ({}, 0, True, ["first", "first"]),
        ({0: 0.02, 1: 0.3, 2: -0.1}, 1, False, ["draw", "draw"]),
        ({0: 0.3, 1: 0.8, 2: 0.9}, 1, True, ["odds", "later"]),
        ({0: 0.3, 1: 0.4, 2: 0.1}, 1, True, ["chance", "chance"]),
    ],
)
def test_why_a_size_was_left_follows_from_what_was_compared(draws, taken, rescue, rules):
    compared = Compared(["a", "b", "c"], draws, taken, rescue)
    assert [why_not(place, compared)["rule"] for place in range(3) if place != taken] == rules


class Harmful:
    name = "p"
    summary = "Raises at every look."
    defaults = {}
    urgent = False

    def propose(self, observation):
        self.shown = dict(observation.beliefs)
        return [asks(alternatives=(), urgency=self.urgent)]


def refusals(known, urgent=False, steps=200):
    policy = Harmful()
    policy.urgent = urgent
    found = [
        consider(seen(LOSS, step=400 + step), [policy], {}, Limits(), known)[0][0].refusal
        for step in range(steps)
    ]
    return policy, [each for each in found if each is not None]


WORSE = ("p", "learning_rate x3", "unknown, middle, calm", "worse", -0.2)


@pytest.mark.parametrize(
    ("known", "held"),
    [
        (book((*WORSE, 4)), False),  # too few to be sure
        (book((*WORSE, 8)), True),
        (book((*WORSE, 8), (*WORSE[:3], "better", 0.1, 8)), False),
        (book((*WORSE, 8), (*WORSE[:3], "same", 0.0, 30)), True),
        (book((*WORSE[:3], "worse", -0.01, 5), (*WORSE[:3], "better", 2.0, 1)), False),  # rare, but large
        (book((*WORSE[:3], "worse", None, 8)), True),  # it broke the metric: there is no figure
    ],
)
def test_who_is_known_to_harm_is_held_back_but_for_one_try_in_twenty(known, held):
    _, refused = refusals(known)
    assert (160 <= len(refused) < 200) if held else refused == []
    if held:
        assert {each.rule for each in refused} == {Rule.BELIEF}
        assert "were worse" in refused[0].sentence
        assert "unknown, middle, calm" in refused[0].sentence


def test_a_rescue_is_never_held_back():
    assert refusals(book((*WORSE, 50)), urgent=True)[1] == []


RESCUE = ("p", "learning_rate x3", "unknown, middle, calm")


@pytest.mark.parametrize(
    ("lessons", "least", "most"),
    [
        ([(*RESCUE, "better", 3.0, 4)], 35, 40),
        ([(*RESCUE, "same", 0.0, 8)], 0, 8),
        ([(*RESCUE, "worse", 0.0, 8), (*RESCUE[:1], "learning_rate x1.5", RESCUE[2], "worse", 0.0, 8)], 0, 8),
    ],
    ids=["helped", "did not help", "neither of two did"],
)
def test_a_rescue_takes_the_first_size_that_is_good_enough(lessons, least, most):
    """Gains against ruins are all alike: the largest would be chance, and the strongest costs steps unseen."""
    rescue = asks(urgency=True)
    values = [choose(rescue, seen(LOSS, step=s), book(*lessons)).proposal.changes[0].value for s in range(40)]
    assert least <= values.count(0.3) <= most
    if len(lessons) > 1:
        assert values.count(1.0) > 30


def test_a_policy_is_shown_what_is_believed_of_its_own_actions():
    policy, _ = refusals(book((*WORSE, 2), ("q", "learning_rate x3", "c", "better", 0.1, 2)), steps=1)
    assert set(policy.shown) == {"", "learning_rate x3"}
    assert policy.shown["learning_rate x3"].verdicts == 2
    assert policy.shown["learning_rate x3"].gain < 0 < policy.shown["learning_rate x3"].worse
