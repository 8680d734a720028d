"""Runs in their first steps are looked at between two rounds."""

from datetime import timedelta

import pytest

from control.loop import tick, tick_starts, tick_starts_until_the_next_beat
from monitoring.live import publish
from monitoring.live.channels import WATCH_KEY
from tests.loop.live import LiveRun
from training.models import Run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]


def test_a_quick_start_is_looked_at_between_two_rounds_and_rescued_by_that(clock):
    """Of steps of 10 ms, 500 are done between two rounds over all runs: the search would never begin."""
    live = LiveRun(clock, 0.0003, 12)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now)
    for _ in range(4):
        live.train(100)
        assert tick_starts(clock.now).runs == 1
    assert live.training.lr >= 0.0027
    assert {d.policy for d in live.decisions} == {"learning_rate"}


def test_without_it_a_first_look_after_500_steps_finds_the_search_over(clock):
    live = LiveRun(clock, 0.0003, 12).live(500, every=500)
    assert live.decisions == []


@pytest.mark.parametrize(
    ("change", "mode"),
    [
        ({"last_step": 1000}, "act"),
        ({"started_at": None}, "act"),
        ({"state": "paused"}, "act"),
        ({"state": "finished"}, "act"),
        ({}, "off"),
    ],
    ids=["past its first steps", "never started", "paused", "over", "not steered"],
)
def test_only_steered_runs_in_their_first_steps_are_looked_at_more_often(clock, change, mode):
    live = LiveRun(clock, 0.0003, 12, mode=mode)
    Run.objects.filter(pk=live.run.pk).update(**{"started_at": clock.now, "last_step": 10} | change)
    assert tick_starts(clock.now).runs == 0


def test_who_sets_out_quickly_is_looked_at_between_two_beats_and_flushes_as_for_a_viewer(clock, broker):
    live = LiveRun(clock, 0.0003, 12)
    live.train(100)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now - timedelta(seconds=1))
    source = f"run:{live.run.code}"
    assert publish.client().get(WATCH_KEY + source) is None
    assert tick_starts_until_the_next_beat() >= 2
    assert publish.client().ttl(WATCH_KEY + source) > 0
    assert [d.policy for d in live.decisions] == ["learning_rate"]
    Run.objects.filter(pk=live.run.pk).update(last_step=1000)
    assert tick_starts_until_the_next_beat() == 0


def test_a_start_of_slow_steps_is_looked_at_each_second_and_no_more_often(clock, broker):
    live = LiveRun(clock, 0.0003, 12)
    live.train(100)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now - timedelta(seconds=10))
    assert tick_starts_until_the_next_beat() == 0
    assert tick_starts(clock.now).runs == 1


def test_a_run_that_began_long_ago_is_looked_at_in_the_ordinary_rounds(clock):
    live = LiveRun(clock, 0.0003, 12)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now, last_step=10)
    assert tick_starts(clock.now).runs == 1
    clock.pass_seconds(301)
    assert tick_starts(clock.now).runs == 0
    assert tick(clock.now).runs == 1
