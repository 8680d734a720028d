"""Rules over what is really stored: who fires, who resolves, and who is told."""

from datetime import timedelta

import pytest

from alerts.models import Alert, Channel, Delivery, Rule
from alerts.presets import AT_FIRST, make_first_rules
from alerts.rules import changed, remove, restore, watched
from alerts.tasks import forget
from alerts.tick import of_rule, tick
from control.models import Decision
from monitoring.models import Device
from tests.support.domain import a_project, a_run
from training import states
from training.models import Attempt, Job

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]
FIGURE = {"key": "loss", "limit": 2.0}


def firing():
    return sorted(Alert.objects.filter(resolved_at=None).values_list("subject", flat=True))


def test_a_figure_fires_once_and_resolves_when_it_is_well_again(run, log, a_rule, now):
    a_rule("run_figure", parameters=FIGURE)
    log(run, "loss", [(30, 1.0), (20, 5.0), (10, 6.0)])
    tick(now)
    tick(now + timedelta(seconds=15))
    alert = Alert.objects.get()
    assert (alert.run, alert.value, alert.step, alert.resolved_at) == (run, 5.0, 1, None)
    assert alert.message == "loss 5, above 2"
    assert abs((now - alert.started_at).total_seconds() - 20) < 1
    log(run, "loss", [(0, 1.0)], first_step=3)
    tick(now + timedelta(seconds=30))
    alert.refresh_from_db()
    assert alert.resolved_at is not None
    assert not firing()


def test_what_holds_for_less_than_asked_is_not_told(run, log, a_rule, now):
    a_rule("run_figure", parameters=FIGURE, hold_seconds=60)
    log(run, "loss", [(30, 5.0), (0, 5.0)])
    tick(now)
    assert not firing()
    tick(now + timedelta(seconds=31))
    assert firing() == [f"run:{run.code}"]


def test_a_nan_that_came_and_went_between_two_looks_is_told_once(run, log, a_rule, now):
    rule = a_rule("non_finite")
    channel = Channel.objects.create(name="c", kind="webhook", target="https://example.org")
    rule.channels.add(channel)
    Rule.objects.update(looked_until=now - timedelta(seconds=15))
    log(run, "loss", [(12, 1.0), (8, float("nan")), (4, 1.0)])
    for seconds in (0, 15, 30):
        tick(now + timedelta(seconds=seconds))
    alert = Alert.objects.get()
    assert alert.resolved_at is not None
    assert alert.value is None
    assert alert.message == "loss became nan at step 1"
    assert [d.event for d in Delivery.objects.all()] == ["firing"]


def test_what_broke_a_run_just_before_its_end_is_told(run, log, a_rule, now):
    a_rule("non_finite")
    Rule.objects.update(looked_until=now - timedelta(seconds=15))
    log(run, "loss", [(12, 1.0), (8, float("nan"))])
    states.move(run, "failed", "loss is NaN")
    tick(now)
    assert Alert.objects.get().message == "loss became nan at step 1"
    tick(now + timedelta(seconds=15))
    assert not firing()


def test_what_comes_back_soon_is_the_same_alert_and_is_not_told_again(run, log, a_rule, now):
    rule = a_rule("run_figure", parameters=FIGURE, quiet_seconds=300)
    rule.channels.add(Channel.objects.create(name="c", kind="webhook", target="https://example.org"))
    log(run, "loss", [(40, 5.0), (30, 5.0)])
    tick(now - timedelta(seconds=25))
    log(run, "loss", [(20, 1.0)], first_step=2)
    tick(now - timedelta(seconds=15))
    log(run, "loss", [(5, 9.0)], first_step=3)
    tick(now)
    alert = Alert.objects.get()
    assert (alert.times, alert.resolved_at) == (2, None)
    assert sorted(d.event for d in Delivery.objects.all()) == ["firing", "resolved"]


def test_a_failed_run_fires_with_its_reason_until_it_goes_on(run, a_rule, now):
    a_rule("run_state", parameters={"states": ["failed", "lost"]})
    states.move(run, "failed", "CUDA error: device lost\nmore")
    tick(now + timedelta(seconds=1))
    tick(now + timedelta(seconds=16))
    assert Alert.objects.get().message == "failed: CUDA error: device lost"
    states.move(run, "queued", "requeued")
    tick(now + timedelta(seconds=31))
    assert not firing()


def test_runs_that_failed_before_there_was_a_rule_do_not_fire(run, a_rule, now):
    states.move(run, "failed", "old")
    type(run).objects.update(ended_at=now - timedelta(hours=1))
    a_rule("run_state")
    tick(now)
    assert not firing()


def test_a_run_that_hangs_is_stalled_and_one_that_is_paused_is_not(run, log, a_rule, now):
    a_rule("stalled", parameters={"seconds": 60})
    paused = a_run(run.experiment.project, name="paused", state="paused")
    for each in (run, paused):
        log(each, "loss", [(120, 1.0), (110, 1.0)])
    tick(now)
    assert firing() == [f"run:{run.code}"]


def test_a_rule_of_an_experiment_or_a_project_looks_at_its_own_runs_alone(run, log, a_rule, now):
    other = a_run(a_project("speech"), name="other", state="running")
    for each in (run, other):
        log(each, "loss", [(10, 5.0)])
    a_rule("run_figure", parameters=FIGURE)
    tick(now)
    assert firing() == [f"run:{run.code}"]
    assert Alert.objects.get().project == run.experiment.project
    a_rule("run_figure", project=None, parameters=FIGURE)
    tick(now)
    assert set(firing()) == {f"run:{run.code}", f"run:{other.code}"}
    assert {alert.project for alert in Alert.objects.filter(rule__project=None)} == {
        run.experiment.project,
        other.experiment.project,
    }


def test_one_key_by_another_is_a_share(run, log, a_rule, now):
    a_rule("run_figure", parameters={"key": "_data_wait_seconds", "per": "_step_seconds", "limit": 0.3})
    log(run, "_data_wait_seconds", [(20, 0.01), (10, 0.05)])
    log(run, "_step_seconds", [(20, 0.1), (10, 0.1)])
    tick(now)
    assert Alert.objects.get().message == "_data_wait_seconds / _step_seconds 0.5, above 0.3"


def test_a_pattern_looks_at_every_device_of_a_node(node, log, a_rule, now):
    a_rule("node_figure", project=None, parameters={"key": "gpu*/temperature_celsius", "limit": 85})
    log(node, "gpu0/temperature_celsius", [(10, 60.0)])
    log(node, "gpu1/temperature_celsius", [(10, 91.0)])
    tick(now)
    alert = Alert.objects.get()
    assert (alert.subject, alert.label, alert.node) == (
        "node:n1/gpu1/temperature_celsius", "n1 gpu1/temperature_celsius", node
    )  # fmt: skip


def test_a_node_that_is_not_heard_of_fires_until_it_is_back(node, a_rule, now):
    a_rule("node_silent", project=None, parameters={"seconds": 60})
    tick(now)
    assert not firing()
    tick(now + timedelta(seconds=61))
    assert firing() == ["node:n1"]
    node.last_seen_at = now + timedelta(seconds=70)
    node.save()
    tick(now + timedelta(seconds=75))
    assert not firing()


def test_a_device_that_is_held_and_idle_is_named_with_who_holds_it(run, node, log, a_rule, now):
    job = Job.objects.create(run=run, argv=["true"], device_kind="gpu", state="active")
    attempt = Attempt.objects.create(
        job=job, number=1, node=node, lease_expires_at=now, started_at=now - timedelta(hours=1)
    )
    attempt.devices.add(Device.objects.get(kind="gpu", index=0))
    a_rule("idle_device", parameters={"below": 0.05}, hold_seconds=60)
    log(node, "gpu0/utilisation_ratio", [(seconds, 0.01) for seconds in range(120, 0, -10)])
    log(node, "gpu1/utilisation_ratio", [(seconds, 0.01) for seconds in range(120, 0, -10)])
    Rule.objects.update(looked_until=now - timedelta(seconds=15))
    tick(now)
    assert Alert.objects.get().label == f"gpu0 of n1, held by {run.name}"


def test_a_job_that_waits_long_tells_why(run, a_rule, now):
    job = Job.objects.create(run=run, argv=["true"], waiting_reason="all 8 GPUs are held")
    Job.objects.update(submitted_at=now - timedelta(hours=2))
    a_rule("queue_wait", parameters={"seconds": 3600})
    tick(now)
    assert Alert.objects.get().message == "waits for more than 3600 s: all 8 GPUs are held"
    Job.objects.filter(pk=job.pk).update(state="active")
    tick(now + timedelta(seconds=15))
    assert not firing()


def test_a_proposal_fires_while_it_waits_for_a_word(run, a_rule, now):
    decision = Decision.objects.create(
        run=run, policy="divergence", state="proposed", mode="advise", reason="the loss explodes",
        decided_step=10, judge_at_step=20,
    )  # fmt: skip
    a_rule("controller", parameters={"when": "waits"})
    tick(now)
    assert Alert.objects.get().message == "divergence waits for a word: the loss explodes"
    Decision.objects.filter(pk=decision.pk).update(state="rejected")
    tick(now + timedelta(seconds=15))
    assert not firing()


def test_a_rule_that_fails_tells_so_and_keeps_no_other_from_its_look(run, log, a_rule, now):
    broken = a_rule("run_figure", parameters={"key": "loss"}, name="broken")
    a_rule("run_figure", parameters=FIGURE)
    log(run, "loss", [(10, 5.0)])
    assert tick(now) == {"rules": 2, "fired": 1, "resolved": 0, "failed": 1}
    broken.refresh_from_db()
    assert "missing required field `limit`" in broken.problem


def test_a_rule_switched_off_or_muted_tells_nobody(run, log, a_rule, now):
    muted = a_rule("run_figure", parameters=FIGURE, muted_until=now + timedelta(hours=1))
    muted.channels.add(Channel.objects.create(name="c", kind="webhook", target="https://example.org"))
    a_rule("run_figure", parameters=FIGURE, enabled=False)
    log(run, "loss", [(10, 5.0)])
    tick(now)
    assert Alert.objects.count() == 1
    assert not Delivery.objects.exists()


@pytest.fixture
def told(a_rule, run, log, now):
    """A rule over two channels, one of which hears of ends too, and what they were told since it fired."""
    rule = a_rule("run_figure", parameters=FIGURE)
    for name, ends in (("both", True), ("fires", False)):
        target = "https://example.org"
        rule.channels.add(
            Channel.objects.create(name=name, kind="webhook", target=target, tell_resolved=ends)
        )
    log(run, "loss", [(10, 5.0)])
    tick(now)
    rule.refresh_from_db()
    Delivery.objects.all().delete()

    def told():
        rows = Delivery.objects.order_by("id").select_related("channel")
        return [(row.channel.name, row.event, row.body["alerts"][0]["end_reason"]) for row in rows]

    told.rule = rule
    return told


def test_who_was_told_of_an_alert_hears_that_its_rule_was_removed_and_is_back(told, now):
    assert remove(told.rule, now + timedelta(seconds=5))
    assert not remove(told.rule, now + timedelta(seconds=6))
    assert told() == [("both", "resolved", "rule removed")]
    tick(now + timedelta(seconds=15))
    assert not firing()
    assert restore(told.rule, now + timedelta(seconds=16))
    assert not restore(told.rule, now + timedelta(seconds=17))
    assert told() == [("both", "resolved", "rule removed"), ("both", "firing", "")]
    tick(now + timedelta(seconds=30))
    assert len(told()) == 2
    alert = Alert.objects.get()
    assert (alert.resolved_at, alert.end_reason, alert.times) == (None, "", 1)


def test_what_ended_while_its_rule_was_away_is_over_at_the_next_look(told, run, log, now):
    remove(told.rule, now + timedelta(seconds=5))
    log(run, "loss", [(0, 1.0)], first_step=1)
    restore(told.rule, now + timedelta(days=1))
    tick(now + timedelta(days=1, seconds=15))
    assert not firing()
    assert told()[-1] == ("both", "resolved", "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"parameters": FIGURE | {"limit": 9.0}}, "rule changed"), ({"enabled": False}, "rule switched off")],
)
def test_who_was_told_of_an_alert_hears_that_its_rule_was_changed(told, now, change, reason):
    before = watched(told.rule)
    for name, value in change.items():
        setattr(told.rule, name, value)
    told.rule.save()
    changed(told.rule, before, now)
    assert told() == [("both", "resolved", reason)]
    assert not firing()


def test_what_fires_by_a_changed_rule_is_another_alert_and_told(told, now):
    before = watched(told.rule)
    told.rule.parameters = FIGURE | {"limit": 4.0}
    told.rule.save()
    changed(told.rule, before, now + timedelta(seconds=5))
    tick(now + timedelta(seconds=15))
    assert [alert.end_reason for alert in Alert.objects.order_by("id")] == ["rule changed", ""]
    assert ("fires", "firing", "") in told()


def test_a_muted_rule_is_removed_without_a_word(told, now):
    type(told.rule).objects.update(muted_until=now + timedelta(hours=1))
    told.rule.refresh_from_db()
    remove(told.rule, now)
    assert told() == []
    assert not firing()


def test_a_look_that_was_overtaken_by_a_change_fires_nothing(run, log, a_rule, now):
    rule = a_rule("run_figure", parameters=FIGURE, looked_until=now)
    log(run, "loss", [(10, 5.0)])
    as_read = Rule.objects.get()
    remove(rule)
    assert of_rule(as_read, now) == ([], [])
    restore(rule)  # it looks anew, whatever a tick still holds of it
    assert of_rule(as_read, now) == ([], [])
    tick(now)
    assert firing() == [f"run:{run.code}"]


def test_a_removed_rule_is_forgotten_with_the_last_of_its_alerts(told, a_rule, now):
    long_ago = now - timedelta(days=100)
    kept = a_rule("stalled", name="another that was removed")
    remove(kept, now)
    remove(told.rule, long_ago)
    assert forget() == 2
    assert list(Rule.objects.all()) == [kept]
    assert not Alert.objects.exists()


def test_a_new_site_has_its_first_rules_once():
    assert make_first_rules() == len(AT_FIRST)
    assert make_first_rules() == 0
    assert set(Rule.objects.values_list("name", flat=True)) == set(AT_FIRST)
    tick()
    assert not Rule.objects.exclude(problem="").exists()
