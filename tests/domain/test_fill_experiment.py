"""`manage.py fill_experiment`: an experiment that shows on pages, with the points of `series fill`."""

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from monitoring.storage import series
from tests.support.domain import a_member, a_project
from training.models import Run

pytestmark = pytest.mark.django_db(databases="__all__")
SMALL = ("--project", "vision", "--runs", "2", "--keys", "3", "--points", "40")


def test_its_runs_are_listed_and_charted_and_a_second_time_makes_only_what_lacks(capsys):
    client = Client()
    client.force_login(a_member(a_project("vision")))
    for _ in range(2):
        call_command("fill_experiment", "big", *SMALL)
    assert "240 points of 2 runs of vision/big" in capsys.readouterr().out
    runs = client.get("/api/v1/runs").json()["results"]
    assert [run["experiment_name"] for run in runs] == ["big", "big"]
    assert [(run["state"], run["last_step"], len(run["summary"])) for run in runs] == [
        ("finished", 39, 3)
    ] * 2
    asked = {"sources": [f"run:{run['code']}" for run in runs], "keys": ["group0/key0"]}
    told = client.post("/api/v1/series/read", asked, content_type="application/json").json()["series"]
    assert [len(part["columns"]["step"]) for part in told] == [40, 40]
    assert told[0]["columns"]["last"][-1] == next(
        run["summary"]["group0/key0"] for run in runs if told[0]["source"] == f"run:{run['code']}"
    )


def test_runs_of_another_experiment_are_not_taken():
    call_command("fill_experiment", "big", *SMALL)
    with pytest.raises(CommandError, match="is in vision/big already; take another --seed"):
        call_command("fill_experiment", "other", *SMALL)
    call_command("fill_experiment", "other", *SMALL, "--seed", "2")
    assert Run.objects.filter(experiment__name="other").count() == 2


def test_what_is_deleted_gives_its_points_back(django_capture_on_commit_callbacks):
    call_command("fill_experiment", "big", *SMALL)
    client = Client()
    client.force_login(a_member(a_project("vision"), role="admin"))
    code = Run.objects.first().code
    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(f"/api/v1/runs/{code}").status_code == 204
    assert series.keys(f"run:{code}") == []
    assert series.stats()["points"] == 120


@pytest.mark.parametrize("asked", [("--runs", "0"), ("--seed", "100000")])
def test_numbers_that_mean_nothing_are_refused(asked):
    with pytest.raises(CommandError, match=f"{asked[0]}={asked[1]}; expected"):
        call_command("fill_experiment", "big", *asked)
    assert series.stats()["points"] == 0
