"""The list of runs in the order of any column, narrowed by conditions on any, in the columns asked for."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.support.domain import a_run
from training.api.run_serializers import RunSerializer
from training.api.runs import OWN_COLUMNS
from training.models import Job, Run, Tunable

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]


@pytest.fixture
def runs(project):
    """Names are letters; `d` has no loss, `e` diverged, `f` is a whole number."""
    made = [
        ("a", {"loss": 0.5, "val/acc é": 0.25}, {"lr": 0.1, "optimizer": "adam", "model": {"depth": 2}}),
        ("b", {"loss": -3.0}, {"lr": 1e-3, "optimizer": "sgd", "model": {"depth": 4}}),
        ("c", {"loss": 1e30}, {"lr": "auto", "optimizer": "adam", "model.depth": 8}),
        ("d", {}, {"lr": 0.1, "nested": {"a": [1, 2]}, "flag": True, "nothing": None}),
        ("e", {"loss": "NaN"}, {"lr": 10, "flag": False}),
        ("f", {"loss": 2}, {}),
    ]
    return [
        a_run(
            project, "finished", name=name, summary=summary, config=config, last_step=number or None,
            created_at=timezone.now() + timedelta(seconds=number),
        )
        for number, (name, summary, config) in enumerate(made)
    ]  # fmt: skip


def names(client, **query) -> str:
    answer = client.ask("GET", "runs", query)
    assert answer.status_code == 200, answer.content
    return "".join(run["name"] for run in answer.json()["results"])


def follow(client, link: str):
    return client.ask("GET", link.removeprefix("http://testserver"))


def walk(client, **query) -> list[str]:
    """The pages' names, from the first to the last and back again."""
    page = client.ask("GET", "runs", query).json()
    forth = [page]
    while page["next"]:
        page = follow(client, page["next"]).json()
        forth.append(page)
    back = [page]
    while page["previous"]:
        page = follow(client, page["previous"]).json()
        back.append(page)
    told = ["".join(run["name"] for run in page["results"]) for page in forth]
    assert "".join(told) == "".join(
        "".join(run["name"] for run in page["results"]) for page in reversed(back)
    )
    return told


ORDERS = [
    ("metric:loss", "bafced"),  # numbers, then "NaN", then what has none
    ("-metric:loss", "cfabed"),
    ("config:lr", "bdaecf"),  # 0.1 twice: the newer first
    ("-config:lr", "edabcf"),
    ("config:model.depth", "abcfed"),  # nested, or a name with a dot of its own
    ("-config:model.depth", "cbafed"),
    ("config:optimizer", "cabfed"),
    ("-config:optimizer", "bcafed"),
    ("config:flag", "edfcba"),
    ("metric:val/acc é", "afedcb"),
    ("metric:unknown", "fedcba"),
    ("config:nothing", "fedcba"),
    ("name", "abcdef"),
    ("-name", "fedcba"),
    ("last_step", "bcdefa"),
    ("-last_step", "fedcba"),
    ("-created_at", "fedcba"),
    ("started_at", "fedcba"),
]


def test_any_column_orders_the_list_and_its_pages(viewer, runs):
    for sort, order in ORDERS:
        assert (sort, names(viewer, sort=sort)) == (sort, order)
        assert (sort, walk(viewer, sort=sort, limit=2)) == (sort, [order[:2], order[2:4], order[4:]])


CONDITIONS = [
    (["metric:loss < 1"], "ab"),
    (["metric:loss<1"], "ab"),
    (["metric:loss >= 0.5", "metric:loss < 1e3"], "af"),
    (["metric:loss = 2"], "f"),
    (["metric:loss = NaN"], "e"),
    (["metric:loss != NaN"], "abcf"),
    (["metric:loss != 2"], "abce"),
    (["config:optimizer = adam"], "ac"),
    (["config:optimizer != adam"], "b"),
    (["config:optimizer = adam", "config:lr = 0.1"], "a"),
    (["config:lr = auto"], "c"),
    (["config:lr > 0.01"], "ade"),
    (["config:model.depth >= 4"], "bc"),
    (["config:flag = true"], "d"),
    (["config:flag = 1"], ""),
    (["metric:val/acc é <= 0.25"], "a"),
    (["name = b"], "b"),
    (["last_step > 3.5"], "ef"),
    (["created_at > 2020-01-01"], "abcdef"),
    (["created_at <= 2020-01-01T00:00:00Z"], ""),
]


def test_conditions_narrow_the_list(viewer, runs):
    for conditions, found in CONDITIONS:
        assert (conditions, names(viewer, where=conditions, sort="name")) == (conditions, found)
        assert (conditions, names(viewer, where=conditions)) == (conditions, found[::-1])


def test_conditions_hold_on_every_page(viewer, runs):
    assert walk(viewer, where=["metric:loss < 1e3"], sort="-metric:loss", limit=1) == ["f", "a", "b"]


def test_a_run_that_is_new_or_gone_moves_no_other(viewer, project, runs):
    page = viewer.ask("GET", "runs", {"sort": "metric:loss", "limit": 2}).json()
    a_run(project, name="x", summary={"loss": -5.0})
    a_run(project, name="y", summary={"loss": 0.7})
    Run.objects.get(name="a").delete()  # the last of the first page
    following = follow(viewer, page["next"]).json()
    assert [run["name"] for run in following["results"]] == ["y", "f"]


def test_only_the_columns_asked_for_come(viewer, runs):
    query = {
        "column": ["name", "metric:loss", "metric:none", "config:lr", "config:model.depth"],
        "sort": "name",
    }
    found = viewer.ask("GET", "runs", query).json()["results"]
    assert found[0] == {
        "code": runs[0].code, "name": "a", "config": {"lr": 0.1, "model.depth": 2}, "summary": {"loss": 0.5},
    }  # fmt: skip
    assert found[2]["config"] == {"lr": "auto", "model.depth": 8}
    assert found[5] == {"code": runs[5].code, "name": "f", "config": {}, "summary": {"loss": 2}}


def test_columns_are_read_in_as_many_queries_whatever_the_number_of_runs(
    viewer, runs, django_assert_max_num_queries
):
    with django_assert_max_num_queries(8):
        names(viewer, column=["name", "job", "can", "parent", "metric:loss"], sort="-metric:loss")


@pytest.mark.parametrize("sort", ["-created_at", "metric:loss"])
def test_a_column_says_alone_what_it_says_among_all(viewer, runs, sort, django_assert_max_num_queries):
    whole = viewer.ask("GET", "runs", {"sort": sort}).json()["results"]
    for name in RunSerializer.Meta.fields:
        with django_assert_max_num_queries(8) as queries:
            alone = viewer.ask("GET", "runs", {"sort": sort, "column": name}).json()["results"]
        assert alone == [{"code": run["code"], name: run.get(name, {})} for run in whole]
        read = [query["sql"] for query in queries.captured_queries if '"training_run"."code"' in query["sql"]]
        assert read
        assert (name in OWN_COLUMNS) == all('"training_job"' not in sql for sql in read)


REFUSED = [
    ({"sort": "surprise"}, "sort"),
    ({"sort": "-"}, "sort"),
    ({"sort": "metric:"}, "sort"),
    ({"sort": 'metric:a"b'}, "sort"),
    ({"sort": "metric:a\x00b"}, "sort"),
    ({"sort": "metric:" + "x" * 301}, "sort"),
    ({"sort": "config"}, "sort"),
    ({"where": "loss"}, "where"),
    ({"where": "loss < 1"}, "where"),
    ({"where": "metric:loss < much"}, "where"),
    ({"where": "metric:loss < NaN"}, "where"),
    ({"where": "metric:loss = a\x00b"}, "where"),
    ({"where": "last_step = many"}, "where"),
    ({"where": "name < b"}, "where"),
    ({"where": "created_at > yesterday"}, "where"),
    ({"where": "created_at > 0001-01-01T00:00:00+14:00"}, "where"),
    ({"where": ["metric:loss < 1"] * 21}, "where"),
    ({"column": "surprise"}, "column"),
    ({"column": ["name"] * 101}, "column"),
    ({"sort": "name", "cursor": "x"}, "cursor"),
    ({"sort": "name", "cursor": "WyJuYW1lIiwgZmFsc2UsIDAsICJhXHUwMDAwIiwgMV0="}, "cursor"),
]


def test_what_cannot_be_sorted_or_narrowed_by_is_refused_with_its_name(viewer, runs):
    for query, field in REFUSED:
        answer = viewer.ask("GET", "runs", query)
        assert (query, answer.status_code) == (query, 400), answer.content
        assert (query, list(answer.json()["fields"])) == (query, [field])


def test_a_cursor_of_another_order_is_refused(viewer, runs):
    page = viewer.ask("GET", "runs", {"sort": "metric:loss", "limit": 2}).json()
    answer = follow(viewer, page["next"].replace("metric%3Aloss", "name"))
    assert answer.status_code == 400
    assert answer.json()["fields"] == {
        "cursor": ["The cursor is not one of this order; begin again without it."]
    }


def test_who_has_no_role_sees_none_of_it(outsider, runs):
    assert names(outsider, sort="metric:loss", where=["metric:loss < 1"]) == ""


def test_a_run_that_goes_on_tells_how_far_it_is_by_its_control_its_config_or_not_at_all(viewer, project):
    begun = timezone.now() - timedelta(seconds=100)
    fields = {"started_at": begun, "last_seen_at": begun + timedelta(seconds=50), "last_step": 100}
    by_config = a_run(project, "running", config={"max_steps": 1000}, **fields)
    by_control = a_run(project, "running", config={"steps": 7}, summary={"_step_seconds": 2.0}, **fields)
    Tunable.objects.create(
        run=by_control, name="total", role="total_steps", kind="int", value=400, initial=400
    )
    unknown = a_run(project, "paused", config={"steps": "many"}, last_step=None)
    over = a_run(project, "finished", config={"steps": 100}, **fields)
    wanted = {
        by_config.code: {"step": 100, "total_steps": 1000, "step_seconds": 0.5},
        by_control.code: {"step": 100, "total_steps": 400, "step_seconds": 2.0},
        unknown.code: {"step": None, "total_steps": None, "step_seconds": None},
        over.code: None,
    }
    for query in ({}, {"column": "progress"}, {"column": ["progress", "created_by"]}):
        rows = viewer.ask("GET", "runs", query).json()["results"]
        assert {row["code"]: row["progress"] for row in rows} == wanted, query
    job = Job.objects.create(run=by_control, argv=["true"], state="active")
    assert viewer.ask("GET", f"jobs/{job.code}").json()["progress"] == wanted[by_control.code]
    running = viewer.ask("GET", "overview").json()["running"]
    assert {row["code"]: row["progress"] for row in running} == {
        code: told for code, told in wanted.items() if told
    }
