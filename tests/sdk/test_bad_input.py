"""What a script may do wrong never reaches its training: it is said once, and what was good is kept."""

import math
import time

import numpy as np
import pytest

import scaleweb_sdk
from scaleweb_sdk.spool import Spool, SpoolInUse
from scaleweb_sdk.thinning import numbers, packed
from tests.support.wait import until


@pytest.fixture
def run(tmp_path):
    made = scaleweb_sdk.init(mode="offline", dir=tmp_path, capture=False)
    yield made
    made.finish()


def left_by(run):
    """The run's spool, None while its thread still holds it: `finish` waits no longer than it was told to."""
    try:
        return Spool(run.link.spool.folder)
    except SpoolInUse:
        return None


def kept(run):
    """{key: [(step, value)…]} of everything the run wrote to disk."""
    run.finish()
    found: dict = {}
    for batch in until(lambda: left_by(run)).after(0):
        for column in packed(batch):
            steps, values = numbers("q", column.steps), numbers("d", column.values)
            found.setdefault(column.key, []).extend(zip(steps, values, strict=True))
    return found


@pytest.mark.parametrize(
    "values",
    [
        {"loss": "low"}, {"loss": None}, {"loss": [1, 2]}, {"loss": object()}, {5: 1.0}, {"": 1.0},
        {"k" * 10_000_000: 1.0}, {"a\nb": 1.0}, {"a\0": 1.0}, {"loss": 1j},
    ],
)  # fmt: skip
def test_a_value_or_key_that_cannot_be_kept_is_said_once_and_costs_nothing_else(run, caplog, values):
    for _ in range(3):
        run.log(values | {"good": 1.0}, step=0)
    assert kept(run)["good"] == [(0, 1.0)] * 3
    assert 1 <= len([record for record in caplog.records if record.name.startswith("scaleweb")]) <= 2


@pytest.mark.parametrize("step", [-1, 2**60, 1.5, "3", None, math.nan])
def test_a_step_that_is_none_is_said_and_the_training_goes_on(run, step, caplog):
    run.log({"loss": 1.0}, step=step)
    run.log({"loss": 2.0}, step=7)
    assert (7, 2.0) in kept(run)["loss"]


def test_numbers_of_every_kind_are_kept(run):
    run.log(
        {"int": 3, "bool": True, "np": np.float32(0.5), "array": np.array(2.5), "nan": math.nan, "inf": -math.inf,
         "a/b": 1.0, "__x": 2.0, "größe 🎉": 3.0, "huge": 10**400, "none": {}},
        step=1,
    )  # fmt: skip
    found = kept(run)
    assert found["int"] == [(1, 3.0)]
    assert found["bool"] == [(1, 1.0)]
    assert found["np"] == [(1, 0.5)]
    assert found["array"] == [(1, 2.5)]
    assert math.isnan(found["nan"][0][1])
    assert found["inf"] == [(1, -math.inf)]
    assert found["huge"] == [(1, math.inf)]
    assert {"a/b", "__x", "größe 🎉"} <= found.keys()


def test_config_that_json_cannot_hold_is_made_plain(tmp_path):
    config = {
        "nan": math.nan,
        "path": tmp_path,
        "set": {1},
        "deep": {"a": [np.int64(3)]},
        5: "five",
        "fn": print,
    }
    run = scaleweb_sdk.init(mode="offline", dir=tmp_path, config=config, capture=False)
    run.config["late"] = object()
    run.finish()
    assert Spool(run.link.spool.folder).last_seq >= 1


def test_log_returns_at_once_whatever_the_server_does(tmp_path):
    run = scaleweb_sdk.init(url="http://127.0.0.1:9", token="sw_user_x", dir=tmp_path, capture=False)

    def slowest(turn):
        slow = 0.0
        for step in range(1000 * turn, 1000 * (turn + 1)):
            start = time.perf_counter()
            run.log({"a": 1.0, "b": 2.0}, step=step)
            slow = max(slow, time.perf_counter() - start)
        return slow

    # A wait for the network would be in every turn; a busy machine's scheduler holds up one or another.
    assert min(slowest(turn) for turn in range(5)) < 0.1
    run.finish(timeout=0.1)
    assert len(kept(run)["a"]) == 5000


def test_an_exception_ends_the_run_as_failed_and_is_raised(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        scaleweb_sdk.init(mode="offline", dir=tmp_path, capture=False) as run,
    ):
        run.step({"loss": 1 / 0})
    (folder,) = tmp_path.iterdir()
    events = [event for batch in Spool(folder).after(0) for event in batch.events]
    assert [event.kind for event in events][-2:] == ["error", "finish"]
    assert events[-1].data["state"] == "failed"
    assert "ZeroDivisionError" in events[-2].data["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "lr", "value": 5.0, "low": 0.0, "high": 1.0},
        {"name": "lr", "value": 0.5, "low": 1.0, "high": 0.0},
        {"name": "lr", "value": 0.5, "low": 0.0, "high": 1.0, "scale": "log"},
        {"name": "lr", "value": 0.5, "scale": "cubic"},
        {"name": "opt", "value": "c", "choices": ["a", "b"]},
        {"name": "", "value": 1.0},
        {"name": "lr", "value": [1]},
    ],
)
def test_a_tunable_that_contradicts_itself_is_an_error_where_it_is_declared(run, arguments):
    with pytest.raises(ValueError, match=r"lr|opt|name|value"):
        run.tunable(arguments.pop("name"), arguments.pop("value"), **arguments)


def test_an_unknown_mode_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected online, offline or disabled"):
        scaleweb_sdk.init(mode="on", dir=tmp_path)


def test_disabled_does_nothing_at_all(tmp_path):
    with scaleweb_sdk.init(mode="disabled", dir=tmp_path) as run:
        lr = run.tunable("lr", 0.1)
        run.step({"loss": 1.0})
        assert float(lr) == 0.1
    assert not list(tmp_path.iterdir())
