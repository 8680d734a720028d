"""Rounds over all runs: each made once, by one of those who would."""

import gc
import threading

import pytest
from django.db import connections

from control.loop import collector_at_rest, is_due, take_lease, tick, tick_in_turn
from control.models import Decision, TickLease
from tests.loop.live import LiveRun
from training.models import Command, Run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]


def test_a_tick_repeated_at_the_same_moment_changes_nothing(clock):
    live = LiveRun(clock, 0.0003, 12).live(480)
    before = [(d.pk, d.state, d.verdict) for d in live.decisions], Command.objects.count()
    for _ in range(3):
        tick(clock.now)
    assert ([(d.pk, d.state, d.verdict) for d in live.decisions], Command.objects.count()) == before


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_two_ticks_at_once_decide_once(clock):
    live = LiveRun(clock, 0.0003, 12)
    live.train(160)
    TickLease.objects.create(name="tick", until=clock.now)
    barrier = threading.Barrier(4)
    failures = []

    def race():
        try:
            barrier.wait()
            tick(clock.now)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert Decision.objects.count() == Command.objects.count() == 1


def test_a_lease_whose_holder_died_is_taken_over(clock):
    live = LiveRun(clock, 0.0003, 12)
    live.train(160)
    TickLease.objects.create(name="tick", holder="dead", until=clock.now)
    assert tick(clock.now).skipped
    clock.pass_seconds(61)
    assert tick(clock.now).decided == 1


def test_the_search_for_cycles_goes_on_after_a_tick_that_failed():
    asked = []

    @collector_at_rest()
    def failing():
        asked.append(gc.isenabled())
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        failing()
    assert (asked, gc.isenabled()) == ([False], True)


def test_a_round_over_all_runs_is_due_every_five_seconds_and_to_one_asker_alone(clock):
    asked = []
    for _ in range(11):
        asked.append((is_due(clock.now), is_due(clock.now)))
        clock.pass_seconds(1)
    assert [first for first, _ in asked] == [number % 5 == 0 for number in range(11)]
    assert not any(second for _, second in asked)


def test_a_round_that_found_another_at_work_is_made_by_the_next_beat(clock):
    live = LiveRun(clock, 0.0003, 12)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now, last_step=2000)
    assert take_lease("another", clock.now)
    assert tick_in_turn(clock.now).skipped
    TickLease.objects.filter(name="tick").update(holder="")
    clock.pass_seconds(1)
    assert tick_in_turn(clock.now).runs == 1
    clock.pass_seconds(1)
    assert tick_in_turn(clock.now).runs == 0
