"""What happened to runs, as marks for their charts: each thing once, by the clock of the points."""

from datetime import timedelta

import pytest
from django.utils import timezone

from scaleweb_sdk.protocol import Hello, Order
from scaleweb_sdk.run import Run as Process
from tests.support.domain import a_run_token
from training import commands, events
from training.jobs import submit
from training.link import admission
from training.models import ApiToken, Checkpoint, Command, Run, RunEvent, TokenKind

from .test_runs import fields

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]


def marks_of(client, run, address="runs/{}/marks"):
    return client.ask("GET", address.format(run.code)).json()["results"]


def report(run, process, session="s" * 32, seq=1):
    """What a process of the SDK has to tell reaches the site."""
    told, process._events = [event for _, event in process._events], type(process._events)()
    events.apply(run.pk, events.Sender(session), seq, told)
    run.refresh_from_db()


def test_marks_tell_the_story_of_a_run(operator, run):
    from alerts.models import Alert, Rule

    operator.ask("POST", f"runs/{run.code}/commands", {"verb": "set", "tunable": "lr", "value": 0.01})
    Checkpoint.objects.create(run=run, step=5, path="/c/5")
    RunEvent.objects.create(
        run=run, kind="state", old="running", new="failed", reason="out of memory", step=9
    )
    rule = Rule.objects.create(name="High loss", condition="run_figure", severity="critical")
    now = timezone.now()
    told = {"subject": "s", "label": "l", "message": "loss 9, above 2", "step": 8}
    Alert.objects.create(rule=rule, run=run, started_at=now, fired_at=now, **told)
    marks = operator.ask("GET", f"runs/{run.code}/marks").json()["results"]
    assert [(mark["kind"], mark["step"], mark["tone"]) for mark in marks] == [
        ("command", None, "neutral"), ("checkpoint", 5, "neutral"), ("event", 9, "bad"), ("alert", 8, "bad"),
    ]  # fmt: skip
    assert marks[3]["label"] == "High loss: loss 9, above 2"
    of_several = operator.ask("GET", f"marks?runs={run.code}").json()["results"]
    assert [(mark["kind"], mark["run"]) for mark in of_several] == [
        ("command", run.code),
        ("alert", run.code),
    ]
    assert marks[0]["label"] == "lr → 0.01 (pending), by olga"
    assert marks[2]["label"] == "running → failed out of memory"


def test_charts_of_several_runs_get_what_changed_each_and_nothing_else(operator, run):
    from control.models import Decision

    other = Run.objects.create(experiment=run.experiment, name="other")
    operator.ask("POST", f"runs/{run.code}/commands", {"verb": "checkpoint"})
    Checkpoint.objects.create(run=run, step=5, path="/c/5")
    for which, state in ((run, "blocked"), (other, "applied")):
        Decision.objects.create(
            run=which,
            policy="divergence",
            state=state,
            mode="act",
            decided_step=7,
            judge_at_step=9,
            reason="r",
        )
    marks = operator.ask("GET", f"marks?runs={run.code},{other.code}").json()["results"]
    assert [(mark["run"], mark["kind"], mark["step"]) for mark in marks] == [
        (run.code, "command", None), (other.code, "decision", 7),
    ]  # fmt: skip
    assert "expected 1 to 100 codes" in fields(operator.ask("GET", "marks"))["runs"][0]
    assert "nosuch" in operator.ask("GET", f"marks?runs={run.code},nosuch").json()["detail"]


def test_what_happened_once_has_one_mark(operator, run):
    from control.models import Decision

    process = Process()
    process.tunable("lr", 0.1)

    def take_over(wanted):
        process.branched(process.current_step, "adopt")

    process.on_rollback(lambda wanted: process.branched(wanted["step"], "rollback"))
    process.on_adopt(take_over)
    process.on_checkpoint(lambda: None)
    process.branched(5, "resume")

    def asked(verb, step, value=None, tunable="", by="olga"):
        """A command that the process takes at this step, and answers."""
        seq = Command.objects.filter(run=run).count() + 1
        command = Command.objects.create(
            run=run, seq=seq, verb=verb, tunable=tunable, value=value, asked_by=by, reason=f"why {seq}"
        )
        process.desk.receive([Order(seq, verb, tunable, value, by, command.reason)])
        process.step({}, step)
        return command

    connected = RunEvent.objects.create(
        run=run,
        kind="state",
        old="starting",
        new="running",
        actor="the process",
        reason="process 7 on h connected",
    )
    lower = asked("set", 12, 0.01, "lr", "controller:plateau")
    # Both at one boundary: a run that is paused waits there for the next order.
    process.desk.receive([Order(3, "resume", asked_by="ada", reason="why 3")])
    pause = asked("pause", 15)
    resume = Command.objects.create(run=run, seq=3, verb="resume", asked_by="ada", reason="why 3")
    source = {"run": "abc", "step": 2, "path": "/a/2", "sha256": ""}
    first, adopt = asked("rollback", 20, {"step": 5, "path": "/c/5"}), asked("adopt", 30, source)
    second, stop = asked("rollback", 40, {"step": 5, "path": "/c/5"}), asked("stop", 50)
    process.branched(5, "rollback")  # by itself, which no command tells
    report(run, process)
    decision = Decision.objects.create(
        run=run, policy="plateau", state="applied", mode="act", decided_step=10, judge_at_step=30, reason="r",
        command=lower, more_commands=[first.pk],
    )  # fmt: skip
    for address in ("runs/{}/marks", "marks?runs={}"):
        # At the step at which it took effect, and not where it was thought of.
        told = {(mark["kind"], mark["id"], mark["step"]) for mark in marks_of(operator, run, address)}
        assert ("decision", decision.pk, 12) in told
    resumed, itself = (run.events.filter(kind="branch").order_by("id")[at] for at in (0, 4))
    marks = {(mark["kind"], mark["id"]): mark["label"] for mark in marks_of(operator, run)}
    assert marks == {
        ("event", resumed.pk): "branch resume from step 5 (process 7 on h connected)",
        ("decision", decision.pk): "plateau (applied): r",
        ("command", pause.pk): "pause, by olga: why 2",
        ("command", resume.pk): "resume, by ada: why 3",
        ("command", adopt.pk): f"take over step 2 of abc, by olga: why {adopt.seq}",
        ("command", second.pk): f"roll back to step 5, by olga: why {second.seq}",
        ("command", stop.pk): f"stop, by olga: why {stop.seq}",
        ("event", itself.pk): "branch rollback from step 5",
    }
    assert run.events.filter(pk=connected.pk).exists()  # the list of events keeps them all


def test_a_run_that_connects_again_long_before_it_goes_back_has_a_mark_for_each(operator, run):
    process = Process()
    came = RunEvent.objects.create(
        run=run, kind="state", new="running", actor="the process", reason="p connected"
    )
    RunEvent.objects.filter(pk=came.pk).update(at=timezone.now() - timedelta(hours=1))
    process.branched(5, "resume")
    report(run, process)
    assert [mark["label"] for mark in marks_of(operator, run)] == [
        "running p connected",
        "branch resume from step 5",
    ]


def test_a_process_that_goes_back_by_itself_has_one_mark_which_says_why(operator, run):
    process = Process()
    process.branched(5, "rollback")
    process.reflex("rolled_back", "10 steps in a row were not finite: back to step 5", to_step=5)
    process.branched(8, "rollback")  # a script's own, and a reflex of another kind after it
    process.reflex("non_finite", "loss nan at step 9")
    process.reflex("rolled_back", "a script's own words", to_step=7)
    report(run, process)
    assert [mark["label"] for mark in marks_of(operator, run)] == [
        "reflex rolled_back 10 steps in a row were not finite: back to step 5",
        "branch rollback from step 8",
        "reflex non_finite loss nan at step 9",
        "reflex rolled_back a script's own words",
    ]


def test_the_end_of_a_run_and_the_stop_of_a_job_have_one_mark_each(operator, run, job):
    process = Process()
    process.event("finish", {"state": "finished", "reason": "all epochs"})
    report(run, process)
    (end,) = marks_of(operator, run)
    assert (end["label"], end["tone"]) == ("running → finished all epochs", "good")

    from monitoring.models import Node
    from training.models import Attempt

    type(job).objects.filter(pk=job.pk).update(state="active")
    type(job.run).objects.filter(pk=job.run.pk).update(state="running")
    Attempt.objects.create(
        job=job, number=1, node=Node.objects.create(name="n"), lease_expires_at=timezone.now()
    )
    job.run.refresh_from_db()
    submit.stop(job, "olga", "enough")
    assert job.run.events.get().new == "stopping"
    assert [mark["label"] for mark in marks_of(operator, job.run)] == ["stop, by olga: enough"]


def test_marks_tell_how_far_the_clock_was_that_the_points_have(operator, run):
    """The process's clock is a day ahead; the one that goes on elsewhere has a clock that is right."""
    token = ApiToken.find(a_run_token(run), TokenKind.RUN)
    day = 86_400

    def asked_while_it_is(session, ahead, verb):
        clock = timezone.now().timestamp() + ahead
        admission.enter(
            admission.Identity(token.pk, run.source, run=run.pk),
            Hello(2, session, "1", run.source, clock=clock),
        )
        process = Process()
        process.branch = len(run.branches)
        process.branched(5, "resume")
        report(run, process, session)
        commands.issue(run, verb, asked_by="olga")

    asked_while_it_is("a" * 32, day, "pause")
    asked_while_it_is("b" * 32, 0, "checkpoint")
    asked_while_it_is("c" * 32, -day, "resume")
    wanted = {"pause, by olga": day, "checkpoint, by olga": 0, "resume, by olga": -day}
    for address in ("runs/{}/marks", "marks?runs={}"):
        marks = [mark for mark in marks_of(operator, run, address) if mark["kind"] == "command"]
        # On its way a Hello gets older.
        assert {mark["label"]: mark["clock_ahead_seconds"] for mark in marks} == pytest.approx(wanted, abs=60)
