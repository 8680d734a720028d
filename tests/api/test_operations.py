"""Health, metrics, nodes, and the admin: what keeps the site running."""

import pytest
from django.contrib import admin
from django.urls import reverse
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from control.models import Decision
from monitoring.models import Node
from scaleweb import health, metrics
from training.models import ApiToken, Checkpoint, Command, Job, Membership, Run, RunEvent, TokenKind, Tunable

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def fresh_figures():
    metrics.tables.read_at = float("-inf")


def test_health_needs_no_login_and_names_what_is_wrong(anonymous, monkeypatch):
    monkeypatch.setattr(health, "CHECKS", {"database": lambda: "", "broker": lambda: "it does not answer"})
    answer = anonymous.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "failing", "wrong": {"broker": "it does not answer"}}
    monkeypatch.setattr(health, "CHECKS", {"database": health.database})
    answer = anonymous.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


def test_health_tells_a_missing_broker_from_a_present_one(settings, tmp_path):
    from monitoring.live import publish

    settings.REDIS_URL = f"unix://{tmp_path / 'none.sock'}"
    publish.client.cache_clear()
    assert "broker" in health.broker()
    publish.client.cache_clear()


def figures(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_are_openmetrics_with_the_figures_of_the_site(viewer, anonymous, node, job, run):
    Decision.objects.create(run=run, policy="divergence", state="judged", verdict="better", mode="act",
                            reason="r", decided_step=1, judge_at_step=2)  # fmt: skip
    answer = viewer.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    found = figures(answer.content.decode())
    assert found["scaleweb_node_state", ("node", "n1"), ("state", "online")] == 1
    assert found["scaleweb_node_cpu_utilisation_ratio", ("node", "n1")] == 0.5
    assert found["scaleweb_gpu_power_watts", ("gpu", "0"), ("node", "n1"), ("uuid", "GPU-1")] == 310.5
    assert found["scaleweb_queue_depth", ("kind", "cpu")] == 1
    assert found["scaleweb_runs", ("state", "running")] == 1
    assert found["scaleweb_devices", ("kind", "gpu")] == 1
    key = ("scaleweb_decisions", ("policy", "divergence"), ("state", "judged"), ("verdict", "better"))
    assert found[key] == 1
    assert ("scaleweb_link_points_total",) in found
    assert any(name[0].startswith("scaleweb_store_") for name in found)
    for secret in (run.code, "vision", "digits"):
        assert secret not in answer.content.decode()
    assert anonymous.get("/metrics").status_code == 401


def test_scrapers_share_one_reading_of_the_tables(viewer, node, django_assert_max_num_queries):
    viewer.get("/metrics")
    with django_assert_max_num_queries(3):  # the session, the user, and that is all
        viewer.get("/metrics")


def test_nodes_are_listed_with_what_holds_their_devices(viewer, node, django_assert_max_num_queries):
    with django_assert_max_num_queries(4):
        row = viewer.ask("GET", "nodes").json()["results"][0]
    assert row["name"] == "n1"
    assert [device["kind"] for device in row["devices"]] == ["cpu", "gpu"]
    assert row["devices"][0]["busy_with"] is None
    assert viewer.ask("GET", "nodes/n1").json() == row
    assert viewer.ask("GET", "nodes/none").status_code == 404
    assert viewer.ask("GET", "nodes/%00").status_code == 404


def test_a_site_admin_drains_a_node(root, node):
    assert root.ask("POST", "nodes/n1/drain").json()["drained"] is True
    assert root.ask("POST", "nodes/n1/undrain").json()["drained"] is False
    assert root.ask("POST", "nodes/n1/drain", {"now": True}).status_code == 400


MODELS = sorted(
    (
        model
        for model in admin.site._registry
        if model._meta.app_label in {"training", "monitoring", "control"}
    ),
    key=lambda model: model._meta.label,
)


@pytest.fixture
def rows(run, job, node):
    Checkpoint.objects.create(run=run, step=5, path="/c/5")
    RunEvent.objects.create(run=run, kind="note", reason="r")
    Command.objects.create(run=run, seq=1, verb="pause", asked_by="ada")
    ApiToken.issue(TokenKind.NODE, node=node)
    Decision.objects.create(run=run, policy="divergence", state="judged", mode="act", reason="r",
                            decided_step=1, judge_at_step=2)  # fmt: skip


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_table_is_listed_searched_and_opened_in_the_admin(root, rows, model):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    assert root.get(reverse(f"{name}_changelist")).status_code == 200
    assert root.get(reverse(f"{name}_changelist"), {"q": "x"}).status_code in {200, 302}
    assert root.get(reverse(f"{name}_add")).status_code in {200, 403}
    thing = model._default_manager.first()
    if thing is not None:
        assert root.get(reverse(f"{name}_change", args=[thing.pk])).status_code == 200


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


def test_operators_drain_nodes_pin_checkpoints_and_archive_from_the_admin(root, node, run):
    act(root, Node, "drain", node)
    assert Node.objects.get(pk=node.pk).drained
    act(root, Node, "undrain", node)
    assert not Node.objects.get(pk=node.pk).drained
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


def test_models_that_the_tests_begin_with_exist():
    assert {Job, Membership, Tunable} <= set(admin.site._registry)
