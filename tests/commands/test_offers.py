"""Verbs that only some runs take: kept as their process offers them, refused else with what would help."""

import msgspec
import pytest

from scaleweb_sdk.protocol import Event, TunableSpec, VerbSpec
from tests.support.domain import a_run
from training import events
from training.commands import CommandRefused, issue
from training.models import Command, Run, RunEvent

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
PARAMETERS = [
    {"name": "amount", "kind": "float", "value": 0.3, "low": 0.0, "high": 0.99},
    {"name": "structured", "kind": "bool", "value": False},
    {"name": "dry", "kind": "bool", "value": False},
]


@pytest.fixture(autouse=True)
def no_broker(monkeypatch):
    monkeypatch.setattr("monitoring.live.publish.send", lambda channel, message: None)


@pytest.fixture
def run():
    return a_run(state="running")


def tell(run, *found, rank=0):
    for _ in range(2):  # as after a server that died before it acknowledged
        events.apply(run.pk, events.Sender("s" * 32, rank=rank), 1, list(found))
    return Run.objects.get(pk=run.pk)


def offer(run, verb="prune", parameters=PARAMETERS, rank=0):
    data = {"verb": verb, "description": "Hold the least weights at zero.", "parameters": parameters}
    return tell(run, Event("verb", 0.0, None, data), rank=rank)


def test_an_order_that_a_run_offers_is_stored_with_every_parameter(run):
    run = offer(run)
    assert [each["verb"] for each in run.offers] == ["prune"]
    assert issue(run, "prune", asked_by="ada").value == {"amount": 0.3, "structured": False, "dry": False}
    value = issue(run, "prune", value={"amount": 0.5, "dry": True}, asked_by="ada").value
    assert value == {"amount": 0.5, "structured": False, "dry": True}


@pytest.mark.parametrize(
    ("verb", "value", "field", "words"),
    [
        ("compile", None, "verb", "this run offers no compile (it offers prune): call loop.offer_algorithms"),
        ("prune", {"amount": 1.5}, "value", "outside 0..0.99"),
        ("prune", {"amount": float("nan")}, "value", "not finite"),
        ("prune", {"amont": 0.5}, "value", "its parameters are amount, structured, dry"),
        ("prune", 0.5, "value", "is no map of amount, structured, dry"),
        ("prune", {"dry": 1}, "value", "expected true or false"),
        ("prune", {f"x{i}": 1 for i in range(10_000)}, "value", "no parameter 'x0'"),
    ],
)
def test_what_a_run_does_not_offer_is_refused_in_words_and_not_stored(run, verb, value, field, words):
    with pytest.raises(CommandRefused) as refusal:
        issue(offer(run), verb, value=value, asked_by="ada")
    assert refusal.value.field == field
    assert words in refusal.value.message
    assert len(refusal.value.message) < 700
    assert not Command.objects.exists()


def test_a_run_that_offers_nothing_says_what_would_make_it(run):
    with pytest.raises(CommandRefused, match=r"offers no prune.*call loop\.offer_algorithms"):
        issue(run, "prune", asked_by="ada")


@pytest.mark.parametrize(
    ("verb", "parameters", "words"),
    [
        ("dance", [], "cannot be offered; expected one of prune, quantise, compile"),
        ("prune", [{"name": "amount", "kind": "float", "value": 5, "low": 0, "high": 1}], "outside 0..1"),
        ("prune", [{"name": "amount"}], "verb event not used"),
        ("prune", PARAMETERS * 20, "at most 50"),
    ],
)
def test_an_offer_that_contradicts_itself_is_written_down_as_an_error(run, verb, parameters, words):
    assert offer(run, verb, parameters).offers == []
    (error,) = RunEvent.objects.filter(run=run, kind="error")
    assert words in error.reason


def test_only_the_first_rank_speaks_for_the_run(run):
    assert offer(run, rank=1).offers == []


def test_what_was_measured_is_on_record_once_with_its_table(run):
    table = {"verb": "prune", "before": {"size_bytes": 10}, "after": {"size_bytes": 10}, "within": True}
    data = {"verb": "prune", "outcome": "switched", "reason": "accuracy 0.9 → 0.9", "table": table}
    tell(run, Event("algorithm", 0.0, 120, data))
    (event,) = RunEvent.objects.filter(run=run)
    assert (event.kind, event.step, event.new, event.reason) == (
        "algorithm", 120, "prune switched", "accuracy 0.9 → 0.9",
    )  # fmt: skip
    assert event.data["table"] == table
    assert event.data["outcome"] == "switched"


def test_an_outcome_that_there_is_not_is_written_down_as_an_error(run):
    tell(run, Event("algorithm", 0.0, 1, {"verb": "prune", "outcome": "perhaps"}))
    (event,) = RunEvent.objects.filter(run=run)
    assert event.kind == "error"
    assert "expected exported, measured, refused, switched" in event.reason


def test_the_wires_form_is_the_one_that_is_kept(run):
    spec = VerbSpec("quantise", "", [TunableSpec("scheme", "choice", "a", choices=["a", "b"])])
    found = tell(run, Event("verb", 0.0, None, msgspec.to_builtins(spec)))
    assert msgspec.convert(found.offers[0], VerbSpec) == spec
