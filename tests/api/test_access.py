"""Every address of the site, and who may use it: a new route without a line here fails."""

import hashlib
import json
import re
from datetime import timedelta

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from alerts.models import Alert, Channel, Rule
from control.models import Decision
from tests.api.allowed import ADMIN, EXPECTED, IN_BODY, LISTED, LOGIN, OPERATOR, OWN, PAGE, SITE_ADMIN, VIEWER
from tests.support.domain import a_user
from training.copies import files as copies
from training.media import files
from training.models import (
    ApiToken,
    Checkpoint,
    JobGroup,
    Media,
    SavedView,
    Schedule,
    TokenKind,
    ViewLink,
    WorkingCopy,
)

pytestmark = pytest.mark.django_db(databases="__all__")

# How they refuse is in test_sockets.py.
SOCKETS = {"/link/v1", "/ws/live"}


def routes(patterns=None, prefix=""):
    """Every route of Django's resolver with its view, the admin's apart."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, route)
        elif isinstance(entry, URLPattern):
            yield route, entry.callback


def site_routes():
    return {route: view for route, view in routes() if not route.startswith("admin/")}


def admin_routes():
    return [route for route, _ in routes() if route.startswith("admin/")]


def methods_of(view) -> set[str]:
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if kind is None:
        return {"GET"}  # plain views are under require_safe
    names = {name for name in kind.http_method_names if hasattr(kind, name)} - {"options", "head"}
    return {name.upper() for name in names}


CASES = [
    pytest.param(route, method, level, id=f"{method} /{route}")
    for route, levels in EXPECTED.items()
    for method, level in levels.items()
]
NEEDS = {
    role: [case for case in CASES if case.values[2] in levels]
    for role, levels in {
        "login": {PAGE, LOGIN, OWN, LISTED, VIEWER, OPERATOR, ADMIN, IN_BODY, SITE_ADMIN},
        "membership": {VIEWER, OPERATOR, ADMIN},
        "operator": {OPERATOR, ADMIN, IN_BODY},
        "admin": {ADMIN},
        "site admin": {SITE_ADMIN},
    }.items()
}


def test_every_route_declares_who_may_use_it():
    assert set(site_routes()) == set(EXPECTED)


def test_every_method_of_every_view_is_declared():
    undeclared = {
        f"{method} /{route}"
        for route, view in site_routes().items()
        for method in methods_of(view) - set(EXPECTED.get(route, {}))
        # Django's form views take PUT as POST, and under the same checks.
        if not (route in {"login", "password", "logout"} and method in {"PUT", "GET"})
        and not (route in {"api/", "favicon.ico"} and method != "GET")
    }
    assert not undeclared


def test_every_websocket_is_declared():
    from scaleweb.routing import WEBSOCKET_PATHS

    assert set(WEBSOCKET_PATHS) == SOCKETS


@pytest.fixture
def decision(run):
    return Decision.objects.create(
        run=run, policy="divergence", state="proposed", mode="advise", tunable="lr", reason="why",
        new_value=1e-4, decided_step=10, judge_at_step=20,
    )  # fmt: skip


@pytest.fixture
def alert(run):
    """A rule, a channel and an alert of the run's project, all with the same number."""
    project, now = run.experiment.project, timezone.now()
    rule = Rule.objects.create(pk=77, project=project, name="r", condition="stalled")
    Channel.objects.create(
        pk=77, project=project, name="c", kind="webhook", target="https://example.org/vision"
    )
    return Alert.objects.create(
        pk=77, rule=rule, subject="s", label="l", project=project, run=run, message="m", started_at=now, fired_at=now
    )  # fmt: skip


@pytest.fixture
def ask(run, job, node, decision, alert, settings, tmp_path):
    """Ask a route with an object behind it, and a body that would be taken."""
    settings.MEDIA_DIR = tmp_path / "media"
    values = {
        "slug": run.experiment.project.slug, "pk": str(run.experiment_id), "code": run.code,
        "name": node.name, "token": "unknown", "seq": "1",
    }  # fmt: skip
    bodies = {
        "POST api/v1/runs": {"experiment": run.experiment_id},
        "POST api/v1/experiments": {"project": run.experiment.project.slug, "name": "new"},
        "POST api/v1/jobs": {"experiment": run.experiment_id, "argv": ["true"]},
        "POST api/v1/runs/bulk": {
            "experiment": run.experiment_id,
            "action": "tag",
            "tags": ["x"],
            "codes": [run.code],
        },
        "POST api/v1/experiments/<int:pk>/views": {"name": "best", "state": {"version": 1}},
        "POST api/v1/projects": {"slug": "new", "name": "New"},
        "POST api/v1/alerts/rules": {"project": "vision", "name": "r", "condition": "stalled"},
        "POST api/v1/alerts/rules/preview": {"project": "vision", "condition": "stalled"},
        "POST api/v1/alerts/channels": {
            "project": "vision",
            "name": "c",
            "kind": "webhook",
            "target": "https://203.0.113.1/",
        },
        "POST api/v1/tokens": {"name": "ci"},
        "POST api/v1/series/read": {"sources": [run.source], "keys": ["loss"]},
        "POST api/v1/runs/<slug:code>/commands": {"verb": "set", "tunable": "lr", "value": 0.1},
        "POST api/v1/runs/<slug:code>/changes": {"settings": {"lr": 0.1}},
        "POST api/v1/runs/<slug:code>/schedules": {
            "tunable": "lr",
            "shape": "once",
            "at_step": 9,
            "factor": 0.5,
        },
        "POST api/v1/commands": {"runs": [run.code], "verb": "pause"},
        "POST api/v1/runs/<slug:code>/points": {"points": [{"key": "loss", "step": 1, "value": 1.0}]},
        "POST api/v1/runs/<slug:code>/finish": {"state": "stopped"},
        "POST api/v1/runs/<slug:code>/checkpoints/<int:pk>/pin": {"pinned": True},
        "POST api/v1/jobs/<slug:code>/priority": {"priority": 3},
        "POST api/v1/jobs/<slug:code>/after": {"after": []},
        "POST api/v1/job-groups/<slug:code>/priority": {"priority": 3},
        "POST api/v1/job-groups": {"experiment": run.experiment_id, "argv": ["true"], "array": "0-1"},
        "POST api/v1/jobs/<slug:code>/move": {"before": job.code},
        "PUT api/v1/projects/<slug:slug>/members": {"username": "ada", "role": "admin"},
        "DELETE api/v1/projects/<slug:slug>/members": {"username": "vera"},
        "PUT api/v1/projects/<slug:slug>/quotas": {"kind": "gpu", "devices": 4},
        "PUT api/v1/nodes/<str:name>/labels": {"labels": {"zone": "a"}},
        "DELETE api/v1/projects/<slug:slug>/quotas": {"kind": "gpu"},
    }

    queries = {
        "PUT api/v1/projects/<slug:slug>/copies/<str:sha256>": "?offset=0&size=6",
        "GET api/v1/marks": f"?runs={run.code}",
        "GET api/v1/runs/groups": "?by=state",
        "GET api/v1/experiments/<int:pk>/importance": "?metric=loss",
        "GET api/v1/runs/<slug:code>/media/histograms": "?key=weights",
        "GET api/v1/runs/<slug:code>/logs/place": "?step=1",
    }
    body = b"a poem"
    sha256 = hashlib.sha256(body).hexdigest()
    files.add(run.code, sha256, 0, len(body), body)
    media = Media.objects.create(
        run=run,
        uid="1",
        key="poem",
        kind="text",
        step=0,
        at=0,
        sha256=sha256,
        size_bytes=6,
        content_type="text/plain",
    )
    values["sha256"] = sha256
    settings.COPY_DIR = tmp_path / "copies"
    WorkingCopy.objects.create(project=run.experiment.project, sha256=sha256, size_bytes=6)
    copies.path(sha256).parent.mkdir(parents=True)
    copies.path(sha256).write_bytes(b"abcdef")

    def ask(client, method, route, **extra):
        here = dict(values)
        if "views/<slug" in route:
            view = SavedView.objects.create(
                experiment=run.experiment, name="best", shared=True, state={"version": 1}
            )
            here["code"] = view.code
            ends = timezone.now() + timedelta(days=1)
            here["pk"] = str(ViewLink.issue(view, expires_at=ends)[0].pk)
        if "jobs/" in route:
            here["code"] = job.code
        if "job-groups/" in route:
            here["code"] = JobGroup.objects.create(
                experiment=run.experiment, name="g", kind="array", count=0
            ).code
        if "alerts/" in route:
            here["pk"] = str(alert.pk)
        if "decisions/" in route:
            here["pk"] = str(decision.pk)
        if "checkpoints/" in route:
            here["pk"] = str(Checkpoint.objects.create(run=run, step=1, path="/c/1").pk)
        if "media/" in route:
            here["pk"] = str(media.pk)
        if "schedules/" in route:
            here["pk"] = str(Schedule.objects.create(run=run, tunable="lr", shape="once", asked_by="olga").pk)
        if "invitations/" in route:
            end = timezone.now() + timedelta(hours=1)
            here["pk"] = str(ApiToken.issue(TokenKind.JOIN, user=a_user("boss"), expires_at=end)[0].pk)
        if "tokens/" in route:
            here["pk"] = str(ApiToken.issue(TokenKind.USER, user=a_user("someone"))[0].pk)
        path = "/" + re.sub(r"<\w+:(\w+)>", lambda match: here[match[1]], route)
        path += queries.get(f"{method} {route}", "")
        return client.ask(method, path, bodies.get(f"{method} {route}"), **extra)

    return ask


@pytest.mark.parametrize(("route", "method", "level"), NEEDS["login"])
def test_anonymous_callers_are_refused(ask, anonymous, route, method, level):
    answer = ask(anonymous, method, route)
    if level == PAGE:
        assert answer.status_code == 302
        assert answer["Location"].startswith("/login?next=")
    else:
        assert answer.status_code == 401, answer.content
        assert set(json.loads(answer.content)) == {"detail", "fields"}


@pytest.mark.parametrize(("route", "method", "level"), NEEDS["membership"])
def test_a_person_without_a_role_is_told_that_nothing_is_there(ask, outsider, route, method, level):
    assert ask(outsider, method, route).status_code == 404


@pytest.mark.parametrize(("route", "method", "level"), NEEDS["operator"])
def test_a_viewer_changes_nothing(ask, viewer, route, method, level):
    answer = ask(viewer, method, route)
    assert answer.status_code == 403, answer.content
    assert "role" in answer.json()["detail"]


@pytest.mark.parametrize(("route", "method", "level"), NEEDS["admin"])
def test_an_operator_does_not_administer(ask, operator, route, method, level):
    assert ask(operator, method, route).status_code == 403


@pytest.mark.parametrize(("route", "method", "level"), NEEDS["site admin"])
def test_a_project_admin_does_not_administer_the_site(ask, project_admin, route, method, level):
    assert ask(project_admin, method, route).status_code == 403


@pytest.mark.parametrize(
    ("route", "method", "level"), [case for case in CASES if case.values[2] in {LISTED, OWN, IN_BODY}]
)
def test_lists_show_an_outsider_nothing_of_others(ask, outsider, run, job, route, method, level):
    answer = ask(outsider, method, route)
    assert answer.status_code in ({400} if level == IN_BODY else {200, 404})
    for secret in (run.code, job.code, "vision", '"vera"', "sw_user"):
        assert secret not in answer.content.decode().replace("There is no project 'vision'", "")


@pytest.mark.parametrize(
    ("route", "method", "level"),
    [case for case in CASES if case.values[2] == VIEWER and case.values[1] == "GET"],
)
def test_a_viewer_reads(ask, viewer, route, method, level):
    """The control for the refusals above: with a role, the same request is answered."""
    assert ask(viewer, method, route).status_code == 200


@pytest.mark.parametrize("kind", [TokenKind.RUN, TokenKind.NODE, TokenKind.LOGIN])
@pytest.mark.parametrize("route", [route for route in EXPECTED if route.startswith(("api/v1", "metrics"))])
def test_tokens_of_runs_nodes_and_logins_do_not_open_rest(ask, anonymous, run, node, kind, route):
    if kind == TokenKind.RUN and route.endswith("media/pieces/<str:sha256>"):
        return  # where a run's process sends the bytes of its media: tests/media
    if kind == TokenKind.NODE and route.endswith("copies/<str:sha256>"):
        return  # where a node fetches the files of its jobs: tests/submit
    owner = {"run": {"run": run}, "node": {"node": node}, "login": {"user": a_user("zoe", is_superuser=True)}}
    _, plain = ApiToken.issue(kind, **owner[kind])
    method = next(iter(EXPECTED[route]))
    answer = ask(anonymous, method, route, headers={"Authorization": f"Bearer {plain}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("route", admin_routes())
def test_the_admin_is_for_staff(outsider, anonymous, route):
    if route.startswith(("admin/login", "admin/logout")):
        return
    path = "/" + re.sub(r"<[^>]+>", "1", route).replace("(?P", "").split("^")[0]
    path = path if "(" not in path else "/admin/app/"
    for client in (anonymous, outsider):
        answer = client.get(path)
        assert answer.status_code in {302, 404}
        assert answer.status_code == 404 or "/login" in answer["Location"]


def test_a_user_token_acts_under_its_users_roles(ask, anonymous, run):
    from tests.support.domain import a_member

    user = a_member(run.experiment.project, "vera", "viewer")
    _, plain = ApiToken.issue(TokenKind.USER, user=user)
    headers = {"Authorization": f"Bearer {plain}"}
    assert ask(anonymous, "GET", "api/v1/runs/<slug:code>", headers=headers).status_code == 200
    assert ask(anonymous, "PATCH", "api/v1/runs/<slug:code>", headers=headers).status_code == 403
    user.is_active = False
    user.save()
    assert ask(anonymous, "GET", "api/v1/runs/<slug:code>", headers=headers).status_code == 401


def test_a_session_without_the_csrf_token_changes_nothing(run, operator):
    strict = type(operator)(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    answer = strict.ask("PATCH", f"runs/{run.code}", {"name": "x"})
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


def test_an_unknown_host_is_refused(operator):
    answer = operator.get("/api/v1/me", headers={"Host": "evil.example"})
    assert answer.status_code == 400


def test_a_request_from_another_origin_is_refused(run, operator):
    strict = type(operator)(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    strict.get("/login")
    page = strict.get("/password")
    token = page.cookies["csrftoken"].value
    headers = {"X-CSRFToken": token, "Origin": "https://evil.example"}
    assert strict.ask("PATCH", f"runs/{run.code}", {"name": "x"}, headers=headers).status_code == 403
    headers["Origin"] = "http://testserver"
    assert strict.ask("PATCH", f"runs/{run.code}", {"name": "x"}, headers=headers).status_code == 200


def test_unknown_api_addresses_answer_json(operator):
    answer = operator.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert json.loads(answer.content) == {"detail": "There is nothing at /api/v1/nothing.", "fields": {}}


def test_what_is_not_there_is_named(operator, run):
    said = [
        operator.ask("GET", path).json()["detail"]
        for path in ("runs/nosuch", f"runs/{run.code}/checkpoints/7")
    ]
    assert said[0] == "there is no run nosuch, or none that you may see"
    assert "matches the given query" not in said[1]


def test_a_runs_code_where_a_jobs_is_expected_is_told_apart_and_only_to_who_may_see_it(
    operator, outsider, run, job
):
    def words(who, address):
        answer = who.ask("GET", address)
        assert answer.status_code == 404
        return answer.json()["detail"]

    own = job.run.code
    said = f"there is no job {own}, or none that you may see"
    assert (
        words(operator, f"jobs/{own}/clone") == f"{said}: that is the code of a run, whose job is {job.code}"
    )
    assert words(outsider, f"jobs/{own}/clone") == f"{said}: expected a job's code"
    said = f"there is no run {job.code}, or none that you may see"
    assert (
        words(operator, f"runs/{job.code}/ranks") == f"{said}: that is the code of a job, whose run is {own}"
    )


def test_roles_of_one_project_do_not_open_another(run, viewer):
    from tests.support.domain import a_project, a_run

    other = a_run(a_project("other"))
    assert viewer.ask("GET", f"runs/{other.code}").status_code == 404
    listed = viewer.ask("GET", "runs").json()["results"]
    assert [row["code"] for row in listed] == [run.code]


def test_a_superuser_sees_all(root, run):
    row = root.ask("GET", f"runs/{run.code}").json()
    assert row["can"] == "admin"
