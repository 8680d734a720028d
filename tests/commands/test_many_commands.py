"""Settings for many runs at once are judged as one by one, and cost no more questions for more runs."""

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.domain import a_run
from training.commands import CommandRefused, issue, orders_after
from training.many_commands import Settings, issue_settings
from training.models import Command, Run, Tunable

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def published(monkeypatch):
    sent = []
    monkeypatch.setattr("monitoring.live.publish.send", lambda channel, message: sent.append(channel))
    return sent


def a_steered_run(state="running", **fields) -> Run:
    run = a_run(state=state)
    for name in ("lr", "clip"):
        Tunable.objects.create(run=run, name=name, kind="float", value=0.1, initial=0.1, low=1e-6, high=1.0)
    return run


def asked(run, since=99, **values):
    return Settings(run, values, "controller:p", since, reason="why", origin="decision:1")


def by_hand(run):
    issue(run, "set", tunable="lr", value=0.5, asked_by="ada")


@pytest.mark.parametrize(
    ("state", "before", "values", "since", "field"),
    [
        ("running", None, {"lr": 0.2}, 99, None),
        ("running", None, {"lr": 0.2, "clip": 0.3}, 99, None),
        ("running", by_hand, {"lr": 0.2}, 0, "person"),
        ("running", by_hand, {"lr": 0.2}, 1, None),
        ("running", by_hand, {"clip": 0.2}, 0, None),
        ("running", None, {"lr": 2.0}, 99, "value"),
        ("running", None, {"clip": 0.2, "lr": 2.0}, 99, "value"),
        ("running", None, {"other": 1.0}, 99, "tunable"),
        ("finished", None, {"lr": 0.2}, 99, "state"),
        ("queued", None, {"lr": 0.2}, 99, "state"),
    ],
)
def test_each_is_judged_as_if_it_were_asked_alone(state, before, values, since, field):
    runs = [a_steered_run(state) for _ in range(2)]
    for run in runs if before else ():
        before(run)
    (together,) = issue_settings([asked(runs[0], since, **values)])
    alone, refused = [], None
    try:
        alone = [
            issue(
                runs[1], "set", tunable=name, value=value, asked_by="controller:p", by_person=False, reason="why",
                origin="decision:1", unless_person_since=since,
            )
            for name, value in values.items()
        ]  # fmt: skip
    except CommandRefused as error:
        refused = error
    if field is None:
        names = ("seq", "verb", "tunable", "value", "asked_by", "by_person", "reason", "origin", "state")
        rows = [list(run.commands.order_by("seq").values(*names)) for run in runs]
        assert rows[0] == rows[1]
        assert [command.seq for command in together] == [command.seq for command in alone]
        assert orders_after(runs[0], 0)
    else:
        assert (together.field, together.message) == (refused.field, refused.message)
        assert refused.field == field
        assert not Command.objects.filter(run=runs[0], by_person=False).exists()


def test_one_that_is_refused_keeps_nobody_else_back_and_each_process_is_woken(
    published, django_capture_on_commit_callbacks
):
    runs = [a_steered_run() for _ in range(3)]
    with django_capture_on_commit_callbacks(execute=True):
        answers = issue_settings(
            [asked(run, lr=value) for run, value in zip(runs, (0.2, 9.0, 0.3), strict=True)]
        )
    assert [isinstance(answer, CommandRefused) for answer in answers] == [False, True, False]
    woken = [channel for channel in published if "wake" in channel]
    assert sorted(woken) == sorted(f"sw:wake:{run.code}" for run in (runs[0], runs[2]))


def test_a_setting_that_no_process_has_seen_is_superseded():
    run = a_steered_run()
    issue_settings([asked(run, lr=0.2)])
    issue_settings([asked(run, lr=0.3, clip=0.2)])
    states = run.commands.order_by("seq").values_list("seq", "state", "message")
    assert list(states) == [
        (1, "superseded", "superseded by #2 before it was sent"), (2, "pending", ""), (3, "pending", ""),
    ]  # fmt: skip


def test_several_settings_of_a_run_go_out_as_one_and_a_batch_with_what_it_was_decided_on():
    run = a_steered_run()
    Tunable.objects.create(
        run=run, name="size", kind="int", value=64, initial=64, low=1, high=512, role="batch_size"
    )
    seen = {"size": 64, "lr": 0.1}
    issue_settings([replace(asked(run, size=128, lr=0.2), expects=seen)])
    orders = orders_after(run, 0)
    assert [(o.tunable, o.value, o.expects, o.group_of) for o in orders] == [
        ("size", 128, 64, 2), ("lr", 0.2, None, 2),
    ]  # fmt: skip
    assert len({o.group for o in orders}) == 1


def test_a_run_is_asked_once():
    run = a_steered_run()
    with pytest.raises(ValueError, match="put its settings together"):
        issue_settings([asked(run, lr=0.2), asked(run, clip=0.2)])
    assert issue_settings([]) == []


def test_more_runs_cost_no_more_queries():
    counts = []
    for size in (2, 12):
        wanted = [asked(a_steered_run(), lr=0.2) for _ in range(size)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            issue_settings(wanted)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8
