"""What a checkpoint tells of the settings: each value, and since which step of the present branch it was in force."""

from scaleweb_sdk.protocol import EventKind, Order
from scaleweb_sdk.run import Run


def told(run):
    """The settings of the newest checkpoint."""
    run.checkpointed("/c/1", metrics={}, size_bytes=1, sha256="ab")
    events = [event for parcel in run.fill() for event in parcel.events]
    (*_, newest) = [event for event in events if event.kind == EventKind.CHECKPOINT]
    return {name: (each["value"], each["since"]) for name, each in newest.data["settings"].items()}


def train(run, steps):
    for _ in range(steps):
        run.step({"loss": 1.0})


def test_a_checkpoint_tells_each_setting_and_since_when_it_was_in_force():
    run = Run()
    lr = run.tunable("lr", 0.05, low=0.0, high=10.0)
    train(run, 20)
    assert told(run) == {"lr": (0.05, 0)}
    run.receive([Order(1, "set", "lr", 2.0, "ada")])
    train(run, 1)
    at = run.current_step
    train(run, 10)
    assert told(run) == {"lr": (2.0, lr.since)}
    assert at - 1 <= lr.since <= at
    lr.value = 2.0  # said again, it is in force as long
    assert told(run)["lr"][1] <= at
    lr.value = 3.0
    assert told(run) == {"lr": (3.0, run.current_step)}


def test_after_a_roll_back_a_setting_holds_from_where_the_training_went_on():
    run = Run()
    lr = run.tunable("lr", 0.05, low=0.0, high=10.0)
    train(run, 20)
    lr.value = 1.0
    train(run, 5)
    run.branched(10)
    assert told(run) == {"lr": (1.0, 10)}


def test_a_value_that_the_script_refused_was_never_in_force():
    def refuse(value):
        raise ValueError("not now")

    run = Run()
    run.tunable("lr", 0.05, low=0.0, high=10.0, on_change=refuse)
    train(run, 20)
    run.receive([Order(1, "set", "lr", 2.0, "ada")])
    train(run, 5)
    assert told(run) == {"lr": (0.05, 0)}
