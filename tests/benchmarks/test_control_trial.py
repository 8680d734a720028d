"""A trial of the controller's benchmark goes by its own work, whatever else the machine does."""

import time

import numpy as np
import pytest

from benchmarks.control.many import Setting, curves
from benchmarks.control.single import steered
from benchmarks.control.trial import Trial, run, timed_by
from scaleweb_sdk import clock


def test_the_time_that_other_work_takes_does_not_count():
    with timed_by(time.process_time):
        began = clock.seconds()
        time.sleep(0.2)
        assert clock.seconds() - began < 0.1
    assert clock.seconds is not time.process_time


def test_memory_that_ran_out_leaves_the_batch_that_was_chosen():
    outcome = run(Trial("regression", 1000, 0.0949, 320, "control", "out_of_memory"))
    assert outcome.reflexes == {"out_of_memory": 1}
    assert outcome.effective_batch == outcome.decided_batch == outcome.began_with_batch == 64, outcome.told


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_one_net_of_the_grid_by_itself_learns_what_it_learnt_among_the_others(momentum):
    setting, other = Setting(0.03, momentum, 1e-4), Setting(1.0, 0.5, 1e-4)
    steps, losses = curves([other, setting], 1000, 60, 6)
    alone = steered(setting, 1000, 60, 6, "fixed")
    assert [step for step, _ in alone.curve] == steps.tolist()
    np.testing.assert_allclose([loss for _, loss in alone.curve], losses[1], rtol=1e-4)


def test_a_training_that_is_led_ends_lower_than_left_alone_and_settles_before_its_end():
    setting = Setting(0.003, 0.9, 1e-4)
    alone, led = steered(setting, 1001, 600, 6, "fixed"), steered(setting, 1001, 600, 6)
    assert led.curve[-1][1] < 0.7 * alone.curve[-1][1], led.told
    assert led.steps == 600
    assert any("of 600 steps left" in each for each in led.told), led.told
