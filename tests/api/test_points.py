"""Points in and out over plain HTTP: stored, charted, exported, and refused in words."""

import csv
import io
import json

import pytest

from monitoring.api import columns
from monitoring.storage import logs, series
from scaleweb_sdk.protocol import LogLine
from tests.contract.test_series_columns import as_json, decode
from training.api.points import MAX_POINTS
from training.models import Run

from .conftest import client_of

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]


def post(client, run, points):
    return client.ask("POST", f"runs/{run.code}/points", {"points": points})


def a_point(**changes):
    return {"key": "loss", "step": 1, "value": 0.5} | changes


def test_points_are_stored_charted_and_listed(operator, run):
    points = [a_point(step=step, value=1 / (step + 1), time=1e9 + step) for step in range(50)]
    answer = post(operator, run, [*points, a_point(key="acc/🎯 __x", step=3, value="NaN")])
    assert answer.status_code == 201, answer.content
    assert answer.json() == {"stored": 51}
    found = {row["key"]: row for row in operator.ask("GET", f"runs/{run.code}/keys").json()["results"]}
    assert set(found) == {"loss", "acc/🎯 __x"}
    assert found["loss"]["points"] == 50
    assert found["loss"]["last_step"] == 49
    assert found["loss"]["low"] == 0.02
    assert found["acc/🎯 __x"]["last_value"] == "NaN"
    assert found["acc/🎯 __x"]["non_finite"] == 1
    chart = operator.ask(
        "POST", "series/read", {"sources": [run.source], "keys": ["loss", "acc/🎯 __x", "none"]}
    )
    charts = {one["key"]: one for one in chart.json()["series"]}
    assert charts["loss"]["columns"]["step"] == list(range(50))
    assert charts["loss"]["exact"] is True
    assert charts["acc/🎯 __x"]["non_finite"] == [{"step": 3, "x": 3, "kind": "NaN"}]
    run.refresh_from_db()
    assert run.last_step == 49
    assert run.summary == {"loss": 0.02, "acc/🎯 __x": "NaN"}
    assert run.last_seen_at is not None


def test_points_start_a_queued_run_and_revive_a_lost_one(operator, run):
    for state in ("queued", "lost"):
        Run.objects.filter(pk=run.pk).update(state=state)
        post(operator, run, [a_point()])
        run.refresh_from_db()
        assert run.state == "running"


@pytest.mark.parametrize(
    ("point", "field"),
    [
        ({"step": -1}, ".step"),
        ({"step": 1.5}, ".step"),
        ({"step": "1"}, ".step"),
        ({"step": True}, ".step"),
        ({"step": None}, ".step"),
        ({"value": "high"}, ".value"),
        ({"value": None}, ".value"),
        ({"value": [1]}, ".value"),
        ({"value": True}, ".value"),
        ({"key": ""}, ".key"),
        ({"key": "x" * 301}, ".key"),
        ({"key": "a\nb"}, ".key"),
        ({"key": 5}, ".key"),
        ({"time": "now"}, ".time"),
        ({"time": -5}, ".time"),
        ({"time": 1.7e12}, ".time"),
        ({"extra": 1}, ".extra"),
    ],
)
def test_a_bad_point_is_refused_with_its_place_and_nothing_is_stored(operator, run, point, field):
    answer = post(operator, run, [a_point(), a_point(**point)])
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["fields"]) == [f"points[1]{field}"]
    assert operator.ask("GET", f"runs/{run.code}/keys").json()["results"] == []


@pytest.mark.parametrize(
    "body", [{}, {"points": []}, {"points": 5}, {"points": [5]}, {"points": [{}]}, {"point": []}]
)
def test_a_body_without_points_is_refused(operator, run, body):
    assert operator.ask("POST", f"runs/{run.code}/points", body).status_code == 400


def test_too_many_points_at_once_are_refused_in_words(operator, run):
    answer = post(operator, run, [{"key": "a", "step": 0, "value": 0}] * (MAX_POINTS + 1))
    assert answer.status_code == 400
    assert "at most 100000" in answer.json()["detail"]


def test_what_is_exported_is_what_was_logged(operator, run):
    values = [0.1, 1e-300, "NaN", "Infinity", -3]
    post(
        operator,
        run,
        [a_point(key="a,b", step=step, value=value, time=7.5) for step, value in enumerate(values)],
    )
    post(operator, run, [a_point(key='q"uote', step=9, value=2.0)])
    answer = operator.get(f"/api/v1/runs/{run.code}/export", {"format": "jsonl", "keys": "a,b"})
    assert answer.status_code == 200
    lines = [json.loads(line) for line in b"".join(answer.streaming_content).decode().splitlines()]
    assert [line["value"] for line in lines] == values
    assert lines[0] == {"key": "a,b", "branch": 0, "step": 0, "time": 7.5, "value": 0.1}
    answer = operator.get(f"/api/v1/runs/{run.code}/export", {"format": "csv"})
    assert answer["Content-Disposition"] == f'attachment; filename="run-{run.code}.csv"'
    table = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert table[0] == ["key", "branch", "step", "time", "value"]
    assert len(table) == 7
    assert {row[0] for row in table[1:]} == {"a,b", 'q"uote'}


ODD_KEYS = [
    "a/b", "🎉", "__x", "=1+1", "a,b", 'q"', "a'b", "a;b", "a\\b", "-", "@", "../..", "<script>", "  lead", "trail ",
    "\u2028line", "\u2029paragraph", "\u202eright to left", "\ufeff", "e\u0301", "é", "NULL", "x" * 300,
]  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_key_of_any_letters_is_exported_as_it_was_logged(operator, run, form):
    post(operator, run, [a_point(key=key, step=2**53, value=0.1, time=5.25) for key in ODD_KEYS])
    answer = operator.get(f"/api/v1/runs/{run.code}/export", {"format": form})
    text = b"".join(answer.streaming_content).decode()
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert sorted(row["key"] for row in rows) == sorted(ODD_KEYS)
    assert {(int(row["step"]), float(row["time"]), float(row["value"])) for row in rows} == {
        (2**53, 5.25, 0.1)
    }


@pytest.mark.parametrize("query", [{"format": "xml"}, {"keys": "nothing"}])
def test_an_export_of_what_is_not_there_is_refused(operator, run, query):
    answer = operator.get(f"/api/v1/runs/{run.code}/export", query)
    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == set(query)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sources": []}, "sources"),
        ({"sources": ["run:x"] * 101}, "sources"),
        ({"sources": "run:x"}, "sources"),
        ({"keys": []}, "keys"),
        ({"keys": ["k"] * 201}, "keys"),
        ({"width": 9}, "width"),
        ({"width": 10_001}, "width"),
        ({"width": "wide"}, "width"),
        ({"x": ""}, "x"),
        ({"x": 5}, "x"),
        ({"start": "0"}, "start"),
        ({"start": 5, "end": 4}, "start"),
        ({"zoom": 1}, "zoom"),
    ],
)
def test_a_bad_chart_is_refused_with_its_field(operator, run, change, field):
    answer = operator.ask("POST", "series/read", {"sources": [run.source], "keys": ["loss"]} | change)
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["fields"]


def test_a_chart_as_typed_arrays_says_what_the_json_says(operator, run):
    post(operator, run, [a_point(step=step, value=1 / (step + 1), time=1e9 + step) for step in range(50)])
    post(operator, run, [a_point(step=50, value="NaN", time=1e9 + 50)])
    body = {"sources": [run.source], "keys": ["loss"], "x": "relative", "width": 10}
    answer = operator.ask("POST", "series/read", body, headers={"accept": columns.MEDIA_TYPE})
    assert (answer.status_code, answer["Content-Type"]) == (200, columns.MEDIA_TYPE)
    assert "Accept" in answer["Vary"]
    assert as_json(decode(answer.content)) == operator.ask("POST", "series/read", body).json()["series"]


def test_an_error_is_json_even_where_typed_arrays_were_asked_for(operator, outsider, run):
    good = {"sources": [run.source], "keys": ["loss"]}
    for client, body, status in (
        (operator, good | {"width": 1}, 400),
        (outsider, good, 404),
        (client_of(None), good, 401),
    ):
        answer = client.ask("POST", "series/read", body, headers={"accept": columns.MEDIA_TYPE})
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
        assert answer.json()["detail"]


def test_a_chart_shows_a_node_to_anyone_and_a_run_to_its_members(viewer, outsider, run, node):
    read = lambda client, source: client.ask("POST", "series/read", {"sources": [source], "keys": ["k"]})  # noqa: E731
    assert read(outsider, node.source).status_code == 200
    assert read(outsider, run.source).status_code == 404
    assert read(viewer, run.source).status_code == 200
    for source in ("node:none", "run:none", "device:x", "", "run:\ud7ff"):
        assert read(viewer, source).status_code in {400, 404}


@pytest.mark.parametrize("x", ["step", "relative_step", "relative", "time", "loss", "none"])
@pytest.mark.parametrize("bounds", [{}, {"start": 2, "end": 5}, {"start": -1e308}, {"end": 1e308}])
def test_a_chart_can_have_any_axis_and_range(operator, run, x, bounds):
    post(operator, run, [a_point(step=step, value=step / 2, time=1e9 + step) for step in range(10)])
    body = {"sources": [run.source], "keys": ["loss"], "x": x} | bounds
    answer = operator.ask("POST", "series/read", body)
    assert answer.status_code == 200, answer.content


def test_logs_are_read_in_pages_and_searched(viewer, run):
    logs.append(run.source, "s", 1, [LogLine(float(n), "stdout", f"line {n}") for n in range(20)])
    page = viewer.ask("GET", f"runs/{run.code}/logs", {"start": -3}).json()
    assert page["total"] == 20
    assert page["first_line"] == 17
    assert page["lines"][-1] == [19.0, "stdout", "line 19"]
    found = viewer.ask("GET", f"runs/{run.code}/logs", {"search": "LINE 7"}).json()
    assert [line[2] for line in found["lines"]] == ["line 7"]
    for query in ({"start": "x"}, {"count": 0}, {"count": 10**9}, {"start": 10**30}, {"search": "\x00"}):
        answer = viewer.ask("GET", f"runs/{run.code}/logs", query)
        assert answer.status_code == 400
        assert set(answer.json()["fields"]) == set(query)


def test_deleting_a_run_deletes_its_series(operator, run, django_capture_on_commit_callbacks):
    post(operator, run, [a_point()])
    Run.objects.filter(pk=run.pk).update(state="finished")
    source = run.source
    with django_capture_on_commit_callbacks(execute=True):
        assert operator.ask("DELETE", f"runs/{run.code}").status_code == 204
    assert series.keys(source) == []


def test_deleting_an_experiment_deletes_its_runs_and_their_series(
    operator, run, django_capture_on_commit_callbacks
):
    post(operator, run, [a_point()])
    address, source = f"experiments/{run.experiment_id}", run.source
    assert operator.ask("DELETE", address).status_code == 409
    Run.objects.filter(pk=run.pk).update(state="finished")
    with django_capture_on_commit_callbacks(execute=True):
        assert operator.ask("DELETE", address).status_code == 204
    assert series.keys(source) == []
    assert not Run.objects.filter(pk=run.pk).exists()
