"""The same for many runs: tags, stops and deletions of those chosen, or of all that match."""

import json

import pytest

from tests.support.domain import a_run
from training.api import run_bulk
from training.models import Job, Run

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]


@pytest.fixture
def runs(project):
    return [
        a_run(
            project,
            "running" if place == 0 else "finished",
            name=f"{place}",
            tags=["old"] if place < 2 else [],
        )
        for place in range(6)
    ]


def bulk(client, runs, action, status=200, **body):
    answer = client.ask("POST", "runs/bulk", {"experiment": runs[0].experiment_id, "action": action, **body})
    assert answer.status_code == status, answer.content
    return answer.json()


def tags() -> list:
    return list(Run.objects.order_by("id").values_list("tags", flat=True))


def test_tags_are_added_to_all_that_match_and_taken_back_by_what_changed(operator, runs):
    told = bulk(operator, runs, "tag", tags=["old", "kept"], matching={"find": "finished"}, expected=5)
    assert (told["done"], told["unchanged"], told["left"], told["next"]) == (5, 0, 0, None)
    again = bulk(operator, runs, "tag", tags=["old"], matching={})
    assert (again["done"], again["unchanged"]) == (0, 6)
    bulk(operator, runs, "untag", tags=["old"], codes=told["changed"][1:])
    assert tags() == [["old"], ["old", "kept"], ["kept"], ["kept"], ["kept"], ["kept"]]


def test_what_is_over_is_deleted_and_what_runs_stays_with_the_reason(
    operator, runs, django_capture_on_commit_callbacks
):
    wanted = json.dumps({"column": "tags", "operator": "=", "value": "old"})
    told = bulk(operator, runs, "delete", matching={"filter": wanted}, expected=2)
    assert told["done"] == 1
    assert told["refusals"][0]["code"] == runs[0].code
    assert "stop it, then delete it" in told["refusals"][0]["reason"]
    assert Run.objects.count() == 5


def test_live_runs_are_asked_to_stop_and_waiting_jobs_end(operator, runs, project):
    waiting = a_run(project, name="waiting")
    Job.objects.create(run=waiting, argv=["true"])
    told = bulk(operator, runs, "stop", codes=[runs[0].code, runs[1].code, waiting.code])
    assert (told["done"], told["refused"]) == (2, 1)
    assert "has ended" in told["refusals"][0]["reason"]
    assert runs[0].commands.get().verb == "stop"
    assert Run.objects.get(pk=waiting.pk).state == "stopped"


def test_what_is_over_is_queued_again_and_what_has_no_job_says_so(operator, runs, project):
    ended, waiting = a_run(project, "stopped", name="ended"), a_run(project, name="waiting")
    Job.objects.create(run=ended, argv=["true"], state="stopped")
    Job.objects.create(run=waiting, argv=["true"])
    told = bulk(operator, runs, "requeue", codes=[runs[1].code, ended.code, waiting.code])
    assert (told["changed"], told["unchanged"], told["refused"]) == ([ended.code], 1, 1)
    assert "started by hand" in told["refusals"][0]["reason"]
    assert Run.objects.get(pk=ended.pk).state == "queued"


def test_much_is_done_piece_by_piece_and_what_came_meanwhile_is_left_alone(
    operator, runs, project, monkeypatch
):
    monkeypatch.setattr(run_bulk, "AT_ONCE", 4)
    first = bulk(operator, runs, "tag", tags=["x"], matching={}, expected=6)
    assert (first["done"], first["left"]) == (4, 2)
    a_run(project, "finished", name="late")
    second = bulk(
        operator, runs, "tag", tags=["x"], matching={}, expected=6, after=first["next"], until=first["until"]
    )
    assert (second["done"], second["next"]) == (2, None)
    assert tags()[-1] == []


def test_more_than_the_person_was_shown_is_refused(operator, runs):
    told = bulk(operator, runs, "delete", 400, matching={}, expected=5)
    assert told["detail"] == "expected: 6 runs match now, and you were shown 5; look again."


@pytest.mark.parametrize(
    ("body", "field"),
    [({"action": "delete"}, "codes"), ({"action": "delete", "codes": [], "matching": {}}, "codes"), 
     ({"action": "tag", "codes": []}, "tags"),
     ({"action": "explode", "codes": []}, "action"), ({"action": "stop", "matching": {"find": "/(/"}}, "find")],
)  # fmt: skip
def test_what_does_not_say_which_runs_or_what_is_refused(operator, runs, body, field):
    assert field in bulk(operator, runs, status=400, **body)["fields"]


def test_a_viewer_changes_none_and_runs_of_others_are_not_meant(viewer, outsider, operator, runs, project):
    bulk(viewer, runs, "delete", 403, matching={})
    bulk(outsider, runs, "delete", 400, matching={})
    other = a_run(project, "finished", name="elsewhere")
    Run.objects.filter(pk=other.pk).update(experiment=Run.objects.get(pk=other.pk).experiment)
    assert bulk(operator, runs, "tag", tags=["x"], codes=["nosuchrun"])["done"] == 0
    assert Run.objects.count() == 7
