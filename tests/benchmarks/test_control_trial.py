"""A trial of the controller's benchmark goes by its own work, whatever else the machine does."""

import time

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
