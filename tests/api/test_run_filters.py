"""What narrows a list of runs: conditions nested by all and any, patterns that cannot hang, what is typed to find."""

import json
import time

import pytest

from tests.support.domain import a_run
from training.api import run_filters

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]


@pytest.fixture
def runs(project):
    made = [
        (
            "alpha-1",
            ["baseline", "größe"],
            {"loss": 0.5},
            {"lr": 0.1, "optimizer": "adam", "model": {"depth": 2}},
        ),
        ("beta-2", ["new"], {"loss": 2.0}, {"lr": 0.001, "optimizer": "sgd"}),
        ("gamma_3", [], {"loss": "NaN"}, {"lr": 1, "optimizer": "Adam W", "note": "50% 学习率"}),
        ("delta", ["base"], {}, {"flag": True}),
    ]
    return [
        a_run(project, "finished", name=name, tags=tags, summary=summary, config=config,
              lows={"loss": -float(place)}, highs={"loss": 10.0 * place}, usage={"cost": place} if place else {})
        for place, (name, tags, summary, config) in enumerate(made)
    ]  # fmt: skip


def initials(answer) -> str:
    assert answer.status_code == 200, answer.content
    return "".join(sorted(run["name"][0] for run in answer.json()["results"]))


def filtered(client, wanted) -> str:
    return initials(client.ask("GET", "runs", {"filter": json.dumps(wanted)}))


def leaf(column, operator, value=None):
    return {"column": column, "operator": operator} | ({} if value is None else {"value": value})


FOUND = [
    (leaf("metric:loss", "<", 1), "a"),
    (leaf("metric:loss", "!=", 0.5), "bg"),
    (leaf("metric:loss", "exists"), "abg"),
    (leaf("metric:loss", "missing"), "d"),
    (leaf("metric:loss", "=", "NaN"), "g"),
    (leaf("min:loss", "<=", -2), "dg"),
    (leaf("max:loss", ">", 5), "bdg"),
    (leaf("cost", ">=", 2), "dg"),
    (leaf("config:optimizer", "contains", "ADAM"), "ag"),
    (leaf("config:note", "contains", "50%"), "g"),
    (leaf("config:note", "contains", "50_"), ""),
    (leaf("config:note", "~", "学习率$"), "g"),
    (leaf("config:model.depth", "=", 2), "a"),
    (leaf("config:flag", "=", True), "d"),
    (leaf("config:lr", "~", r"^0\."), "ab"),
    (leaf("tags", "=", "base"), "d"),
    (leaf("tags", "!=", "base"), "abg"),
    (leaf("tags", "contains", "base"), "ad"),
    (leaf("tags", "=", "größe"), "a"),
    (leaf("tags", "~", "^(new|base)$"), "bd"),
    (leaf("tags", "missing"), "g"),
    (leaf("name", "~", r"^[ab].*-\d$"), "ab"),
    (leaf("name", "!~", r"-\d$"), "dg"),
    (leaf("name", "contains", "_"), "g"),
    (leaf("created_by", "missing"), "abdg"),
    ({"all": []}, "abdg"),
    ({"any": [leaf("metric:loss", ">", 1), {
        "all": [leaf("tags", "=", "base"), leaf("state", "=", "finished")]}]}, "bd"),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "names"), FOUND, ids=lambda value: json.dumps(value)[:60])
def test_a_filter_finds(viewer, runs, wanted, names):
    assert filtered(viewer, wanted) == names


TYPED = [
    ("alpha", "a"), ("ALPHA", "a"), ("lr=0.1", "a"), ("optimizer=adam", "ag"), ("baseline", "a"), ("größe", "a"),
    ("学习", "g"),
    ("finished new", "b"), ("50%", "g"), ("nothing", ""), (r"/^lr=(1|0\.1)$/", "ag"), ("/^base$/", "d"),
    ("/BETA|^delta/", "bd"),
    ("/^model.depth=2$/", "a"), ("/^$^/", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "names"), TYPED)
def test_what_is_typed_finds(viewer, runs, text, names):
    assert initials(viewer.ask("GET", "runs", {"find": text})) == names


def test_codes_are_found_together(viewer, runs):
    assert initials(viewer.ask("GET", "runs", {"code": f"{runs[0].code},{runs[3].code}"})) == "ad"


BAD = [
    ({"filter": "{"}, "filter", "JSON"),
    ({"filter": "[]"}, "filter", "expected"),
    ({"filter": "[" * 2000}, "filter", ""),
    ({"filter": json.dumps({"all": [leaf("loss", "<", 1)]})}, "filter", "filter.all[0]: 'loss' is no column"),
    ({"filter": json.dumps(leaf("metric:loss", "<<", 1))}, "filter", "'<<' is no operator"),
    ({"filter": json.dumps(leaf("metric:loss", "<", "much"))}, "filter", "expected a finite number"),
    ({"filter": json.dumps(leaf("metric:loss", "<"))}, "filter", "expected a value"),
    ({"filter": json.dumps(leaf("last_step", "contains", "1"))}, "filter", "is no text"),
    ({"filter": json.dumps(leaf("name", "~", "(a"))}, "filter", "Close what you open"),
    ({"filter": json.dumps(leaf("name", "~", r"(a)\1"))}, "filter", "back references are not taken"),
    ({"filter": json.dumps(leaf("name", "~", "(?=a)"))}, "filter", "Look-around"),
    ({"filter": json.dumps(leaf("name", "~", "(((a{1000}){1000}){1000})"))}, "filter", "repe"),
    ({"filter": json.dumps({"all": [leaf("state", "=", "x")] * 51})}, "filter", "more than 50 conditions"),
    ({"filter": '{"all":[' * 9 + "]}" * 9}, "filter", "nested deeper"),
    ({"find": "/(/"}, "find", "is no pattern"),
    ({"find": "x" * 501}, "find", "at most 500"),
    ({"find": "a\x00b"}, "find", "NUL"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "field", "words"), BAD)
def test_what_is_no_filter_is_refused_in_words(viewer, runs, query, field, words):
    answer = viewer.ask("GET", "runs", query)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]
    assert words.lower() in answer.json()["detail"].lower()


def test_a_pattern_that_hangs_other_engines_is_answered_at_once(viewer, project):
    a_run(project, "finished", name="a" * 60, config={"text": "a" * 20_000})
    start = time.process_time()
    assert initials(viewer.ask("GET", "runs", {"find": r"/^(a+)+$|^(a|a)*b|(.*.*.*.*)x/"})) == "a"
    assert time.process_time() - start < 2


def test_a_pattern_over_too_much_is_refused_before_it_takes_long(viewer, runs, monkeypatch):
    monkeypatch.setattr(run_filters, "MAX_SEARCHED_CHARACTERS", 200)
    answer = viewer.ask("GET", "runs", {"find": "/x/"})
    assert answer.status_code == 400
    assert "ask for one experiment" in answer.json()["detail"]


def test_a_narrowed_list_is_walked_by_key_in_any_order(viewer, runs):
    query = {"filter": json.dumps(leaf("name", "~", "a")), "sort": "-max:loss", "limit": 1}
    page, found = viewer.ask("GET", "runs", query).json(), []
    while True:
        found += [run["name"][0] for run in page["results"]]
        if not page["next"]:
            break
        page = viewer.ask("GET", page["next"].removeprefix("http://testserver")).json()
    assert "".join(found) == "dgba"


@pytest.mark.parametrize("sort", ["duration", "-duration", "cost", "created_by", "tags", "min:loss"])
def test_what_is_reckoned_sorts_too(viewer, runs, sort):
    page = viewer.ask("GET", "runs", {"sort": sort, "limit": 3}).json()
    rest = viewer.ask("GET", page["next"].removeprefix("http://testserver")).json()
    assert len({run["code"] for run in page["results"] + rest["results"]}) == 4
