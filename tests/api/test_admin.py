"""The Django admin: each page opens, what it takes is checked, what has one writer is left alone."""

import json

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils import timezone

from alerts.models import Alert, Channel, Delivery, Rule
from control.models import BeliefTally, ChangeEffect, ControllerSettings, Decision, TickLease
from monitoring.models import Device, Node, SeriesKey, SeriesSession
from tests.support.domain import a_user
from training.jobs.groups import submit_array
from training.models import (
    ApiToken,
    Attempt,
    Checkpoint,
    Command,
    DeviceLease,
    Job,
    JobDependency,
    JobGroup,
    Media,
    Member,
    Project,
    Quota,
    Rank,
    Run,
    RunEvent,
    SavedView,
    Schedule,
    TokenKind,
    Usage,
    ViewLink,
    WorkingCopy,
)

from .conftest import client_of

pytestmark = pytest.mark.django_db(databases="__all__")
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
RUBBISH = ["x", "\x00", "9" * 20, "2026-13-45"]


def page(model, which, *arguments):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{which}", args=arguments)


@pytest.fixture
def rows(run, job, node, viewer):
    """One row or more of each table."""
    Checkpoint.objects.create(run=run, step=5, path="/c/5")
    RunEvent.objects.create(run=run, kind="note", reason="r")
    command = Command.objects.create(run=run, seq=1, verb="pause", asked_by="ada")
    Schedule.objects.create(run=run, tunable="lr", shape="once", asked_by="ada")
    ChangeEffect.objects.create(run=run, command=command, applied_step=1, judge_at_step=2)
    Media.objects.create(run=run, uid="u", key="samples", kind="histogram", step=1, at=1.0)
    ApiToken.issue(TokenKind.NODE, node=node)
    Decision.objects.create(run=run, policy="divergence", state="judged", mode="act", reason="r",
                            decided_step=1, judge_at_step=2)  # fmt: skip
    JobGroup.objects.create(experiment=run.experiment, name="rates", kind="grid", count=3)
    JobDependency.objects.create(job=job, on_code="abc")
    WorkingCopy.objects.create(project=run.experiment.project, sha256="0" * 64, size_bytes=10)
    attempt = Attempt.objects.create(job=job, number=1, node=node, lease_expires_at=timezone.now())
    DeviceLease.objects.create(device=Device.objects.first(), attempt=attempt)
    Member.objects.create(attempt=attempt, node=node, node_rank=1, lease_expires_at=timezone.now())
    Rank.objects.create(run=run, rank=1, world_size=2, connected_at=timezone.now())
    Usage.objects.create(attempt=attempt, node=node.name, counted_until=timezone.now())
    ControllerSettings.objects.create(experiment=run.experiment)
    TickLease.objects.create(name="tick", until=timezone.now())
    BeliefTally.objects.create(policy="divergence", action="rollback", context="sgd, start, calm", better=1)
    SeriesKey.objects.create(source=run.source, key="loss/é")
    SeriesSession.objects.create(source=run.source, session="s", last_seq=1)
    view = SavedView.objects.create(experiment=run.experiment, name="best", state={"version": 1})
    ViewLink.issue(view, expires_at=timezone.now())
    rule = Rule.objects.create(name="r", condition="stalled")
    channel = Channel.objects.create(name="c", kind="webhook", target="https://example.org")
    Delivery.objects.create(channel=channel, event="test", body={}, next_at=timezone.now())
    Alert.objects.create(
        rule=rule, subject="s", label="l", message="m", started_at=timezone.now(), fired_at=timezone.now()
    )
    Quota.objects.create(project=run.experiment.project, kind="gpu", devices=4)
    Group.objects.create(name="operators")
    seen = {"username": "ada", "ip_address": "10.0.0.1", "user_agent": "x", "attempt_time": timezone.now()}
    AccessAttempt.objects.create(failures_since_start=1, **seen)
    AccessLog.objects.create(**seen)
    AccessFailureLog.objects.create(**seen)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_table_is_listed_searched_and_opened(root, rows, model):
    assert root.get(page(model, "changelist")).status_code == 200
    assert root.get(page(model, "changelist"), {"q": "x"}).status_code in {200, 302}
    may_add = admin.site._registry[model].has_add_permission(request_of(root))
    assert root.get(page(model, "add")).status_code == (200 if may_add else 403)
    thing = model._default_manager.first()
    assert thing is not None, "the fixture `rows` lacks a row of this table"
    opened = root.get(page(model, "change", thing.pk))
    assert opened.status_code == 200
    assert root.get(page(model, "history", thing.pk)).status_code == 200
    assert root.get(page(model, "delete", thing.pk)).status_code in {200, 403}
    assert root.get(page(model, "change", "no-such-row")).status_code == 302


def request_of(client):
    request = client.get("/admin/").wsgi_request
    return request


@pytest.mark.parametrize(
    "model", [m for m in MODELS if admin.site._registry[m].list_filter], ids=lambda m: m.__name__
)
def test_no_filter_or_search_makes_a_list_fail(root, rows, model):
    shown = admin.site._registry[model]
    names = ["q", "p", "o", "nonsense"]
    for entry in shown.list_filter:
        field = entry if isinstance(entry, str) else getattr(entry, "parameter_name", None) or entry[0]
        names.append(f"{field}__exact")
    if shown.date_hierarchy:
        names += [f"{shown.date_hierarchy}__{part}" for part in ("year", "month", "day")]
    for name in names:
        for value in RUBBISH:
            answer = root.get(page(model, "changelist"), {name: value})
            assert answer.status_code < 500, (name, value)


def test_every_model_of_the_domain_is_in_the_admin():
    from django.apps import apps

    # Bulk tables of the store hold compressed columns, which no page can show.
    hidden = {"SeriesAxis", "SeriesBatch", "SeriesChunk", "SeriesRollup", "LogChunk"}
    missing = {
        model.__name__
        for label in ("training", "monitoring", "control")
        for model in apps.get_app_config(label).get_models()
        if model not in admin.site._registry
    }
    assert missing <= hidden


def act(client, model, action, *things):
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    body = {"action": action, "_selected_action": [thing.pk for thing in things]}
    answer = client.post(address, body, follow=True)
    assert answer.status_code == 200
    return [str(message) for message in answer.context["messages"]]


def test_operators_cordon_and_drain_nodes_pin_checkpoints_and_archive_from_the_admin(root, node, run):
    for action, closed in {
        "cordon": (True, False),
        "drain": (True, True),
        "uncordon": (False, False),
    }.items():
        act(root, Node, action, node)
        assert Node.objects.values_list("cordoned", "draining").get(pk=node.pk) == closed
    checkpoint = Checkpoint.objects.create(run=run, step=5, path="/c/5")
    act(root, Checkpoint, "pin", checkpoint)
    assert Checkpoint.objects.get().pinned
    act(root, type(run.experiment), "archive", run.experiment)
    run.experiment.refresh_from_db()
    assert run.experiment.archived


def test_stopping_a_run_from_the_admin_is_a_command_like_any_other(root, run, job):
    said = act(root, Run, "stop", run, job.run)
    assert Command.objects.get().verb == "stop"
    assert any("queued" in words for words in said)


def test_what_has_one_writer_is_read_only(root, run):
    Command.objects.create(run=run, seq=1, verb="pause", asked_by="ada")
    address = reverse("admin:training_command_change", args=[Command.objects.get().pk])
    assert root.post(address, {"state": "applied"}).status_code == 403
    root.post(reverse("admin:training_run_change", args=[run.pk]), {"state": "finished", "name": "x"})
    run.refresh_from_db()
    assert run.state == "running"


def test_a_rule_removed_in_the_admin_keeps_its_alerts_and_comes_back(root, rows):
    rule, alert = Rule.objects.get(), Alert.objects.get()
    asked = root.get(page(Rule, "delete", rule.pk))
    assert "Its past alerts stay" in asked.content.decode()
    root.post(page(Rule, "delete", rule.pk), {"post": "yes"})
    alert.refresh_from_db()
    assert (alert.rule, alert.end_reason) == (rule, "rule removed")
    listed, chosen = page(Rule, "changelist"), {"_selected_action": [rule.pk]}
    root.post(listed, chosen | {"action": "bring_back"})
    alert.refresh_from_db()
    assert alert.resolved_at is None
    root.post(listed, chosen | {"action": "delete_selected", "post": "yes"})
    alert.refresh_from_db()
    assert alert.end_reason == "rule removed"
    root.post(listed, chosen | {"action": "bring_back"})
    root.post(listed, chosen | {"action": "switch_off"})
    alert.refresh_from_db()
    assert alert.end_reason == "rule switched off"


def test_a_project_with_rules_is_deleted_from_the_admin(root, rows):
    rule = Rule.objects.get()
    project = Project.objects.create(slug="short", name="Short")
    Rule.objects.filter(pk=rule.pk).update(project=project)
    root.post(page(Project, "delete", project.pk), {"post": "yes"})
    assert not Rule.objects.exists()


def test_a_live_run_is_not_deleted_from_the_admin(root, run):
    address = reverse("admin:training_run_delete", args=[run.pk])
    assert b"Are you sure" in root.get(address).content
    answer = root.post(address, {"post": "yes"}, follow=True)
    assert any("stop it" in str(message) for message in answer.context["messages"])
    assert Run.objects.filter(pk=run.pk).exists()


def test_a_token_made_in_the_admin_is_shown_once_and_revoked(root, node):
    address = reverse("admin:training_apitoken_add")
    answer = root.post(address, {"kind": "node", "name": "n1", "node": node.pk}, follow=True)
    shown = str(next(iter(answer.context["messages"])))
    plain = shown.split(": ")[1]
    token = ApiToken.find(plain, TokenKind.NODE)
    assert token.node == node
    assert plain not in root.get(reverse("admin:training_apitoken_changelist")).content.decode()
    assert act(root, ApiToken, "revoke", token) == ["Revoked 1."]
    assert ApiToken.find(plain, TokenKind.NODE) is None
    wrong = root.post(address, {"kind": "run", "node": node.pk})
    assert wrong.status_code == 200
    assert b"A run token is for a run." in wrong.content


def form_of(client, address):
    """What a browser would send back of a form, unchanged."""
    shown = client.get(address).context["adminform"].form
    sent = {name: shown[name].value() for name in shown.fields}
    return {name: "" if value is None else value for name, value in sent.items()}


def change(client, thing, inlines=(), **fields):
    """Send the change form with these fields; the errors, none when it was taken."""
    address = page(type(thing), "change", thing.pk)
    body = {name: value for name, value in form_of(client, address).items() if value is not False}
    for prefix in inlines:
        body |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    answer = client.post(address, body | fields)
    assert answer.status_code in {200, 302}, answer.content[:500]
    thing.refresh_from_db()
    return {} if answer.status_code == 302 else dict(answer.context["adminform"].form.errors)


BAD_JSON = [
    "{", "5", '"x"', '{"a": NaN}', '{"a": 1e999}', '{"a": "\\u0000"}', '{"a": "\\ud800"}', '{"a": 1' + "0" * 40 + "}",
    "[" * 200 + "]" * 200,
]  # fmt: skip


@pytest.mark.parametrize("text", [*BAD_JSON, "[]"])
def test_json_that_the_site_could_not_show_is_refused_in_the_admin(root, run, node, text):
    settings = ControllerSettings.objects.create(experiment=run.experiment)
    assert set(change(root, node, ["devices"], labels=text)) == {"labels"}
    assert set(change(root, settings, policies=text, guards=text)) == {"policies", "guards"}
    assert root.ask("GET", "nodes").status_code == 200
    assert root.ask("GET", f"experiments/{run.experiment_id}/controller").status_code == 200


@pytest.mark.parametrize(
    "text",
    [*BAD_JSON, "{}", "[5]", "[[]]", '[""]', json.dumps(["x"] * 101), '["a\\nb"]', '["' + "x" * 101 + '"]'],
)
def test_tags_in_the_admin_are_what_the_api_takes(root, run, text):
    assert set(change(root, run, ["tunables"], tags=text)) == {"tags"}
    assert root.ask("GET", "runs").status_code == 200


def test_what_an_operator_may_write_is_taken(root, run, node):
    settings = ControllerSettings.objects.create(experiment=run.experiment)
    assert change(root, node, ["devices"], labels='{"rack": "a1"}') == {}
    assert node.labels == {"rack": "a1"}
    assert change(root, node, ["devices"], labels="") == {}
    assert node.labels == {}
    assert change(root, run, ["tunables"], tags='["best", "é"]', name="new") == {}
    assert (run.name, run.tags) == ("new", ["best", "é"])
    assert (
        change(
            root,
            settings,
            mode="act",
            guards='{"cooldown_steps": 5}',
            policies='{"divergence": {"enabled": false}}',
        )
        == {}
    )
    assert (settings.mode, settings.guards) == ("act", {"cooldown_steps": 5})
    assert settings.changed_by.username == "root"


@pytest.mark.parametrize(
    ("field", "text"),
    [("policies", '{"nothing": {}}'), ("policies", '{"divergence": 5}'), ("policies", '{"divergence": {"x": 1}}'),
     ("guards", '{"cooldown_steps": "many"}'), ("guards", '{"unknown": 1}')],
)  # fmt: skip
def test_figures_that_the_controller_could_not_use_are_refused_in_the_admin(root, run, field, text):
    settings = ControllerSettings.objects.create(experiment=run.experiment)
    errors = change(root, settings, **{field: text})
    assert set(errors) == {field}
    assert errors[field][0].startswith(field)


def test_a_goal_is_checked_in_the_admin_and_an_experiment_stays_in_its_project(root, run, project):
    experiment = run.experiment
    assert set(change(root, experiment, goal_target="0.9", goal_metric="")) == {"goal_target"}
    assert set(change(root, experiment, goal_target="inf", goal_metric="loss")) == {"goal_target"}
    assert set(change(root, experiment, budget_device_hours="-1")) == {"budget_device_hours"}
    assert change(root, experiment, goal_target="0.9", goal_metric="acc", project=project.pk + 1) == {}
    assert (experiment.goal_target, experiment.project) == (0.9, project)


def test_a_decision_is_neither_changed_nor_deleted_by_hand(root, rows):
    decision = Decision.objects.get()
    assert root.post(page(Decision, "change", decision.pk), {"state": "applied"}).status_code == 403
    assert root.post(page(Decision, "delete", decision.pk), {"post": "yes"}).status_code == 403


def test_jobs_are_stopped_and_queued_again_from_the_admin(root, job):
    assert act(root, Job, "requeue", job) == [
        f"{job.code}: job {job.code} is queued; it can be queued again once it is over"
    ]
    assert act(root, Job, "stop", job) == [f"{job.code}: asked to stop."]
    job.refresh_from_db()
    assert (job.state, job.run.state) == ("stopped", "stopped")
    assert act(root, Job, "requeue", job) == [f"{job.code}: queued again."]
    group = submit_array(experiment=job.run.experiment, argv=["true"], array="0-1")
    assert act(root, JobGroup, "stop", group) == [f"{group.code}: 2 stopped or asked to stop."]
    assert act(root, JobGroup, "requeue", group) == [f"{group.code}: 2 queued again."]
    job.refresh_from_db()
    assert (job.state, job.run.state) == ("queued", "queued")


def test_controllers_are_switched_off_from_the_admin(root, run):
    settings = ControllerSettings.objects.create(experiment=run.experiment, mode="act")
    assert act(root, ControllerSettings, "switch_off", settings) == ["1 controllers switched off"]
    settings.refresh_from_db()
    assert (settings.mode, settings.changed_by.username) == ("off", "root")


OURS = (
    "archive",
    "cordon",
    "drain",
    "pin",
    "requeue",
    "revoke",
    "stop",
    "switch_off",
    "unarchive",
    "uncordon",
    "unpin",
)
ACTIONS = [
    (model, name)
    for model in MODELS
    for name in OURS
    if name in {getattr(action, "__name__", action) for action in admin.site._registry[model].actions}
]


@pytest.mark.parametrize(
    ("model", "action"), ACTIONS, ids=lambda value: value if isinstance(value, str) else value.__name__
)
def test_who_may_only_look_changes_nothing(rows, model, action):
    staff = a_user("sven", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = client_of(staff)
    listed = client.get(page(model, "changelist"))
    assert listed.status_code == 200
    assert action not in [
        name for name, _ in listed.context["cl"].model_admin.get_action_choices(listed.wsgi_request)
    ]
    before = list(model.objects.values())
    body = {"action": action, "_selected_action": [row.pk for row in model.objects.all()]}
    assert client.post(page(model, "changelist"), body, follow=True).status_code in {200, 403}
    assert list(model.objects.values()) == before
