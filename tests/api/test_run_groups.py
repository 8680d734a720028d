"""Groups of runs, their statistics, and what a table asks of many runs: counts and columns."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.support.domain import a_run
from training.models import Job, JobGroup, Run

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]


@pytest.fixture
def runs(project):
    """Two optimisers with three seeds each, a run that diverged, and one without settings."""
    now = timezone.now()
    made = [("adam", loss) for loss in (1.0, 2.0, 3.0)] + [
        ("sgd", 5.0),
        ("sgd", "NaN"),
        ("sgd", 7.0),
        (None, 9.0),
    ]
    return [
        a_run(project, "running" if loss == 3.0 else "finished", name=f"{place}", summary={"loss": loss},
              tags=["b", "a"], config={"optimizer": optimizer, "seed": place, "same": 1} if optimizer else {},
              started_at=now - timedelta(seconds=100), ended_at=now)
        for place, (optimizer, loss) in enumerate(made)
    ]  # fmt: skip


def groups(client, **query) -> dict:
    answer = client.ask("GET", "runs/groups", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_group_tells_count_mean_deviation_least_and_greatest(viewer, runs):
    found = groups(viewer, by="config:optimizer", measure=["metric:loss", "duration"])
    assert (found["total"], found["groups_total"], found["by"]) == (7, 3, ["config:optimizer"])
    adam, sgd, none = found["groups"]
    assert (adam["values"], adam["count"], adam["live"]) == (["adam"], 3, 1)
    assert adam["statistics"]["metric:loss"] == {
        "count": 3,
        "mean": 2.0,
        "deviation": 1.0,
        "min": 1.0,
        "max": 3.0,
    }
    assert adam["statistics"]["duration"]["mean"] == pytest.approx(100, abs=0.01)
    # What is not a number is counted in the group and not in the mean.
    assert (
        sgd["count"],
        sgd["statistics"]["metric:loss"]["count"],
        sgd["statistics"]["metric:loss"]["mean"],
    ) == (3, 2, 6.0)
    assert none["values"] == [None]
    assert none["statistics"]["metric:loss"]["deviation"] is None


def test_groups_by_several_columns_of_what_matches_in_an_order(viewer, runs):
    wanted = json.dumps({"column": "metric:loss", "operator": "<", "value": 8})
    found = groups(
        viewer, by=["state", "config:optimizer"], measure="metric:loss", sort="-metric:loss", filter=wanted
    )
    assert [group["values"] for group in found["groups"]] == [
        ["finished", "sgd"],
        ["running", "adam"],
        ["finished", "adam"],
    ]
    assert groups(viewer, by="tags")["groups"][0]["values"] == ["a, b"]
    assert [g["count"] for g in groups(viewer, by="config:optimizer", sort="-count")["groups"]] == [3, 3, 1]
    assert groups(viewer, by="config:seed")["groups"][0]["values"] == [0]


@pytest.mark.parametrize(
    ("query", "field"),
    [({}, "by"), ({"by": "x"}, "by"), ({"by": ["state"] * 6}, "by"), ({"by": "state", "measure": "name"}, "measure"),
     ({"by": "state", "sort": "metric:loss"}, "sort"), ({"by": "state", "limit": 3, "more": 1}, "more")],
)  # fmt: skip
def test_groups_that_cannot_be_made_are_refused(viewer, runs, query, field):
    answer = viewer.ask("GET", "runs/groups", query)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]


def test_how_many_match_is_told_by_state(viewer, outsider, runs):
    told = viewer.ask("GET", "runs/count", {"find": "optimizer=adam"}).json()
    assert (told["count"], told["states"]) == (3, {"finished": 2, "running": 1})
    assert told["newest"]
    assert outsider.ask("GET", "runs/count").json() == {"count": 0, "newest": None, "states": {}}


def test_the_columns_of_what_matches_are_told_and_which_settings_differ(viewer, runs):
    told = viewer.ask("GET", "runs/columns", {"find": "optimizer=adam"}).json()
    assert told["metrics"] == [{"name": "loss", "runs": 3}]
    assert [(each["path"], each["differs"], each["values"]) for each in told["settings"]] == [
        ("optimizer", False, ["adam"]), ("same", False, ["1"]), ("seed", True, ["0", "1", "2"]),
    ]  # fmt: skip
    assert told["tags"] == [{"name": "b", "runs": 3}, {"name": "a", "runs": 3}]
    # A setting that one of them lacks differs.
    whole = viewer.ask("GET", "runs/columns").json()
    assert {each["path"]: each["differs"] for each in whole["settings"]}["same"]


def test_of_too_many_metrics_those_that_most_runs_have_are_told(viewer, runs):
    layers = {f"layer/{place:04}": 1.0 for place in range(5001)}
    Run.objects.filter(pk=runs[0].pk).update(summary=layers | {"loss": 1.0, "val/loss": 2.0})
    Run.objects.filter(pk=runs[1].pk).update(summary={"loss": 1.0, "val/loss": 2.0})
    told = [each["name"] for each in viewer.ask("GET", "runs/columns").json()["metrics"]]
    assert (len(told), told[-2:]) == (5000, ["loss", "val/loss"])
    assert told == sorted(told)


def test_runs_are_listed_narrowed_and_gathered_by_the_grid_that_they_are_of(viewer, runs):
    first, second, _ = runs[:3]
    group = JobGroup.objects.create(experiment=first.experiment, name="sweep", kind="grid", count=2)
    for run in (first, second):
        Job.objects.create(run=run, argv=["true"], group=group)
    label = f"sweep · {group.code}"
    found = groups(viewer, by="group", measure=["metric:loss"])["groups"]
    assert [(each["values"], each["count"]) for each in found] == [([label], 2), ([None], 5)]
    chosen = {"filter": json.dumps({"column": "group", "operator": "=", "value": label}), "column": "group"}
    rows = viewer.ask("GET", "runs", chosen).json()["results"]
    assert [(row["code"], row["group"]) for row in rows] == [(second.code, label), (first.code, label)]
    best = viewer.ask("GET", "runs", {"sort": "group", "column": "group"}).json()["results"]
    assert [row["group"] for row in best] == [label, label, None, None, None, None, None]
