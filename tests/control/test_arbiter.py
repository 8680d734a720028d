"""Who gives way to whom, as a table."""

import pytest

from control.arbiter import Claim, arbitrate
from control.decide import consider
from control.guards import Limits, Rule
from control.proposals import Belief, Change, Expected, Proposal
from tests.control.make import a_checkpoint, a_rate, seen

BACK = Change("rollback", value={"checkpoint": 101, "step": 100})
STOP = Change("stop", value={"why": "it cannot reach the best"})
ADOPT = Change("adopt", value={"run": "other", "checkpoint": 3, "step": 50, "path": "/c/3"})


def lr(value=0.05):
    return Change("set", "lr", value)


CLIP = Change("set", "clip", 1.0)
COMPILE = Change("compile")


def claim(policy, *changes, urgent=False, gain=0.0, verdicts=0):
    belief = Belief("a", "c", 0.3, 0.3, gain, gain - 0.1, gain + 0.1, verdicts)
    proposal = Proposal(policy, changes, "r.", {}, Expected(0, 0, 0), "loss", 100, urgency=urgent)
    return Claim(proposal, belief)


@pytest.mark.parametrize(
    ("first", "second", "loser", "words"),
    [
        (claim("a", lr()), claim("b", CLIP), None, ""),
        (
            claim("a", lr()),
            claim("b", lr(0.2)),
            1,
            "a asks for lr at the same moment, and it was asked first",
        ),
        (claim("a", lr()), claim("b", lr(0.2), urgent=True), 0, "a rescue comes first"),
        (claim("a", lr()), claim("b", BACK), 0, "a roll back comes before a setting"),
        (claim("a", BACK), claim("b", STOP), 0, "a stop comes before a roll back"),
        (claim("a", STOP), claim("b", BACK, lr(), urgent=True), 0, "a rescue comes first"),
        (claim("a", ADOPT), claim("b", STOP), 0, "a stop comes before an adoption"),
        (claim("a", lr()), claim("b", ADOPT), 0, "b asks for an adoption"),
        (claim("a", CLIP), claim("b", COMPILE), 0, "compiling comes before a setting"),
        (claim("a", lr()), claim("b", lr(0.2), gain=0.2, verdicts=9), 0, "+20 % against +0 %"),
        (claim("a", lr()), claim("b", lr(0.2), gain=0.2, verdicts=4), 1, "asked first"),
        (claim("a", lr(), gain=-0.2, verdicts=9), claim("b", lr(0.2)), 0, "+0 % against -20 %"),
    ],
)
def test_of_two_that_do_not_go_together_one_gives_way_and_is_told_why(first, second, loser, words):
    lost = arbitrate([first, second])
    assert [place for place, each in enumerate(lost) if each is not None] == (
        [] if loser is None else [loser]
    )
    if loser is not None:
        assert words in lost[loser].why
        assert lost[loser].matters


def test_who_gives_way_to_itself_or_asks_for_the_same_is_not_worth_a_record():
    own = arbitrate([claim("a", lr()), claim("a", lr(0.2))])[1]
    same = arbitrate([claim("a", lr()), claim("b", lr())])[1]
    assert own is not None
    assert same is not None
    assert not own.matters
    assert not same.matters


def test_three_that_want_the_run_leave_one():
    lost = arbitrate([claim("a", lr()), claim("b", BACK, lr(0.02), urgent=True), claim("c", STOP)])
    assert [each is None for each in lost] == [False, True, False]


class Asks:
    summary = "What the test says."
    defaults = {"may_stop": True}

    def __init__(self, name, *changes, urgent=False):
        self.name, self.changes, self.urgent = name, changes, urgent

    def propose(self, observation):
        fields = {"urgency": self.urgent}
        return [Proposal(self.name, self.changes, "r.", {}, Expected(0, 0, 0), "loss", 100, **fields)]


def test_the_loser_is_recorded_with_the_reason_and_a_refused_winner_wins_nothing():
    observed = seen([1.0] * 300, checkpoints=(a_checkpoint(100),))
    rescue, trial = Asks("rescue", BACK, urgent=True), Asks("trial", lr())
    decided = {i.proposal.policy: i.refusal for i in consider(observed, [trial, rescue], {}, Limits())[0]}
    assert decided["rescue"] is None
    assert decided["trial"].rule is Rule.ARBITER
    assert "a rescue comes first" in decided["trial"].sentence
    won = next(i.proposal for i in consider(observed, [trial, rescue], {}, Limits())[0] if i.refusal is None)
    assert won.evidence["overruled"] == [
        {
            "policy": "trial",
            "changes": [{"verb": "set", "tunable": "lr", "value": 0.05, "old_value": 0.1}],
            "expected": {"metric": "loss", "effect": 0, "low": 0, "high": 0, "unit": "ratio"},
            "why": "a rescue comes first",
        }
    ]
    nowhere = seen([1.0] * 300, rate=a_rate())  # no checkpoint to go back to
    decided = {i.proposal.policy: i.refusal for i in consider(nowhere, [trial, rescue], {}, Limits())[0]}
    assert decided["rescue"].rule is Rule.CHECKPOINT
    assert decided["trial"] is None


def test_a_shadow_stands_in_nobodys_way():
    observed = seen([1.0] * 300, checkpoints=(a_checkpoint(100),))
    settings = {"rescue": {"shadow": True}}
    found, _ = consider(
        observed, [Asks("trial", lr()), Asks("rescue", BACK, urgent=True)], settings, Limits()
    )
    assert {i.proposal.policy: (i.refusal, i.shadow) for i in found} == {
        "rescue": (None, True),
        "trial": (None, False),
    }
