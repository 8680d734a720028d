"""The real SDK against the real server: log to store to page, and command to step boundary to row."""

import json

import pytest
from websockets.sync.client import connect

import scaleweb_sdk
from monitoring.storage import series
from scaleweb_sdk import start as begin
from tests.support.domain import a_member, a_project, a_run, a_run_token
from tests.support.wait import PATIENCE_SECONDS, until
from training.commands import CommandRefused, issue, record_outcome
from training.models import ApiToken, Command, Run, TokenKind, Tunable

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]


@pytest.fixture
def row(live_site):
    return a_run()


@pytest.fixture
def start(live_site, row, monkeypatch, tmp_path):
    """Begins a run in this process, as a job's environment would have it."""
    monkeypatch.setenv("SCALEWEB_RUN", row.code)
    started = []

    def begin(**fields):
        token = a_run_token(row)
        run = scaleweb_sdk.init(
            url=live_site.url, token=token, dir=tmp_path / "spool", capture=False, **fields
        )
        started.append(run)
        return run

    yield begin
    for run in started:
        run.finish(timeout=5)


def losses(row):
    return sorted(int(step) for found in series.raw(row.source, ["loss"]) for step in found.steps)


def test_a_run_is_recorded_and_ends_as_it_says(start, row):
    with start(config={"layers": 2}) as run:
        run.tunable("lr", 0.1, low=1e-6, high=1.0, scale="log", role="learning_rate")
        for _ in run.steps(1000):
            run.step({"loss": 0.5})
        assert run.finish(timeout=60)  # the one of `with` would wait for 10 s alone
    row.refresh_from_db()
    assert (row.state, row.last_step, row.summary["loss"], row.config) == (
        "finished",
        999,
        0.5,
        {"layers": 2},
    )
    assert losses(row) == list(range(1000))
    assert row.process["session"]
    assert Tunable.objects.get().role == "learning_rate"


def test_a_failed_run_says_why(start, row):
    with pytest.raises(ZeroDivisionError), start() as run:
        run.step({"loss": 1 / 0})
    row = until(lambda: Run.objects.filter(state="failed").first())
    assert "ZeroDivisionError" in row.events.get(kind="error").reason


def test_a_command_is_applied_at_a_step_boundary_and_its_row_says_so(start, row):
    run = start()
    lr = run.tunable("lr", 0.1, low=1e-6, high=1.0)
    until(lambda: Tunable.objects.filter(run=row).exists())
    with pytest.raises(CommandRefused, match="outside"):
        issue(row, "set", tunable="lr", value=5, asked_by="ada")
    issue(row, "set", tunable="lr", value=0.01, asked_by="ada", reason="too steep")

    def step():
        run.step({"loss": 0.5})
        return Command.objects.get().state == "applied"

    until(step)
    command, tunable = Command.objects.get(), Tunable.objects.get()
    assert lr.value == 0.01
    assert (command.old_value, command.new_value) == (0.1, 0.01)
    assert 0 <= command.applied_step <= run.current_step
    assert (tunable.value, tunable.initial, tunable.changed_by) == (0.01, 0.1, "ada")


@pytest.mark.parametrize("held", [False, True], ids=["older than the setting", "holds the setting"])
def test_a_setting_outlives_a_resumption_from_an_older_checkpoint(start, row, monkeypatch, held):
    Tunable.objects.create(run=row, name="lr", kind="float", value=0.1, initial=0.1, low=1e-6, high=1.0)
    Run.objects.filter(pk=row.pk).update(state="running")
    row.refresh_from_db()
    for value in (0.05, 0.01):
        command = issue(row, "set", tunable="lr", value=value, asked_by="ada")
        record_outcome(row, 0, 10, {"seq": command.seq, "ok": True, "old_value": 0.1, "new_value": value})
    monkeypatch.setenv("SCALEWEB_RESUME", "step-5.pt")
    run = start()
    lr = run.tunable("lr", 0.1, low=1e-6, high=1.0)
    if held:
        run.applied_seq = 2
    later = issue(row, "set", tunable="lr", value=0.02, asked_by="bob")
    values = []

    def settled():
        run.step({"loss": 0.5})
        values.append(float(lr))
        later.refresh_from_db()
        return later.state == "applied"

    until(settled)
    assert values[-1] == 0.02
    # Only the newest is set again, before what came after it, and not when the checkpoint holds it.
    assert run.applied_seq == 3
    run.finish(timeout=60)
    notes = [event.reason for event in row.events.filter(kind="note")]
    assert [note for note in notes if "set again" in note] == (
        [] if held else ["lr = 0.01 (set by ada) was set again: the checkpoint is older than that change"]
    )
    assert row.commands.count() == 3
    tunable = Tunable.objects.get()
    assert (tunable.value, tunable.changed_by) == (0.02, "bob")


def test_a_script_that_ends_at_once_has_its_run_though_the_site_answers_late(
    live_site, monkeypatch, tmp_path
):
    ada = a_member(a_project(), "ada", "operator")
    token = ApiToken.issue(TokenKind.USER, user=ada)[1]
    asked = []

    def late(*args):
        asked.append(args)
        if len(asked) == 1:
            raise begin.Unreachable("busy")
        return request(*args)

    request = begin.request
    monkeypatch.setattr(begin, "request", late)
    run = scaleweb_sdk.init(
        experiment="short", url=live_site.url, token=token, dir=tmp_path / "spool", capture=False
    )
    run.log({"loss": 0.5}, step=0)
    assert run.finish(timeout=60)
    row = Run.objects.get(experiment__name="short")
    assert (row.state, losses(row), len(asked)) == ("finished", [0], 2)


def test_an_outage_of_the_server_loses_and_doubles_nothing(start, row, live_site):
    run = start()
    run.step({"loss": 0.0})
    until(lambda: losses(row) == [0])
    live_site.stop()
    for _ in range(500):
        run.step({"loss": 0.0})
    live_site.start()
    for _ in range(10):
        run.step({"loss": 0.0})
    assert run.finish(timeout=60)
    assert losses(row) == list(range(511))
    assert Run.objects.get().state == "finished"


def test_what_is_logged_reaches_the_page_that_watches(start, row, live_site):
    headers = live_site.login(a_member(a_project(), "vera", "viewer"))
    run = start()
    until(lambda: Run.objects.get().state == "running")
    with connect(live_site.ws + "/ws/live", additional_headers=headers) as page:
        page.send(json.dumps({"type": "subscribe", "topics": [row.source]}))
        assert json.loads(page.recv(PATIENCE_SECONDS))["topics"] == [row.source]
        until(lambda: run.link.flush_seconds == 0.05)
        run.step({"loss": 0.125})
        while (frame := json.loads(page.recv(PATIENCE_SECONDS)))["type"] != "points" or "loss" not in frame[
            "columns"
        ]:
            pass
    assert frame["columns"]["loss"]["value"] == [0.125]
