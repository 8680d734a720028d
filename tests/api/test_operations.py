"""Health, metrics and nodes: what keeps the site running."""

# ruff: noqa: F811 (fixtures named as arguments)

import html
import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from control.models import ControllerSettings, Decision, TickLease
from monitoring.live import publish
from monitoring.models import Node
from scaleweb import health, metrics
from tests.support.domain import a_user
from tests.support.fixtures import broker  # noqa: F401
from training.jobs import at_work, tasks, ticks

from .conftest import client_of

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


NOW = timezone.now()


def a_tick(task, every, seconds_ago, **fields):
    return ticks.Tick(task, every, NOW - timedelta(seconds=seconds_ago), **fields)


PLACE_LATE = a_tick("training.place", 2.0, 60)
REAP = a_tick("training.reap", 2.0, 1)
AGED = a_tick("monitoring.age_series", 600.0, 700)


@pytest.mark.parametrize(
    ("rows", "waiting", "said"),
    [
        ([PLACE_LATE, a_tick("training.reap", 2.0, 61)], 0, "nobody sends the ticks; is beat running? Start it"),
        ([PLACE_LATE, a_tick("training.reap", 2.0, 61)], 30, "30 messages wait, and no worker takes them; start one"),
        ([PLACE_LATE, REAP], 0, "other ticks are done, so this one hangs; look into the log of the worker of"),
        ([a_tick("training.place", 2.0, 60, failing=2), REAP], 0, "it has failed 2 times since; look into the log"),
    ],
)  # fmt: skip
def test_a_late_tick_is_told_with_what_it_means_and_what_to_do(rows, waiting, said):
    words = ticks.sentence(rows[0], rows, waiting, NOW)
    assert words.startswith(f"Nothing has been placed for 60 s, and it is due every 2 s: {said}")


def test_workers_and_ticks_that_fail_are_told_in_sentences():
    unknown = ticks.Tick("alerts.forget", 86_400.0, None, since=NOW - timedelta(hours=1))
    control = {"name": "control@a", "queues": ["control"]}
    node = {"name": "n1@a", "queues": ["node.n1"]}
    assert at_work.wrong([control, node], [REAP, AGED, unknown], 0, NOW) == []
    late, more = at_work.wrong([control], [a_tick("control.tick", 1.0, 60), PLACE_LATE, AGED], 0, NOW)
    assert late.startswith("Nothing has been placed for 60 s")
    assert more == "1 other tick is late."
    (nobody,) = at_work.wrong([node], [AGED], 0, NOW)
    assert nobody.startswith("No worker takes the queue control: nothing is placed")
    # A beat that was never started has done nothing that it could be late with.
    never = ticks.Tick("training.place", 2.0, None, since=NOW - timedelta(seconds=40))
    assert at_work.wrong([control], [never], 0, NOW)[0].startswith("Nothing has been placed for 40 s")


def test_with_the_broker_away_who_asks_for_the_workers_is_told_so(viewer, root, settings, tmp_path):
    settings.REDIS_URL = f"unix://{tmp_path / 'none.sock'}"
    publish.client.cache_clear()
    answer = viewer.ask("GET", "workers").json()
    assert (answer["workers"], answer["ticks"]) == ([], [])
    assert answer["wrong"] == ["The broker does not answer, so nobody can be asked."]
    for path in ("queue", "overview"):
        assert (
            viewer.ask("GET", path)
            .json()["stalled"]
            .startswith("The broker does not answer; jobs start late")
        )
    assert "so nobody can be asked" in root.get("/admin/workers/").content.decode()
    assert figures(viewer.get("/metrics").content.decode())["scaleweb_broker_up",] == 0
    publish.client.cache_clear()


def test_ticks_are_in_the_figures_and_late_ones_on_every_page_that_waits_for_them(
    viewer, root, broker, monkeypatch
):
    """The tasks are Celery's own here, run in this process; the broker is a real one, without workers."""
    monkeypatch.setattr(at_work, "workers", lambda: [])
    tasks.expect_tick.apply()
    monkeypatch.setattr(tasks.expecting, "tick", lambda: 1 / 0)
    tasks.expect_tick.apply()
    assert viewer.ask("GET", "queue").json()["stalled"] == ""  # from here on placement is missed
    found = figures(viewer.get("/metrics").content.decode())
    of = ("task", "training.expect")
    assert time.time() - 60 < found["scaleweb_tick_done_timestamp_seconds", of] <= time.time()
    # The broker adds in decimals: the last digit of a sum of one may be another.
    assert 0 < found["scaleweb_tick_last_seconds", of] < 60
    assert found["scaleweb_tick_seconds_sum", of] == pytest.approx(found["scaleweb_tick_last_seconds", of])
    assert found["scaleweb_tick_seconds_count", of] == found["scaleweb_tick_failures_total", of] == 1
    assert found["scaleweb_tick_late", ("task", "training.place")] == 0
    assert ("scaleweb_tick_last_seconds", ("task", "training.place")) not in found
    assert found["scaleweb_broker_up",] == 1

    broker.client().hset(ticks.KEY, "training.place:since", time.time() - 40)
    metrics.tables.read_at = float("-inf")
    found = figures(viewer.get("/metrics").content.decode())
    assert found["scaleweb_tick_late", ("task", "training.place")] == 1
    for path in ("queue", "overview"):
        words = viewer.ask("GET", path).json()["stalled"]
        assert re.match(r"Nothing has been placed for 4\d s, and it is due every 2 s: ", words)
    assert root.get("/admin/").content.decode().count("/admin/workers/") == 1
    assert "/admin/workers/" in root.get("/admin/monitoring/node/").content.decode()
    page = html.unescape(root.get("/admin/workers/").content.decode())
    for words in (
        "No worker takes the queue control",
        "Nothing has been placed for 4",
        "training.expect",
        "s ago",
    ):
        assert words in page
    assert viewer.get("/admin/workers/").status_code == 302  # staff alone
    staff = client_of(a_user("sven", is_staff=True))
    assert staff.get("/admin/workers/").status_code == 403
    assert "/admin/workers/" not in staff.get("/admin/").content.decode()
    ticks.note("training.place", 0.01, well=True)
    assert viewer.ask("GET", "queue").json()["stalled"] == ""


def test_health_tells_a_missing_broker_from_a_present_one(settings, tmp_path):
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
    assert found["scaleweb_preemptions_total",] == 0
    assert found["scaleweb_preemptions_asked",] == 0
    assert found["scaleweb_runs", ("state", "running")] == 1
    assert found["scaleweb_devices", ("kind", "gpu")] == 1
    key = ("scaleweb_decisions", ("policy", "divergence"), ("state", "judged"), ("verdict", "better"))
    assert found[key] == 1
    assert ("scaleweb_link_points_total",) in found
    assert any(name[0].startswith("scaleweb_store_") for name in found)
    for secret in (run.code, "vision", "digits"):
        assert secret not in answer.content.decode()
    assert anonymous.get("/metrics").status_code == 401


def test_figures_of_any_name_that_an_agent_sends_break_no_scrape(viewer, node, run):
    odd = {
        "é": 1,
        "a b": 1,
        "a\nb": 1,
        "A{x=1} 5": 1,
        "x" * 500: 1,
        "huge": 10**300,
        "text": "NaN",
        "flag": True,
    }
    Node.objects.filter(pk=node.pk).update(name='n"1\\\n', latest=odd | {"load_1m": 2.0})
    answer = viewer.get("/metrics")
    assert answer.status_code == 200
    found = figures(answer.content.decode())
    assert found["scaleweb_node_load_1m", ("node", 'n"1\\\n')] == 2.0
    assert found["scaleweb_node_huge", ("node", 'n"1\\\n')] == 1e300


def test_metrics_tell_what_came_over_http_and_how_the_controllers_stand(operator, run):
    ControllerSettings.objects.create(experiment=run.experiment, mode="act", problems={"divergence": "fails"})
    TickLease.objects.create(name="tick", holder="h", until=timezone.now() - timedelta(seconds=1))
    before = figures(operator.get("/metrics").content.decode())["scaleweb_http_points_total",]
    points = [{"key": "loss", "step": step, "value": 1.0} for step in range(7)]
    assert operator.ask("POST", f"runs/{run.code}/points", {"points": points}).status_code == 201
    metrics.tables.read_at = float("-inf")
    found = figures(operator.get("/metrics").content.decode())
    assert found["scaleweb_http_points_total",] == before + 7
    assert found["scaleweb_controllers", ("mode", "act")] == 1
    assert found["scaleweb_controllers", ("mode", "off")] == 0
    assert found["scaleweb_controllers_failing",] == 1
    assert found["scaleweb_controller_tick_stuck",] == 1


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


def test_a_site_admin_cordons_drains_and_opens_a_node(root, node):
    def closed(verb):
        told = root.ask("POST", f"nodes/n1/{verb}").json()
        return told["cordoned"], told["draining"]

    assert closed("cordon") == (True, False)
    assert closed("drain") == (True, True)
    assert closed("cordon") == (True, False), "nothing more is moved"
    assert closed("uncordon") == (False, False)
    assert root.ask("POST", "nodes/n1/drain", {"now": True}).status_code == 400


def test_labels_of_a_node_are_replaced_whole_and_jobs_are_placed_by_them(root, operator, node):
    asked = {"experiment_name": "x", "argv": ["true"], "node_labels": {"gpu-type": "h100"}}
    assert "there is no node with label gpu-type=h100" in operator.ask("POST", "jobs", asked).json()["detail"]
    told = root.ask("PUT", "nodes/n1/labels", {"labels": {"gpu-type": "h100", "zone": "a"}})
    assert told.json()["labels"] == {"gpu-type": "h100", "zone": "a"}
    assert operator.ask("POST", "jobs", asked).status_code == 201
    assert root.ask("PUT", "nodes/n1/labels", {"labels": {}}).json()["labels"] == {}
    for wrong in (
        {"a b": "c"},
        {"": "c"},
        {"a=b": "c"},
        {"a": 5},
        {"x" * 101: "c"},
        {str(n): "c" for n in range(101)},
    ):
        assert root.ask("PUT", "nodes/n1/labels", {"labels": wrong}).status_code == 400
    assert root.ask("PUT", "nodes/n1/labels", {}).status_code == 400
    assert root.ask("PUT", "nodes/none/labels", {"labels": {}}).status_code == 404
