"""What a script logs, of whatever type and in whatever amount: the SDK neither stops a training nor holds it up."""

import math
import threading
from collections import OrderedDict
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import numpy as np
import pytest
import torch

from scaleweb_sdk.run import Run
from scaleweb_sdk.spool import Spool
from tests.sdk.kept import Colour, Raising, offline, read


class Key(StrEnum):
    LOSS = "loss"


class Proxy:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)  # pytest looks at it, too
        raise KeyError(name)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Decimal("0.5"), 0.5), (Fraction(1, 4), 0.25), (np.float64(2.5), 2.5), (np.int64(3), 3.0),
        (np.bool_(True), 1.0), (np.array([7.0]), 7.0), (Colour.RED, 3.0), (True, 1.0), (-(10**400), -math.inf),
        (torch.tensor(1.5), 1.5), (torch.tensor([[2.0]]), 2.0), (torch.tensor(3, dtype=torch.int8), 3.0),
        (torch.tensor(1.5, dtype=torch.bfloat16), 1.5), (torch.tensor(0.5, requires_grad=True) * 2, 1.0),
        (torch.tensor(True), 1.0), (torch.tensor(math.nan), math.nan),
    ],
)  # fmt: skip
def test_a_number_of_any_library_is_a_number(tmp_path, value, kept):
    run = offline(tmp_path)
    run.log({"x": value}, step=1)
    run.finish()
    ((step, found),) = read(tmp_path)[0]["x"]
    assert step == 1
    assert found == kept or (math.isnan(found) and math.isnan(kept))


@pytest.mark.parametrize(
    "value",
    [
        None, "0.5", b"1", 1j, np.complex64(1), [1.0], np.zeros(3), torch.zeros(3), torch.empty(0), object(), Proxy(),
        torch.empty(1, device="meta"), torch.tensor(1j), Raising(ZeroDivisionError("x")), Raising(KeyError("x")),
    ],
)  # fmt: skip
def test_what_is_no_number_costs_itself_alone(tmp_path, value, caplog):
    run = offline(tmp_path)
    for step in range(3):
        run.log({"bad": value, "nested": {"bad": value, "good": 2.0}, "good": 1.0}, step=step)
    run.finish()
    points, events, _ = read(tmp_path)
    assert points["good"] == [(0, 1.0), (1, 1.0), (2, 1.0)]
    assert points["nested/good"] == [(0, 2.0), (1, 2.0), (2, 2.0)]
    assert "bad" not in points
    assert [event.kind for event in events] == ["note", "finish"]
    assert "was not logged" in events[0].data["message"]


def test_what_changes_after_the_call_is_kept_as_it_was(tmp_path):
    run = offline(tmp_path)
    loss, nested, step = torch.tensor(1.0), {"a": 1.0}, torch.tensor(5)
    run.log({"loss": loss, "n": nested}, step=step)
    loss += 1
    nested["a"] = 2.0
    nested["b"] = 3.0
    step += 1
    run.finish()
    assert read(tmp_path)[0] == {"loss": [(5, 1.0)], "n/a": [(5, 1.0)]}


@pytest.mark.parametrize("step", [7, np.int64(7), torch.tensor(7), 7.0, np.float32(7)])
def test_a_step_of_any_library_is_a_step(tmp_path, step):
    run = offline(tmp_path)
    run.step({"loss": 1.0}, step=step)
    assert run.current_step == 7
    run.finish()
    assert read(tmp_path)[0]["loss"] == [(7, 1.0)]


def test_maps_and_keys_of_every_kind(tmp_path):
    run = offline(tmp_path)
    run.log(OrderedDict({Key.LOSS: 1.0, "family 👨‍👩‍👧": 2.0, "tab\t": 3.0, "half \ud800": 4.0}), step=0)
    for wrong in (None, 5, [("loss", 1.0)], "loss", Raising(ValueError("x"))):
        run.log(wrong, step=1)
    run.finish()
    assert read(tmp_path)[0].keys() == {"loss", "family 👨‍👩‍👧"}


def test_a_hundred_thousand_keys_leave_those_that_fit(tmp_path):
    run = offline(tmp_path)
    for start in range(0, 100_000, 1000):
        run.log({f"key {number}": 1.0 for number in range(start, start + 1000)} | {"loss": 1.0}, step=start)
    run.finish()
    points, events, _ = read(tmp_path)
    assert len(points["loss"]) == 100
    assert 10_000 < len(points) < 20_000
    assert any("different keys" in event.data.get("message", "") for event in events)


def test_threads_may_log_at_once(tmp_path):
    run = offline(tmp_path)

    def work(number):
        for step in range(2000):
            run.log({f"worker {number}": float(step)}, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    points = read(tmp_path)[0]
    for number in range(4):
        assert points[f"worker {number}"] == [(step, float(step)) for step in range(2000)]


def test_a_flood_is_cut_into_frames_that_the_server_takes(tmp_path):
    run = offline(tmp_path, config={"big": ["x" * 9000] * 500})
    for step in range(150_000):
        run.log({"loss": 1.0, "other": 2.0}, step=step)
    run.finish()
    (folder,) = tmp_path.iterdir()
    sizes = [len(body) for _, body in Spool(folder).bodies_after(0)]
    assert max(sizes) < 2 * 2**20
    points, events, _ = read(tmp_path)
    assert len(points["loss"]) == 150_000
    assert any("was left out" in event.data.get("message", "") for event in events)


def test_memory_is_bounded_when_the_links_thread_gets_no_turn(monkeypatch, tmp_path):
    monkeypatch.setattr("scaleweb_sdk.gathering.MOST_RECORDS", 5_000)
    monkeypatch.setattr("scaleweb_sdk.run.CROWDED", 1_000)
    run = offline(tmp_path)
    turn = threading.Event()
    monkeypatch.setattr(run.link, "fill", lambda: turn.wait(20) and run.fill())
    run.link.flush()
    for step in range(50_000):
        run.log({"loss": float(step)}, step=step)
        assert len(run._records) <= 5_001
    turn.set()
    run.finish()
    points, events, _ = read(tmp_path)
    assert points["loss"][-1] == (49_999, 49_999.0)
    assert any("faster than" in event.data.get("message", "") for event in events)


def test_a_further_ranks_step_time_shares_a_call_with_what_it_logs():
    run = Run("", rank=1, world_size=2)
    for number in range(3):
        run.step({"loss": float(number)})
    run.step()
    logged = [(step, [key for key, _ in items]) for _, (step, _, items) in run._records]
    time = "_step_seconds/rank1"
    assert logged == [(0, ["loss"]), (1, ["loss", time]), (2, ["loss", time]), (3, [time])]
