"""A run's family over REST: where it comes from, what goes on from it, whose weights went where."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.domain import a_run
from training import commands
from training.models import Checkpoint, Command, Job, Run, RunEvent

pytestmark = pytest.mark.django_db(databases="__all__")


def lineage(client, run):
    answer = client.ask("GET", f"runs/{run.code}/lineage")
    assert answer.status_code == 200, answer.content
    return answer.json()


def child_of(parent, step, **fields):
    return a_run(parent.experiment.project, parent=parent, parent_step=step, **fields)


@pytest.mark.both_databases
def test_it_names_those_before_it_and_those_after_it_with_the_checkpoints_they_began_from(viewer, run):
    saved = Checkpoint.objects.create(run=run, step=5, path="/c/5")
    child = child_of(run, 5, name="wider", summary={"loss": 0.25}, last_step=9)
    Job.objects.create(run=child, argv=["x"], start_from={"checkpoint": saved.pk, "run": run.code, "step": 5})
    grandchild = child_of(child, 8, name="wider still")
    a_run(run.experiment.project, name="no relative")
    told = lineage(viewer, run)
    assert told["children_total"] == 1
    assert [(each["code"], each["generation"], each["parent_step"]) for each in told["relatives"]] == [
        (child.code, 1, 5),
        (grandchild.code, 2, 8),
    ]
    first = told["relatives"][0]
    assert (first["parent"], first["checkpoint"], first["last_step"]) == (run.code, saved.pk, 9)
    assert first["figure"] == {"key": "loss", "value": 0.25}
    assert [(each["code"], each["generation"]) for each in lineage(viewer, grandchild)["relatives"]] == [
        (run.code, -2),
        (child.code, -1),
    ]


@pytest.mark.both_databases
def test_weights_that_were_taken_over_are_told_to_both_runs(viewer, run):
    giver = a_run(run.experiment.project, name="the best")
    command = Command.objects.create(
        run=run, seq=1, verb="adopt", asked_by="population", applied_step=40,
        value={"run": giver.code, "step": 30, "checkpoint": 7},
    )  # fmt: skip
    commands.note_lineage(command)
    Run.objects.filter(pk=giver.pk).update(experiment=run.experiment)
    for each in (run, giver):
        assert [
            (a["run"], a["step"], a["source"], a["source_name"], a["source_step"], a["checkpoint"], a["by"])
            for a in lineage(viewer, each)["adoptions"]
        ] == [(run.code, 40, giver.code, "the best", 30, 7, "population")]
    giver.delete()
    assert lineage(viewer, run)["adoptions"][0]["source_name"] == ""


@pytest.mark.both_databases
def test_a_large_family_costs_the_same_few_queries_and_a_bounded_answer(viewer, run):
    for _ in range(3):
        child_of(run, 1)
    with CaptureQueriesContext(connection) as few:
        lineage(viewer, run)
    Run.objects.bulk_create(
        Run(experiment=run.experiment, name=f"c{n}", parent=run, parent_step=n) for n in range(250)
    )
    with CaptureQueriesContext(connection) as many:
        told = lineage(viewer, run)
    assert len(many) == len(few)
    assert (len(told["relatives"]), told["children_total"]) == (200, 253)
    assert told["relatives"][-1]["parent_step"] == 249, "the newest are told of"


def test_who_took_over_weights_is_found_by_an_index(viewer, run):
    with CaptureQueriesContext(connection) as asked:
        lineage(viewer, run)
    statement = next(each["sql"] for each in asked if "kind = 'lineage'" in each["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        plan = " ".join(str(row) for row in cursor.fetchall())
    assert "lineage_by_source" in plan, plan


@pytest.mark.both_databases
def test_runs_are_listed_by_their_parent(viewer, run):
    child = child_of(run, 5)
    found = viewer.ask("GET", "runs", {"parent": run.code}).json()["results"]
    assert [each["code"] for each in found] == [child.code]
    assert viewer.ask("GET", "runs/count", {"parent": child.code}).json()["count"] == 0


def test_a_run_of_another_project_shows_nothing_of_itself(viewer, outsider, run):
    RunEvent.objects.create(run=run, kind="lineage", new=run.code, data={})
    assert outsider.ask("GET", f"runs/{run.code}/lineage").status_code == 404
