"""Any body and any query at any address: an answer or a refusal in one shape, never a failure of ours."""

import json

import pytest
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitoring.models import Node
from tests.support.domain import a_user
from training.models import Experiment, Job, Run

from .conftest import client_of

pytestmark = pytest.mark.django_db(databases="__all__")
odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=30),
    st.sampled_from(
        ["", " ", "\x00", "\ud800", "é🎉", "../..", "a" * 5000, "NaN", "1e999", -1, 2**53 + 1, 1e308, "2026-13-45"]
    ),
)  # fmt: skip
anything = st.recursive(
    odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def routes():
    """(method, path, field names) of every address that takes a body."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    found = []
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            content = about.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            fields = list(schema["components"]["schemas"].get(name, {}).get("properties", {}))
            if method in {"post", "patch", "put"}:
                found.append((method.upper(), path, fields))
    return found


def queries():
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return [
        (path, [p["name"] for p in about["get"].get("parameters", []) if p["in"] == "query"])
        for path, about in schema["paths"].items()
        if "get" in about
    ]


ROUTES, QUERIES = routes(), queries()


@pytest.fixture
def admin():
    return client_of(a_user("root", is_superuser=True, is_staff=True))


def filled(path: str, run, job, node) -> str:
    values = {
        "code": job.code if "/jobs/" in path else run.code,
        "name": node.name,
        "slug": "vision",
        "id": run.experiment_id,
    }
    for name, value in values.items():
        path = path.replace("{" + name + "}", str(value))
    return path


def refused_in_shape(answer) -> None:
    assert answer.status_code < 500, answer.content
    if answer.status_code >= 400:
        told = json.loads(answer.content)
        assert set(told) == {"detail", "fields"}
        assert told["detail"]
        assert all(isinstance(words, list) and words for words in told["fields"].values())


@pytest.mark.parametrize(
    ("method", "path", "fields"), ROUTES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_any_body(admin, run, job, node, method, path, fields):
    address = filled(path, run, job, node)
    names = st.sampled_from(fields) if fields else st.text(max_size=5)
    before = Run.objects.count(), Job.objects.count(), Experiment.objects.count(), Node.objects.count()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of(st.dictionaries(names, anything, max_size=4), anything))
    def ask(body):
        text = json.dumps(body)  # NaN and lone surrogates included, as a careless client writes them
        answer = admin.generic(method, address, text, content_type="application/json")
        refused_in_shape(answer)

    ask()
    after = Run.objects.count(), Job.objects.count(), Experiment.objects.count(), Node.objects.count()
    # What was taken was whole: a run or job never without its experiment, nothing gone.
    assert all(now >= was for now, was in zip(after, before, strict=True))


@pytest.mark.parametrize(
    "text", ["", "{", "[1,", '"x"', "nul", '{"a":1}{"b":2}', "\xff\xfe", "{" * 100_000, '{"a":' * 5000]
)
def test_a_body_that_is_no_json(admin, run, text):
    for path in ("runs", f"runs/{run.code}/commands", "series/read", "jobs"):
        answer = admin.generic(
            "POST", f"/api/v1/{path}", text.encode("latin1"), content_type="application/json"
        )
        assert answer.status_code == 400
        refused_in_shape(answer)


def test_a_body_of_ten_megabytes_and_other_types(admin, run):
    answer = admin.generic(
        "POST", "/api/v1/runs", json.dumps({"name": "x" * 10_000_000}), content_type="application/json"
    )
    assert answer.status_code in {400, 413}
    refused_in_shape(answer)
    for kind in ("text/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = admin.generic("POST", "/api/v1/runs", "a=1", content_type=kind)
        assert answer.status_code in {400, 415}
        refused_in_shape(answer)


@pytest.mark.parametrize(
    ("path", "names"), QUERIES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_any_query(admin, run, job, node, path, names):
    address = filled(path, run, job, node)

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        st.dictionaries(
            st.sampled_from([*names, "limit", "cursor", "format"]),
            st.sampled_from(
                ["", "0", "-1", "1e9", "99999999999999999999", "x", "é", "\x00", "None", "[]", "a,b", "NaN"]
            ),
            max_size=3,
        )
    )
    def ask(query):
        answer = admin.get(address, query)
        assert answer.status_code < 500, (query, answer.content[:500])
        if answer.status_code >= 400:
            refused_in_shape(answer)

    ask()
