"""Groups, schedules, taking back and many runs, over REST."""

import pytest

from tests.support.domain import a_project, a_run
from training.commands import orders_after, record_outcome
from training.models import Command, Run, Tunable

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def steered(run):
    Tunable.objects.create(run=run, name="batch", kind="int", value=64, initial=64, low=1, high=512)
    Run.objects.filter(pk=run.pk).update(last_step=100)
    return run


def obey(run):
    for order in orders_after(run, 0):
        told = {"seq": order.seq, "ok": True, "old_value": 1e-3, "new_value": order.value}
        record_outcome(run, 0, order.at_step or 110, told)


def test_a_group_is_stored_whole_or_not_at_all(operator, steered):
    answer = operator.ask("POST", f"runs/{steered.code}/changes", {"settings": {"lr": 0.1, "batch": 1024}})
    assert answer.status_code == 400
    assert "outside 1..512" in answer.json()["fields"]["settings.batch"][0]
    assert not Command.objects.exists()
    body = {"settings": {"lr": 0.1, "batch": 128}, "reason": "larger", "at_step": 500, "key": "once"}
    for _ in range(2):
        answer = operator.ask("POST", f"runs/{steered.code}/changes", body)
        assert answer.status_code == 201, answer.content
    made = answer.json()
    assert [c["tunable"] for c in made] == ["lr", "batch"]
    assert {c["at_step"] for c in made} == {500}
    assert Command.objects.count() == 2


def test_a_command_is_asked_once_by_its_key(operator, steered):
    body = {"verb": "set", "tunable": "lr", "value": 0.1, "key": "a click"}
    first, second = (operator.ask("POST", f"runs/{steered.code}/commands", body).json() for _ in range(2))
    assert first["seq"] == second["seq"] == Command.objects.get().seq


def test_a_schedule_is_listed_followed_and_cancelled(operator, viewer, steered):
    body = {
        "tunable": "lr",
        "shape": "repeat",
        "at_step": 200,
        "factor": 0.5,
        "every": 100,
        "until_step": 400,
    }
    made = operator.ask("POST", f"runs/{steered.code}/schedules", body)
    assert made.status_code == 201, made.content
    assert [(c["at_step"], c["value"]) for c in made.json()["changes"]] == [
        (200, 5e-4),
        (300, 2.5e-4),
        (400, 1.25e-4),
    ]
    first, *_ = orders_after(steered, 0)
    record_outcome(steered, 0, 200, {"seq": first.seq, "ok": True, "old_value": 1e-3, "new_value": 5e-4})
    (listed,) = viewer.ask("GET", f"runs/{steered.code}/schedules").json()["results"]
    assert listed["state"] == "waiting"
    assert [c["state"] for c in listed["changes"]] == ["applied", "sent", "sent"]
    assert listed["asked"] == {"at_step": 200, "factor": 0.5, "every": 100, "until_step": 400}
    assert operator.ask("POST", f"schedules/{listed['id']}/cancel").status_code == 200
    cancel = Command.objects.get(verb="cancel")
    record_outcome(steered, 0, 210, {"seq": cancel.seq, "ok": True})
    (listed,) = viewer.ask("GET", f"runs/{steered.code}/schedules").json()["results"]
    assert (listed["state"], listed["cancelled_by"]) == ("ended", "olga")
    again = operator.ask("POST", f"schedules/{listed['id']}/cancel")
    assert again.status_code == 409
    wrong = operator.ask("POST", f"runs/{steered.code}/schedules", body | {"at_step": 90})
    assert "has passed: the run is at step 100" in wrong.json()["fields"]["at_step"][0]


def test_the_last_change_is_undone_and_named(operator, steered):
    operator.ask("POST", f"runs/{steered.code}/commands", {"verb": "set", "tunable": "lr", "value": 0.1})
    early = operator.ask("POST", f"runs/{steered.code}/commands/1/undo")
    assert early.status_code == 409
    obey(steered)
    (back,) = operator.ask("POST", f"runs/{steered.code}/commands/1/undo").json()
    assert (back["value"], back["origin"]) == (1e-3, "takes back:1")
    assert "takes back #1" in back["reason"]
    assert operator.ask("POST", f"runs/{steered.code}/commands/99/undo").status_code == 404


def test_many_runs_are_asked_each_for_itself(operator, viewer, outsider, steered):
    other = a_run(a_project(), name="second", state="running")
    Tunable.objects.create(run=other, name="lr", kind="float", value=0.8, initial=0.8, low=1e-6, high=1.0)
    over = a_run(a_project(), name="over", state="finished")
    hidden = a_run(a_project("secret"), name="hidden", state="running")
    body = {
        "runs": [steered.code, other.code, over.code, hidden.code],
        "verb": "set",
        "tunable": "lr",
        "factor": 0.5,
    }
    results = operator.ask("POST", "commands", body).json()
    assert [r["command"] and r["command"]["value"] for r in results] == [5e-4, 0.4, None, None]
    assert [r["problem"] for r in results[:2]] == ["", ""]
    assert "finished" in results[2]["problem"] or "declares no tunable" in results[2]["problem"]
    assert results[3]["problem"].startswith(f"there is no run {hidden.code}, or none that you may see")
    refused = operator.ask("POST", "commands", body | {"factor": 2}).json()
    assert "outside 1e-06..1" not in refused[0]["problem"]
    assert all("operator" in r["problem"] for r in viewer.ask("POST", "commands", body).json()[:3])
    told = outsider.ask("POST", "commands", body).json()
    assert all(r["problem"].startswith(f"there is no run {r['run']}, ") for r in told)
    assert operator.ask("POST", "commands", body | {"runs": []}).status_code == 400
