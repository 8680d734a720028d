"""What the controller did, in figures: the same from rows as one would count by hand."""

import csv
import io
import math
from datetime import UTC, datetime

import pytest

from control import beliefs
from control.models import BeliefTally, ControllerSettings, Decision
from tests.support.domain import a_project, a_run
from training.models import Command

pytestmark = pytest.mark.django_db(databases="__all__")
LOG = {"metric": "loss", "log": True, "direction": "min"}


def decided(run, policy="learning_rate", state="judged", verdict="", difference=None, **fields):
    saved = fields.pop("saved", None)
    measured = {"metric": "loss", "difference": difference, "window": [40, 100], "saved_steps": saved}
    fields = {
        "mode": "act", "tunable": "lr", "reason": "=why", "old_value": 0.1, "new_value": 0.3,
        "decided_step": 0, "applied_step": 0, "judge_at_step": 100, "judge_after_steps": 100,
        "judged_at": datetime(2026, 1, 2, tzinfo=UTC) if verdict else None, "forecast": LOG,
        "measured": measured | {"saved_seconds": saved, "sentence": "s."},
    } | fields  # fmt: skip
    return Decision.objects.create(run=run, policy=policy, state=state, verdict=verdict, **fields)


@pytest.fixture
def history(run):
    seen = {"noise": 0.1, "belief": {"action": "learning_rate x3"}, "alternatives": [{"taken": True}]}
    promised = {"effect": -0.2, "low": -0.4, "high": 0.0}
    decided(run, verdict="better", difference=-0.5, trial=True, saved=40, evidence=seen, expected=promised)
    decided(run, verdict="better", difference=-0.1, trial=True, saved=10)
    decided(
        run,
        state="undone",
        verdict="worse",
        difference=1.0,
        trial=True,
        judged_at=datetime(2026, 1, 3, tzinfo=UTC),
    )
    decided(run, "divergence", verdict="better", urgent=True, verb="rollback", tunable="")
    decided(run, verdict="better", difference=-0.2, verb="rollback")
    for seq, (state, asked_by) in enumerate(
        [("applied", "controller:divergence"), ("rejected", "controller:divergence"), ("applied", "ada")], 1
    ):
        Command.objects.create(
            run=run, seq=seq, verb="rollback", state=state, asked_by=asked_by, applied_step=150,
            value={"checkpoint": 1, "step": 100},
        )  # fmt: skip
    decided(run, state="applied", trial=True)
    decided(run, state="recorded", mode="shadow", held80=True, held90=True)
    decided(run, state="blocked", held80=False, held90=True)
    decided(run, state="rejected", verdict="unclear")
    other = a_run(a_project("other"), state="running")
    decided(other, "secret", verdict="worse", difference=9.0)
    return run


def test_the_summary_counts_what_the_controller_did_for_an_experiment(viewer, history):
    told = viewer.ask("GET", f"experiments/{history.experiment_id}/controller/summary").json()
    assert (told["rescues"], told["restarts"]) == ({"made": 1, "better": 1}, {"made": 1, "better": 1})
    assert told["trials"] == {"made": 4, "kept": 2, "taken_back": 1, "open": 1}
    assert (told["runs"], told["changes"], told["taken_back"], told["shadow"]) == (1, 6, 1, 1)
    assert told["decisions"] == {
        "judged": 4,
        "undone": 1,
        "applied": 1,
        "recorded": 1,
        "blocked": 1,
        "rejected": 1,
    }
    assert (told["saved_steps"], told["saved_seconds"], told["lost_steps"]) == (50, 50.0, 100)
    assert told["steps_back"] == 50, "of the controller's own roll backs that were applied"
    assert told["forecasts"] == {"compared": 2, "held80": 1, "held90": 2, "share80": 0.5, "share90": 1.0}
    assert told["verdicts"]["mean_gain"] == pytest.approx((0.6931 + 0.1054 - 0.6931 + 0.2231) / 4, abs=1e-3)
    assert told["best"]["measured"]["difference"] == -0.5
    assert told["sentence"] == (
        "In 1 run: 1 rescue, 1 of them judged better; 4 trials: 2 kept, 1 taken back; 1 fresh start from a "
        "checkpoint, 1 of them judged better. The best of them brought loss to 50 % below what not acting was "
        "forecast to bring. At least 50 steps saved; 100 ran under changes that were worse or taken back. Roll backs "
        "threw away 50 steps."
    )


def test_an_experiment_where_nothing_was_done_says_so(viewer, run):
    told = viewer.ask("GET", f"experiments/{run.experiment_id}/controller/summary").json()
    assert told["sentence"] == "The controller has changed nothing here so far."
    assert (told["best"], told["saved_steps"], told["forecasts"]["share80"]) == (None, None, None)


def test_policies_have_a_score_by_day_over_the_callers_projects_alone(viewer, root, history):
    told = {score["policy"]: score for score in viewer.ask("GET", "policies").json()}
    assert set(told) == {"divergence", "learning_rate"}
    rate = told["learning_rate"]
    assert (rate["decisions"], rate["acted"], rate["blocked"], rate["shadow"], rate["taken_back"]) == (
        8,
        5,
        1,
        1,
        1,
    )
    assert [(day["day"], day["better"], day["worse"], day["unclear"]) for day in rate["days"]] == [
        ("2026-01-02", 3, 0, 1), ("2026-01-03", 0, 1, 0),
    ]  # fmt: skip
    assert {score["policy"] for score in root.ask("GET", "policies").json()} == {*told, "secret"}
    assert viewer.ask("GET", "policies?experiment=999999").json() == []
    assert viewer.ask("GET", "policies?experiment=x").status_code == 400
    assert viewer.ask("GET", "policies?run=x").status_code == 400


def test_the_table_holds_every_decision_and_no_formula(viewer, history):
    answer = viewer.ask("GET", f"experiments/{history.experiment_id}/decisions.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert len(rows) == 9
    assert (rows[0]["policy"], rows[0]["verdict"], rows[0]["difference"]) == (
        "learning_rate",
        "better",
        "-0.5",
    )
    assert {row["reason"] for row in rows} == {"'=why"}
    # What a card shows stands in it, too: what was seen, what else was on offer, what was promised.
    assert [rows[0][name] for name in ("evidence", "alternatives", "action")] == [
        '{"noise": 0.1}', '[{"taken": true}]', "learning_rate x3",
    ]  # fmt: skip
    assert [rows[0][f"expected_{end}"] for end in ("effect", "low", "high")] == ["-0.2", "-0.4", "0.0"]
    assert rows[1]["alternatives"] == ""


def test_each_policys_score_over_time_is_had_as_a_table(viewer, history):
    def table(query):
        answer = viewer.ask("GET", f"policies.csv{query}")
        assert answer["Content-Type"] == "text/csv"
        rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
        # By how many times, for a person who counts along.
        gains = [row["mean_gain"] and f"{math.exp(float(row['mean_gain'])):.3f}" for row in rows]
        return [tuple((row | {"mean_gain": gain}).values()) for row, gain in zip(rows, gains, strict=True)]

    assert (
        table("")
        == table(f"?experiment={history.experiment_id}")
        == [
            ("divergence", "2026-01-02", "1", "0", "0", "0", "", "0"),
            ("learning_rate", "2026-01-02", "3", "0", "0", "1", "1.406", "3"),
            ("learning_rate", "2026-01-03", "0", "0", "1", "0", "0.500", "1"),
        ]
    )
    assert table("?experiment=999") == []
    assert viewer.ask("GET", "policies.csv?experiment=x").status_code == 400


def test_the_experiment_says_whether_beliefs_are_used_and_which_policies_are_shadows(operator, run):
    path = f"experiments/{run.experiment_id}/controller"
    assert operator.ask("GET", path).json()["learning"] == "use"
    change = {"learning": "teach", "policies": {"learning_rate": {"shadow": True}}}
    told = operator.ask("PATCH", path, change).json()
    assert (told["learning"], told["policies"]["learning_rate"]["shadow"]) == ("teach", True)
    assert told["policies"]["divergence"]["shadow"] is False
    assert ControllerSettings.objects.get().learning == "teach"
    assert operator.ask("PATCH", path, {"policies": {"learning_rate": {"shadow": 1}}}).status_code == 400


def test_beliefs_are_read_by_all_and_brought_in_and_forgotten_by_admins(viewer, root):
    lesson = beliefs.Lesson("p", "learning_rate x3", "sgd, start, calm", "better", 0.3)
    beliefs.add([lesson, lesson])
    (told,) = viewer.ask("GET", "beliefs").json()
    assert (told["action"], told["better"], told["mean"]) == ("learning_rate x3", 2, 0.3)
    assert told["gain_low"] < told["gain"] < told["gain_high"]
    assert told["chance_better"] > told["chance_worse"]
    assert viewer.ask("GET", "beliefs?policy=q").json() == []
    file = viewer.ask("GET", "beliefs/export").json()
    assert root.ask("POST", "beliefs/reset", {"policy": "q"}).json() == {"count": 0}
    assert root.ask("POST", "beliefs/reset", {}).json() == {"count": 1}
    assert root.ask("POST", "beliefs/import", file).json() == {"count": 1}
    assert root.ask("POST", "beliefs/import", file | {"merge": True}).json() == {"count": 1}
    assert BeliefTally.objects.get().better == 4
    bad = root.ask("POST", "beliefs/import", {"format": "x", "beliefs": []})
    assert bad.status_code == 400
    assert "scaleweb beliefs 1" in bad.json()["fields"]["beliefs"][0]
