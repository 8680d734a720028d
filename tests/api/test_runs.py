"""Runs, experiments and projects over REST."""

import base64
from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.storage import series
from tests.support.domain import a_member, a_project, a_run
from training.models import ApiToken, Experiment, Membership, Project, Run, TokenKind

from .conftest import client_of

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]

RUN_FIELDS = {
    "code", "name", "experiment", "experiment_name", "project", "state", "silent", "config", "tags", "notes",
    "created_by", "created_at", "started_at", "ended_at", "last_seen_at", "last_step", "parent", "parent_step",
    "branches", "summary", "usage", "process", "actions", "offers", "job", "can", "group", "progress",
}  # fmt: skip


def fields(answer, status=400):
    assert answer.status_code == status, answer.content
    assert isinstance(answer.json()["detail"], str)
    return answer.json()["fields"]


def test_a_run_is_made_with_a_token_that_is_shown_once(operator, run):
    answer = operator.ask(
        "POST", "runs", {"experiment": run.experiment_id, "config": {"lr": 0.1}, "tags": ["a", "a"]}
    )
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == RUN_FIELDS | {"token"}
    assert made["state"] == "queued"
    assert made["tags"] == ["a"]
    assert made["can"] == "operator"
    assert ApiToken.find(made["token"], TokenKind.RUN).run.code == made["code"]
    again = operator.ask("GET", f"runs/{made['code']}").json()
    assert set(again) == RUN_FIELDS
    assert made["token"] not in str(again)


def test_a_session_that_asks_again_gets_the_same_run_until_its_process_connects(operator, run, project):
    def asked(client, session):
        body = {"experiment": run.experiment_id, "session": session}
        return client.ask("POST", "runs", body).json()

    first, again = asked(operator, "a" * 32), asked(operator, "a" * 32)
    assert again["code"] == first["code"]
    assert all(
        ApiToken.find(made["token"], TokenKind.RUN).run.code == first["code"] for made in (first, again)
    )
    assert asked(operator, "b" * 32)["code"] != first["code"]
    other = client_of(a_member(project, "otto", "operator"))
    assert asked(other, "a" * 32)["code"] != first["code"]
    Run.objects.filter(code=first["code"]).update(state="running", process={"pid": 1})
    assert asked(operator, "a" * 32)["code"] != first["code"]


def test_a_run_by_project_and_name_makes_the_experiment_once(operator, project):
    body = {"project": project.slug, "experiment_name": "Große Frage 🎉"}
    first, second = (operator.ask("POST", "runs", body).json() for _ in range(2))
    assert first["experiment"] == second["experiment"]
    assert first["experiment_name"] == "Große Frage 🎉"


def test_what_names_no_project_goes_home(operator, project):
    """`scaleweb_sdk.init(experiment="x")` names none."""
    for body in ({"experiment_name": "x"}, {"experiment_name": "x", "project": ""}):
        assert operator.ask("POST", "runs", body).json()["project"] == project.slug
    for slug in ("another", "default"):
        other = Project.objects.create(slug=slug, name=slug)
        user = Membership.objects.get(project=project, role="operator").user
        Membership.objects.create(project=other, user=user, role="operator")
        answer = operator.ask("POST", "runs", {"experiment_name": "x"})
        # Two to choose from is a question; `default` answers it.
        assert (answer.status_code, answer.json().get("project")) == (
            (400, None) if slug == "another" else (201, slug)
        )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "experiment"),
        ({"experiment": 10**15}, "experiment"),
        ({"experiment": True}, "experiment"),
        ({"experiment": "x"}, "experiment"),
        ({"experiment": [1]}, "experiment"),
        ({"project": "none", "experiment_name": "x"}, "project"),
        ({"project": 3, "experiment_name": "x"}, "project"),
        ({"surprise": 1}, "surprise"),
        ({"state": "running"}, "state"),
        ({"name": "x" * 201}, "name"),
        ({"name": 5}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": None}, "name"),
        ({"config": []}, "config"),
        ({"config": "lr=1"}, "config"),
        (
            {"config": {"deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}},
            "config",
        ),
        ({"config": {"huge": 10**40}}, "config"),
        ({"config": {"a": "x" * 2**20}}, "config"),
        ({"config": {"nul": "a\x00b"}}, "config"),
        ({"config": {"half": "\ud800"}}, "config"),
        ({"tags": "a"}, "tags"),
        ({"tags": [1]}, "tags[0]"),
        ({"tags": ["x"] * 200}, "tags"),
        ({"parent": "nosuchrun"}, "parent"),
        ({"parent_step": -1}, "parent_step"),
        ({"parent_step": 2**60}, "parent_step"),
        ({"parent_step": "3"}, "parent_step"),
        ({"parent_step": 1.5}, "parent_step"),
    ],
)
def test_a_bad_run_is_refused_with_its_field(operator, run, body, field):
    given = {"experiment": run.experiment_id} | body if field not in {"experiment", "project"} else body
    before = Run.objects.count()
    assert field in fields(operator.ask("POST", "runs", given))
    assert Run.objects.count() == before


@pytest.mark.parametrize(
    "literal", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 300, "9" * 5000, "-" + "9" * 5000]
)
def test_numbers_that_json_lacks_are_refused_where_they_stand(operator, run, literal):
    body = f'{{"experiment": {run.experiment_id}, "config": {{"lr": {literal}}}}}'
    answer = operator.post("/api/v1/runs", body, content_type="application/json")
    assert fields(answer)["config"][0].startswith("config.lr is ")


@pytest.mark.parametrize("body", ["{", "", "[]", '"x"', "null", "\xff".encode("latin-1"), "[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(operator, body):
    answer = operator.post("/api/v1/runs", body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert set(answer.json()) == {"detail", "fields"}


def test_a_body_too_large_is_refused(operator, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = operator.ask("POST", "runs", {"config": {"a": "x" * 2000}})
    assert answer.status_code == 413


def test_another_content_type_is_refused(operator):
    assert operator.post("/api/v1/runs", {"experiment": 1}).status_code == 415


def test_runs_are_filtered(operator, run, project):
    other = a_run(project, name="second 🎉", state="failed", tags=["best", 'ü"x'])
    listed = lambda query: [row["code"] for row in operator.ask("GET", "runs", query).json()["results"]]  # noqa: E731
    assert listed({}) == [other.code, run.code]
    assert listed({"state": "failed"}) == [other.code]
    assert listed({"state": ["failed", "running"]}) == [other.code, run.code]
    assert listed({"tag": "best"}) == [other.code]
    assert listed({"tag": 'ü"x'}) == [other.code]
    assert listed({"tag": "bes"}) == []
    assert listed({"search": "🎉"}) == [other.code]
    assert listed({"search": run.code}) == [run.code]
    assert listed({"experiment": run.experiment_id}) == [other.code, run.code]
    assert listed({"experiment": run.experiment_id + 10**9}) == []


@pytest.mark.parametrize(
    "query",
    [{"state": "odd"}, {"experiment": "x"}, {"experiment": 10**30}, {"search": "a\x00b"}, {"tag": "\x00"}],
)
def test_a_filter_that_means_nothing_is_refused(operator, query):
    answer = operator.ask("GET", "runs", query)
    assert set(fields(answer)) == set(query)


def test_a_page_leads_to_the_next_and_none_is_missed(operator, project):
    codes = {a_run(project, name=str(number)).code for number in range(7)}
    seen, address = [], "/api/v1/runs?limit=3"
    while address:
        page = operator.get(address).json()
        assert set(page) == {"next", "previous", "results"}
        seen += [row["code"] for row in page["results"]]
        address = page["next"]
    assert len(seen) == 7
    assert set(seen) == codes


def cursor(text: str) -> str:
    return base64.b64encode(text.encode("latin-1")).decode()


@pytest.mark.parametrize("path", ["runs", "experiments", "jobs", "projects", "tokens", "nodes", "needs"])
@pytest.mark.parametrize(
    "text", ["p=abc", "p=%00", "r=1&p=x y", "p=1.5", "p=", "p=" + "9" * 400, "o=-1", "o=x", "\xff"]
)
def test_a_cursor_that_was_made_up_is_refused_or_leads_nowhere(operator, run, path, text):
    answer = operator.get(f"/api/v1/{path}", {"cursor": cursor(text)})
    # Any short text can be the name that a page of nodes begins after.
    if not (path == "nodes" and answer.status_code == 200):
        assert set(fields(answer)) == {"cursor"}


@pytest.mark.parametrize("value", ["x", "", "0", "-1", "1.5", "1e3", "1001", "9" * 50, "٣", "\x00"])
def test_a_limit_that_means_nothing_is_refused(operator, run, value):
    assert set(fields(operator.get("/api/v1/runs", {"limit": value}))) == {"limit"}


@pytest.mark.parametrize(
    "path", ["runs", "experiments", "jobs", "projects", "tokens", "nodes", "needs", "runs/{}/events", "runs/{}/logs",
             "runs/{}/decisions", "runs/{}/export"],
)  # fmt: skip
def test_a_filter_misspelt_is_refused_instead_of_listing_everything(operator, run, path):
    answer = operator.get(f"/api/v1/{path.format(run.code)}", {"stat": "failed"})
    assert "this takes" in fields(answer)["stat"][0]


def test_what_was_deleted_meanwhile_is_not_there(operator, run, monkeypatch):
    """Two people delete one run, and a third sends points to it: nobody sees a failure, and nothing is left."""
    from training.api import points, runs

    def late(act):
        def and_then(*arguments):
            Run.objects.filter(pk=run.pk).delete()
            return act(*arguments)

        return and_then

    Run.objects.filter(pk=run.pk).update(state="finished")
    monkeypatch.setattr(runs, "delete_run", late(runs.delete_run))
    assert operator.ask("DELETE", f"runs/{run.code}").status_code == 404
    other = a_run(run.experiment.project)
    monkeypatch.setattr(points, "note", lambda *_: Run.objects.get(pk=-1))
    body = {"points": [{"key": "loss", "step": 1, "value": 1}]}
    assert operator.ask("POST", f"runs/{other.code}/points", body).status_code == 404
    assert series.keys(other.source) == []


def test_a_list_costs_the_same_for_many_runs_as_for_few(operator, project, django_assert_max_num_queries):
    for number in range(30):
        a_run(project, name=str(number), parent=a_run(project, name="parent"))
    with django_assert_max_num_queries(5):
        assert len(operator.ask("GET", "runs").json()["results"]) == 60


def test_a_list_of_experiments_costs_the_same_for_many(operator, project, django_assert_max_num_queries):
    for number in range(30):
        made = Experiment.objects.create(project=project, slug=f"e{number}", name=f"e{number}")
        Run.objects.create(experiment=made, name="r", state="failed")
    with django_assert_max_num_queries(5):
        rows = operator.ask("GET", "experiments").json()["results"]
    assert len(rows) == 30
    assert rows[0]["run_counts"] == {"failed": 1}
    assert rows[0]["controller_mode"] == "off"


def test_silence_is_derived_from_the_last_sign_of_life(operator, run, settings):
    row = lambda: operator.ask("GET", f"runs/{run.code}").json()  # noqa: E731
    assert row()["silent"] is False
    Run.objects.filter(pk=run.pk).update(last_seen_at=timezone.now())
    assert row()["silent"] is False
    settings.SILENT_SECONDS = -1
    assert row()["silent"] is True
    Run.objects.filter(pk=run.pk).update(state="finished")
    assert row()["silent"] is False


def test_a_run_is_changed_in_what_people_write(operator, run):
    answer = operator.ask(
        "PATCH", f"runs/{run.code}", {"name": "better 🎉", "notes": "n", "tags": ["a/b", "__c"]}
    )
    assert answer.json()["name"] == "better 🎉"
    assert answer.json()["tags"] == ["a/b", "__c"]
    assert "config" in fields(operator.ask("PATCH", f"runs/{run.code}", {"config": {}}))
    assert "state" in fields(operator.ask("PATCH", f"runs/{run.code}", {"state": "failed"}))


def test_a_live_run_is_not_deleted(operator, run):
    answer = operator.ask("DELETE", f"runs/{run.code}")
    assert answer.status_code == 409
    assert "stop it" in answer.json()["detail"]


def test_finishing_a_run_ends_it_once(operator, run):
    assert (
        operator.ask("POST", f"runs/{run.code}/finish", {"state": "finished"}).json()["state"] == "finished"
    )
    assert operator.ask("POST", f"runs/{run.code}/finish", {"state": "finished"}).status_code == 200
    answer = operator.ask("POST", f"runs/{run.code}/finish", {"state": "failed"})
    assert answer.status_code == 409
    assert "finished" in answer.json()["detail"]
    assert "state" in fields(operator.ask("POST", f"runs/{run.code}/finish", {"state": "running"}))


def test_a_run_under_a_job_is_ended_by_its_job(operator, job):
    answer = operator.ask("POST", f"runs/{job.run.code}/finish", {"state": "stopped"})
    assert answer.status_code == 409
    assert job.code in answer.json()["detail"]


def test_an_experiment_is_made_found_changed_and_archived(operator, project):
    body = {"project": project.slug, "name": "Learning rate?", "goal_metric": "val/acc", "goal_direction": "max",
            "goal_target": 0.99, "budget_device_hours": 3.5, "deadline": "2030-01-01T00:00:00Z"}  # fmt: skip
    made = operator.ask("POST", "experiments", body)
    assert made.status_code == 201, made.content
    row = made.json()
    assert row["slug"] == "learning-rate"
    assert row["created_by"] == "olga"
    assert row["run_counts"] == {}
    second = operator.ask("POST", "experiments", body).json()
    assert second["slug"].startswith("learning-rate-")
    address = f"experiments/{row['id']}"
    assert operator.ask("PATCH", address, {"archived": True}).json()["archived"] is True
    found = operator.ask("GET", "experiments", {"archived": "false", "search": "RATE"}).json()["results"]
    assert [one["id"] for one in found] == [second["id"]]
    assert "slug" in fields(operator.ask("PATCH", address, {"slug": second["slug"]}))
    assert "project" in fields(operator.ask("PATCH", address, {"project": "other"}))
    assert operator.ask("PATCH", address, {"slug": "new"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"goal_target": "high"}, "goal_target"),
        ({"goal_target": True}, "goal_target"),
        ({"goal_target": 0.9}, "goal_target"),  # of which metric?
        ({"goal_target": 0.9, "goal_metric": ""}, "goal_target"),
        ({"goal_direction": "up"}, "goal_direction"),
        ({"goal_metric": "x" * 301}, "goal_metric"),
        ({"budget_device_hours": -1}, "budget_device_hours"),
        ({"deadline": "tomorrow"}, "deadline"),
        ({"deadline": "0001-01-01T00:00:00+14:00"}, "deadline"),
        ({"deadline": 5}, "deadline"),
        ({"archived": "yes"}, "archived"),
        ({"slug": "a b"}, "slug"),
        ({"notes": "x" * 100_001}, "notes"),
        ({"runs": []}, "runs"),
        ({"id": 5}, "id"),
    ],
)
def test_a_bad_experiment_is_refused_with_its_field(operator, project, body, field):
    answer = operator.ask("POST", "experiments", {"project": project.slug, "name": "x"} | body)
    assert field in fields(answer)


def test_a_project_is_made_by_a_site_admin_who_is_its_first_admin(root, operator):
    assert operator.ask("POST", "projects", {"slug": "new", "name": "New"}).status_code == 403
    made = root.ask("POST", "projects", {"slug": "new", "name": "New"})
    assert made.status_code == 201
    assert made.json()["role"] == "admin"
    assert Membership.objects.get(project__slug="new").user.username == "root"
    assert "slug" in fields(root.ask("POST", "projects", {"slug": "new", "name": "New"}))
    assert "slug" in fields(root.ask("PATCH", "projects/new", {"slug": "newer"}))


def test_members_come_go_and_one_admin_stays(project_admin, project):
    a_member(a_project("other"), "bob")
    address = f"projects/{project.slug}/members"
    assert project_admin.ask("PUT", address, {"username": "bob", "role": "viewer"}).status_code == 200
    assert project_admin.ask("PUT", address, {"username": "bob", "role": "operator"}).status_code == 200
    rows = project_admin.ask("GET", address).json()["results"]
    assert rows == [{"username": "ada", "role": "admin"}, {"username": "bob", "role": "operator"}]
    assert "username" in fields(project_admin.ask("PUT", address, {"username": "nobody", "role": "viewer"}))
    assert "role" in fields(project_admin.ask("PUT", address, {"username": "bob", "role": "king"}))
    assert "username" in fields(project_admin.ask("PUT", address, {"username": "ada", "role": "viewer"}))
    assert "username" in fields(project_admin.ask("DELETE", address, {"username": "ada"}))
    assert project_admin.ask("DELETE", address, {"username": "bob"}).status_code == 204
    assert project_admin.ask("DELETE", address, {"username": "bob"}).status_code == 404


def test_me_says_who_and_where(viewer):
    assert viewer.ask("GET", "me").json() == {
        "username": "vera", "is_admin": False, "version": "0.1.0",
        "projects": [{"slug": "vision", "name": "Vision", "role": "viewer",
                      "created_at": viewer.ask("GET", "me").json()["projects"][0]["created_at"]}],
    }  # fmt: skip


def test_a_token_is_shown_once_and_revoked_by_its_owner_alone(operator, anonymous, project):
    made = operator.ask("POST", "tokens", {"name": "ci", "expires_in_days": 30}).json()
    plain = made["token"]
    assert ApiToken.objects.get(pk=made["id"]).hash != plain
    headers = {"Authorization": f"Bearer {plain}"}
    assert anonymous.ask("GET", "me", headers=headers).json()["username"] == "olga"
    rows = operator.ask("GET", "tokens").json()["results"]
    assert [row["name"] for row in rows] == ["ci"]
    assert "token" not in rows[0]
    other = client_of(a_member(project, "eve", "admin"))
    assert other.ask("DELETE", f"tokens/{made['id']}").status_code == 404
    assert operator.ask("DELETE", f"tokens/{made['id']}").status_code == 204
    assert anonymous.ask("GET", "me", headers=headers).status_code == 401
    assert operator.ask("GET", "tokens").json()["results"] == []
    assert "expires_in_days" in fields(
        operator.ask("POST", "tokens", {"name": "x", "expires_in_days": 10**9})
    )
    assert "name" in fields(operator.ask("POST", "tokens", {}))


def test_a_token_lives_no_longer_than_the_token_that_made_it(operator, anonymous, project):
    short = operator.ask("POST", "tokens", {"name": "short", "expires_in_days": 2}).json()
    headers = {"Authorization": f"Bearer {short['token']}"}
    made = anonymous.ask("POST", "tokens", {"name": "heir"}, headers=headers).json()
    assert made["expires_at"] == short["expires_at"]
    answer = anonymous.ask("POST", "tokens", {"name": "heir", "expires_in_days": 30}, headers=headers)
    assert "end of the token you use" in fields(answer)["expires_in_days"][0]
    assert (
        anonymous.ask("POST", "tokens", {"name": "x", "expires_in_days": 1}, headers=headers).status_code
        == 201
    )


def test_a_token_whose_time_is_over_opens_nothing(anonymous, project):
    user = a_member(project, "vera", "viewer")
    token, plain = ApiToken.issue("user", user=user, expires_at=timezone.now() + timedelta(minutes=1))
    headers = {"Authorization": f"Bearer {plain}"}
    assert anonymous.ask("GET", "me", headers=headers).status_code == 200
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert anonymous.ask("GET", "me", headers=headers).status_code == 401


def test_a_reading_with_a_token_seldom_writes(anonymous, project, django_assert_num_queries):
    """A write would wait for whoever writes on SQLite, and fail where the disk is full."""
    _, plain = ApiToken.issue("user", user=a_member(project, "vera", "viewer"))
    headers = {"Authorization": f"Bearer {plain}"}
    anonymous.ask("GET", "tokens", headers=headers)
    noted = ApiToken.objects.get().last_used_at
    assert noted is not None
    with django_assert_num_queries(2):  # the token and the list
        anonymous.ask("GET", "tokens", headers=headers)
    assert ApiToken.objects.get().last_used_at == noted


def test_commands_are_checked_and_stored(operator, run):
    address = f"runs/{run.code}/commands"
    made = operator.ask("POST", address, {"verb": "set", "tunable": "lr", "value": 0.01, "reason": "why"})
    assert made.status_code == 201, made.content
    assert made.json()["state"] == "pending"
    assert made.json()["asked_by"] == "olga"
    refused = operator.ask("POST", address, {"verb": "set", "tunable": "lr", "value": 7})
    assert "1e-06..1" in fields(refused)["value"][0]
    assert "verb" in fields(operator.ask("POST", address, {"verb": "explode"}))
    assert "tunable" in fields(operator.ask("POST", address, {"verb": "set", "tunable": "x", "value": 1}))
    Run.objects.filter(pk=run.pk).update(state="finished")
    assert "state" in fields(operator.ask("POST", address, {"verb": "pause"}), 409)
    assert len(operator.ask("GET", address).json()["results"]) == 1
