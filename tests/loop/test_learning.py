"""Verdicts become beliefs through the real rows; shadows and forecasts that nobody acted on are compared."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from control import beliefs
from control.learning import choose
from control.learning.book import Book
from control.models import BeliefTally, Decision
from control.proposals import Change
from tests.loop.scripted import ScriptedRun

pytestmark = pytest.mark.django_db(databases="__all__")
RAISE = Change("set", "lr", 0.3)


@pytest.fixture(autouse=True)
def quiet(published):
    return published


def tallies():
    return {
        (row.policy, row.action): (row.better, row.same, row.worse, round(row.mean, 1))
        for row in BeliefTally.objects.all()
    }


def judged(clock, level, **fields):
    """A run whose raise was applied and has reached its horizon at this level of loss."""
    live = ScriptedRun(clock, RAISE, **fields)
    live.tick()
    live.rest()
    live.obey()
    live.log(150, level)
    live.tick()
    live.tick()
    return live


@pytest.mark.parametrize(
    ("level", "learned"),
    [(0.5, (1, 0, 0, 0.7)), (2.0, (0, 0, 1, -0.7)), (float("nan"), (0, 0, 1, 0.0)), (1.0, (0, 1, 0, 0.0))],
)
def test_a_verdict_teaches_the_site_once(clock, level, learned):
    judged(clock, level)
    assert tallies() == {("scripted", "other x3"): learned}
    assert beliefs.teach() == 0


def test_two_that_teach_at_once_count_a_verdict_once(clock, monkeypatch):
    live = judged(clock, 0.5)
    Decision.objects.update(taught=False)
    BeliefTally.objects.all().delete()
    first = beliefs.lesson_of

    def beside(decision):
        # Another tick that read the same rows comes between the reading and the counting.
        monkeypatch.setattr(beliefs, "lesson_of", first)
        assert beliefs.teach() == 0
        return first(decision)

    monkeypatch.setattr(beliefs, "lesson_of", beside)
    assert beliefs.teach() == 1
    assert tallies() == {("scripted", "other x3"): (1, 0, 0, 0.7)}
    assert live.last.taught


def test_what_could_not_be_compared_is_not_even_counted_as_unclear(clock):
    live = judged(clock, 0.5)
    BeliefTally.objects.all().delete()
    for difference, counted in ((None, 0), (0.01, 1)):
        Decision.objects.update(taught=False, verdict="unclear", measured={"difference": difference})
        assert beliefs.teach() == counted
    row = BeliefTally.objects.get()
    assert (row.unclear, row.better, row.gains) == (1, 0, 0)
    assert live.last.taught


@pytest.mark.parametrize(("learning", "learned"), [("use", 1), ("teach", 1), ("off", 0)])
def test_an_experiment_may_keep_its_verdicts_to_itself(clock, learning, learned):
    live = ScriptedRun(clock, RAISE)
    live.settings.learning = learning
    live.settings.save()
    live.tick()
    live.rest()
    live.obey()
    live.log(150, 0.5)
    assert live.tick().learned == learned
    assert live.last.taught
    assert len(tallies()) == learned


def teach_harm(times=9):
    beliefs.add(
        [beliefs.Lesson("scripted", "other x3", "unknown, start, noisy", "worse", -0.3) for _ in range(times)]
    )


@pytest.mark.parametrize(("learning", "state"), [("use", "blocked"), ("teach", "sent")])
def test_what_is_known_to_harm_is_held_back_and_the_decision_names_the_belief(
    clock, monkeypatch, learning, state
):
    monkeypatch.setattr(
        choose, "ONE_IN", 2**62
    )  # the one try in twenty would make it a matter of the run's code
    teach_harm()
    live = ScriptedRun(clock, RAISE)
    live.settings.learning = learning
    live.settings.save()
    live.tick()
    assert live.last.state == state
    told = live.last.evidence["belief"]
    assert (told["action"], told["verdicts"]) == ("other x3", 9 if learning == "use" else 0)
    assert live.last.blocked_by.startswith("belief: of 9 verdicts") is (learning == "use")


def test_beliefs_travel_whole_and_are_taken_in_place_or_added(clock):
    teach_harm(4)
    told = beliefs.export()
    assert beliefs.load(told) == 1
    assert beliefs.export() == told
    beliefs.load(told, merge=True)
    assert BeliefTally.objects.get().worse == 8
    assert beliefs.reset("another") == 0
    assert beliefs.reset("scripted") == 1
    assert beliefs.book() == Book()


ROW = {"policy": "p", "action": "a", "context": "c", "better": 1}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "expected"),
        ({"format": "2"}, "got the format '2'"),
        ({"format": beliefs.FORMAT, "beliefs": {}}, "must be a list"),
        ([ROW | {"policy": ""}], "belief 1: policy must be a text"),
        ([ROW, ROW], "p / a / c is there twice"),
        ([ROW | {"better": -1}], "must be a number"),
        ([ROW | {"better": True}], "must be a number"),
        ([ROW | {"gains": 2}], "more than there are verdicts"),
        ([ROW | {"mean": float("nan")}], "finite"),
        ([ROW | {"squares": -1.0}], "squares"),
        ([ROW, 7], "belief 2 must be a map"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_whole(data, words):
    teach_harm(1)
    data = {"format": beliefs.FORMAT, "beliefs": data} if isinstance(data, list) else data
    with pytest.raises(beliefs.BadBeliefs, match=words):
        beliefs.load(data)
    assert BeliefTally.objects.get().worse == 1


# Shadows, and forecasts that nobody acted on.


def test_a_shadow_decides_and_is_compared_and_nothing_is_sent(clock):
    live = ScriptedRun(clock, RAISE)
    live.settings.policies = {"scripted": {"shadow": True}}
    live.settings.save()
    live.tick()
    live.rest()
    assert (live.last.state, live.last.mode) == ("recorded", "shadow")
    assert live.obey() == []
    live.log(150)
    assert live.tick().compared == 1
    assert (live.last.held80, live.last.held90, live.last.verdict) == (True, True, "")
    assert "Nothing was done. loss was" in live.last.measured["sentence"]
    assert live.tick().compared == 0
    assert tallies() == {}


@pytest.mark.parametrize(
    ("level", "held"), [(1.0, (True, True)), (3.0, (False, False)), (float("nan"), (False, False))]
)
def test_a_forecast_that_nobody_acted_on_is_held_against_what_came(clock, level, held):
    live = ScriptedRun(clock, RAISE, mode="observe")
    live.tick()
    live.rest()
    live.log(150, level)
    live.tick()
    assert (live.last.held80, live.last.held90) == held
    assert live.last.state == "recorded"
    assert live.last.judged_at is not None


def test_where_something_was_changed_meanwhile_the_forecast_is_not_compared(clock):
    live = ScriptedRun(clock, RAISE, mode="observe")
    live.tick()
    live.rest()
    live.run.tunables.filter(name="clip").update(changed_step=live.step + 10)
    live.log(150)
    assert live.tick().compared == 0
    assert live.last.held80 is None
    assert "clip was changed" in live.last.measured["sentence"]


def test_a_better_change_says_how_many_steps_sooner_it_came_there(clock):
    live = judged(clock, 0.5)
    assert 80 <= live.last.measured["saved_steps"] <= 100


@pytest.mark.parametrize(
    ("days", "half_life", "left"), [(0, 180, 8.0), (180, 180, 4.0), (360, 180, 2.0), (360, 0, 8.0)]
)
def test_a_verdict_of_long_ago_counts_for_less(settings, days, half_life, left):
    settings.BELIEF_HALF_LIFE_DAYS = half_life
    teach_harm(8)
    BeliefTally.objects.update(changed_at=timezone.now() - timedelta(days=days))
    (tally,) = beliefs.book().tallies.values()
    assert tally.worse == pytest.approx(left)
    assert tally.mean == BeliefTally.objects.get().mean
    assert beliefs.export()["beliefs"][0]["worse"] == pytest.approx(left)
    teach_harm(1)
    assert BeliefTally.objects.get().worse == pytest.approx(left + 1)


def test_the_command_shows_carries_and_forgets(clock, tmp_path, capsys):
    teach_harm(4)
    file = tmp_path / "beliefs.json"
    call_command("beliefs", "export", str(file))
    call_command("beliefs", "reset")
    call_command("beliefs", "show")
    call_command("beliefs", "import", str(file))
    call_command("beliefs", "show", "--policy", "scripted")
    told = capsys.readouterr().out
    assert "1 beliefs forgotten\nnothing learned yet\n1 beliefs taken\n" in told
    assert "scripted: other x3 (unknown, start, noisy): better 0, same 0, worse 4; gain -2" in told
    file.write_text("{")
    with pytest.raises(CommandError, match="no JSON"):
        call_command("beliefs", "import", str(file))
