"""Saved views and the links that show one without an account: who sees what, what ends, what is never told."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_member, a_run
from training.models import Experiment, Role, SavedView, ViewLink

from .conftest import client_of

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]

STATE = {
    "version": 1,
    "layout": "both",
    "table": {
        "columns": [
            {"id": "metric:loss"},
            {"id": "config:lr", "pinned": True},
            {"id": "created_by"},
            {"id": "notes"},
        ],
        "sort": "metric:loss",
        "filter": {"column": "config:lr", "operator": "<", "value": 0.5},
        "groups": ["config:optimizer"],
    },
    "drawn": [],
    "others": [],
    "panels": {"anything": ["of", {"the": "charts"}]},
}


@pytest.fixture
def runs(project):
    made = [a_run(project, "finished", name=name, config={"lr": lr, "optimizer": "adam", "secret": "s3cr3t"},
                  summary={"loss": lr * 10},
                  notes="private", process={"argv": ["--password"]}, tags=["t"])
            for name, lr in (("a", 0.2), ("b", 0.1), ("c", 0.9))]  # fmt: skip
    return made


def save(client, runs, status=201, **fields):
    body = {"name": "Best", "state": STATE} | fields
    answer = client.ask("POST", f"experiments/{runs[0].experiment_id}/views", body)
    assert answer.status_code == status, answer.content
    return answer.json()


def share(client, view, **body) -> str:
    answer = client.ask("POST", f"views/{view['code']}/links", body)
    assert answer.status_code == 201, answer.content
    return answer.json()["token"]


def bearer(token: str) -> dict:
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


class Guest(Client):
    """Nobody, with a link."""

    def __init__(self, token: str):
        super().__init__()
        self.header = bearer(token)

    def ask(self, path: str, query=None):
        return self.get(f"/api/v1/{path}", query or {}, **self.header)

    def post_json(self, path: str, body):
        return self.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", **self.header)


def test_a_view_is_kept_as_it_was_and_found_by_its_code(operator, runs):
    view = save(operator, runs, shared=True)
    found = operator.ask("GET", f"views/{view['code']}").json()
    assert found["state"] == STATE
    assert (found["owner"], found["mine"], found["shared"]) == ("olga", True, True)
    listed = operator.ask("GET", f"experiments/{runs[0].experiment_id}/views").json()["results"]
    assert [(each["code"], "state" in each) for each in listed] == [(view["code"], False)]
    operator.ask("PATCH", f"views/{view['code']}", {"name": "Worst", "state": STATE | {"layout": "table"}})
    assert operator.ask("GET", f"views/{view['code']}").json()["state"]["layout"] == "table"


def test_a_private_view_is_its_owners_alone_and_a_shared_one_the_projects(
    viewer, operator, outsider, project, runs
):
    mine = save(viewer, runs)
    other = client_of(a_member(project, "oscar", Role.ADMIN))
    assert viewer.ask("GET", f"views/{mine['code']}").status_code == 200
    for stranger in (operator, outsider, other):
        assert stranger.ask("GET", f"views/{mine['code']}").status_code == 404
    assert operator.ask("GET", f"experiments/{runs[0].experiment_id}/views").json()["results"] == []
    shared = save(operator, runs, shared=True)
    assert viewer.ask("GET", f"views/{shared['code']}").json()["mine"] is False
    assert outsider.ask("GET", f"views/{shared['code']}").status_code == 404
    # A viewer keeps views and changes their own; showing one to the others, or changing theirs, takes an operator.
    assert viewer.ask("PATCH", f"views/{mine['code']}", {"name": "x"}).status_code == 200
    assert viewer.ask("PATCH", f"views/{mine['code']}", {"shared": True}).status_code == 403
    assert viewer.ask("DELETE", f"views/{shared['code']}").status_code == 403
    save(viewer, runs, 403, shared=True)
    assert other.ask("PATCH", f"views/{shared['code']}", {"name": "Ours"}).status_code == 200
    assert other.ask("PATCH", f"views/{shared['code']}", {"shared": False}).status_code == 403


def test_a_link_to_a_deleted_view_says_so(viewer, operator, outsider, runs):
    view = save(operator, runs, shared=True)
    token = share(operator, view)
    assert operator.ask("DELETE", f"views/{view['code']}").status_code == 204
    answer = viewer.ask("GET", f"views/{view['code']}")
    assert answer.status_code == 410
    assert answer.json()["detail"].startswith("The view “Best” was deleted by olga on ")
    assert outsider.ask("GET", f"views/{view['code']}").status_code == 404
    assert Guest(token).ask("shared").status_code == 401
    assert SavedView.objects.get().state == {}
    assert viewer.ask("GET", "views/nosuch").status_code == 404


BAD_STATES = [
    ({}, "version"),
    ({"version": 2}, "expected 1"),
    ({"version": 1, "more": 1}, "'more' is no part"),
    ({"version": 1, "layout": "x"}, "layout"),
    ({"version": 1, "table": []}, "table"),
    ({"version": 1, "drawn": ["x" * 17]}, "drawn"),
    ({"version": 1, "drawn": ["x"] * 501}, "at most 500"),
    ({"version": 1, "others": "x"}, "others"),
    ({"version": 1, "panels": "x" * 300_000}, "262,144 are kept"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "words"), BAD_STATES, ids=lambda value: str(value)[:30])
def test_a_state_of_another_form_is_refused_in_words(operator, runs, state, words):
    assert words in save(operator, runs, 400, state=state)["fields"]["state"][0]


def test_a_guest_sees_the_view_and_nothing_else(operator, project, runs):
    steps = list(range(5))
    column = Column(key="loss", steps=steps, times=[1.7e9] * 5, values=[1.0] * 5)
    for run in runs:
        series.append(run.source, "a" * 32, [Batch(seq=1, columns=[column])])
    guest = Guest(share(operator, save(operator, runs)))
    told = guest.ask("shared").json()
    assert (told["name"], told["count"], told["state"]) == ("Best", 2, STATE)
    page = guest.ask("shared/runs").json()
    assert [run["name"] for run in page["results"]] == ["b", "a"]  # the view's filter and order
    assert page["results"][0]["config"] == {"lr": 0.1}
    text = json.dumps([told, page, guest.ask("shared/groups").json()])
    for hidden in ("s3cr3t", "private", "--password", "olga", "created_by\": \"", "notes\": \""):  # fmt: skip
        assert hidden not in text, hidden
    group = guest.ask("shared/groups").json()["groups"][0]
    assert (group["values"], group["statistics"]["metric:loss"]["mean"]) == (["adam"], pytest.approx(1.5))
    read = lambda source: guest.post_json("shared/series", {"sources": [source], "keys": ["loss"]})  # noqa: E731
    assert len(read(runs[0].source).json()["series"][0]["columns"]["x"]) == 5
    # A run that the filter leaves out, of another experiment, or no run at all.
    other = Experiment.objects.create(project=project, slug="other", name="other")
    hidden = a_run(project, "finished", name="hidden")
    type(hidden).objects.filter(pk=hidden.pk).update(experiment=other)
    for source in (runs[2].source, hidden.source, "node:n1"):
        assert read(source).status_code == 404
    assert guest.ask("shared/runs", {"code": f"{runs[2].code},{hidden.code}"}).json()["results"] == []


def test_a_guest_reads_the_runs_of_a_group_and_of_no_other_column(operator, runs):
    guest = Guest(share(operator, save(operator, runs)))
    (group,) = guest.ask("shared/groups").json()["groups"]
    of = lambda values: guest.ask("shared/runs", {"group": values})  # noqa: E731
    found = of(json.dumps(group["values"])).json()["results"]
    assert [run["name"] for run in found] == ["b", "a"]
    assert of('["sgd"]').json()["results"] == []  # there is one, which the view's filter leaves out
    for wrong in ("[NaN]", "[1e999]", '["\\u0000"]'):
        assert of(wrong).status_code in {200, 400}, wrong
    for wrong in ("", "adam", "[]", '["adam", 1]', '[["adam"]]', '{"a": 1}', "null"):
        answer = of(wrong)
        assert answer.status_code == 400, wrong
        assert "Expected a JSON list of 1 values" in answer.json()["fields"]["group"][0]
    flat = Guest(
        share(operator, save(operator, runs, state=STATE | {"table": {**STATE["table"], "groups": []}}))
    )
    assert "the view has no groups" in flat.ask("shared/runs", {"group": "[]"}).json()["fields"]["group"][0]


def test_a_guest_sees_what_is_drawn_though_the_filter_leaves_it_out(operator, runs):
    view = save(operator, runs, state=STATE | {"drawn": [runs[2].code]})
    found = Guest(share(operator, view)).ask("shared/runs", {"code": runs[2].code}).json()["results"]
    assert [run["name"] for run in found] == ["c"]


@pytest.mark.parametrize(
    "query",
    [{"sort": "name"}, {"filter": "{}"}, {"find": "x"}, {"where": "state = finished"}, {"column": "config"}],
)
def test_a_guest_cannot_ask_for_more_than_the_view_says(operator, runs, query):
    assert Guest(share(operator, save(operator, runs))).ask("shared/runs", query).status_code == 400


def test_the_token_opens_nothing_but_its_view(operator, runs):
    guest = Guest(share(operator, save(operator, runs)))
    for path in (
        "me",
        "runs",
        f"runs/{runs[0].code}",
        f"experiments/{runs[0].experiment_id}",
        "nodes",
        "queue",
        "runs/groups?by=state",
    ):
        assert guest.ask(path).status_code == 401, path
    assert guest.post_json("series/read", {"sources": [runs[0].source], "keys": ["loss"]}).status_code == 401
    assert guest.get("/metrics", **guest.header).status_code == 401
    # Nor does a session or a person's token open what is a link's.
    assert operator.ask("GET", "shared").status_code == 401


def test_a_link_ends_by_its_time_and_by_being_taken_back(operator, viewer, runs):
    view = save(operator, runs, shared=True)
    first, second = share(operator, view, expires_in_days=1), share(operator, view)
    links = operator.ask("GET", f"views/{view['code']}/links").json()["results"]
    assert len(links) == 2
    assert first not in json.dumps(links)
    assert not ViewLink.objects.filter(hash__in=[first, second]).exists()
    operator.ask("DELETE", f"views/{view['code']}/links/{links[0]['id']}")
    assert [Guest(token).ask("shared").status_code for token in (first, second)] == [200, 401]
    ViewLink.objects.filter(pk=links[1]["id"]).update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = Guest(first).ask("shared")
    assert answer.status_code == 401
    assert "Ask whoever sent it" in answer.json()["detail"]
    assert viewer.ask("POST", f"views/{view['code']}/links", {}).status_code == 403
    assert viewer.ask("GET", f"views/{view['code']}/links").status_code == 403
    for days in (0, 366, "1"):
        assert (
            operator.ask("POST", f"views/{view['code']}/links", {"expires_in_days": days}).status_code == 400
        )


def test_a_view_with_a_table_of_another_time_shows_what_can_be_read(operator, runs):
    table = {
        "columns": "x",
        "sort": "-created_by",
        "groups": ["nothing", 3],
        "filter": None,
        "find": 3,
        "baseline": [],
        "pinned": {},
    }
    guest = Guest(share(operator, save(operator, runs, state={"version": 1, "table": table})))
    assert [guest.ask(path).status_code for path in ("shared", "shared/runs", "shared/groups")] == [
        200,
        200,
        200,
    ]
    assert len(guest.ask("shared/runs").json()["results"]) == 3


def test_the_page_of_a_link_needs_no_login_and_tells_nobody_of_it(client, db):
    answer = client.get("/shared")
    assert answer.status_code in {200, 503}
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer["X-Robots-Tag"]
