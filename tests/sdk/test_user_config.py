"""Configuration, settings and actions of any kind that a script declares."""

from argparse import Namespace
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import scaleweb_sdk
from scaleweb_sdk.run import Run
from tests.sdk.kept import Colour, Raising, offline, read


@dataclass
class Settings:
    lr: float = 0.1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (Namespace(lr=0.1), {"lr": 0.1}), (Settings(), {"lr": 0.1}), ({"n": 2**70}, {"n": "1.18059e+21"}),
        ({"name": "\udcff.txt"}, {"name": "?.txt"}), ({"text": "x" * 20_000}, {"text": "x" * 10_000}),
        ({"odd": Raising(ValueError("x"))}, {"odd": "<Raising: ValueError>"}), ({"c": Colour.RED}, {"c": 3}),
        ({"huge": 10**5000}, {"huge": "huge"}),
    ],
)  # fmt: skip
def test_a_configuration_of_any_kind_is_kept(tmp_path, given, kept):
    offline(tmp_path, config=given).finish()
    (event,) = (event for event in read(tmp_path)[1] if event.kind == "config")
    assert event.data["config"] == kept


def test_a_configuration_that_is_none_is_said(tmp_path, caplog):
    offline(tmp_path, config="lr=1").finish()
    assert "was not kept" in caplog.text


def test_the_configuration_tells_of_each_change_and_loads_as_a_plain_map(tmp_path):
    run = offline(tmp_path, config={"a": 1})
    run.config |= {"b": 2}
    assert run.config.setdefault("c", 3) == 3
    torch.save({"config": run.config}, tmp_path / "x.pt")
    assert torch.load(tmp_path / "x.pt", weights_only=True)["config"] == {"a": 1, "b": 2, "c": 3}
    (tmp_path / "x.pt").unlink()
    run.finish()
    told = {}
    for event in read(tmp_path)[1]:
        told |= event.data.get("config", {})
    assert told == {"a": 1, "b": 2, "c": 3}


def test_a_tunable_declared_again_keeps_what_was_set(tmp_path):
    run = offline(tmp_path)
    lr = run.tunable("lr", 0.1, low=0.0, high=1.0)
    lr.value = 0.5
    assert run.tunable("lr", 0.1, low=0.0, high=1.0) is lr
    assert float(run.tunable("lr", 0.2, low=0.0, high=1.0)) == 0.2, "another declaration is another tunable"
    assert float(run.tunable("wd", np.float32(0.25), low=np.int64(0), high=1)) == 0.25
    with pytest.raises(ValueError, match="neither text, number nor bool"):
        run.tunable("dtype", torch.float16, choices=[torch.float16])
    with pytest.raises(ValueError, match="is not a number"):
        run.tunable("x", 0.1, low="0")
    run.finish()


@pytest.mark.parametrize("result", [Raising(ValueError("x")), "\ud800", 10**400, [object()] * 3, {1: {2: 3}}])
def test_an_action_may_return_anything(tmp_path, result):
    run = offline(tmp_path)
    run.action("look")(lambda: result)
    run.receive([scaleweb_sdk.protocol.Order(1, "action", "look")])
    run.step()
    run.finish()
    (event,) = (event for event in read(tmp_path)[1] if event.kind == "command")
    assert event.data["ok"]


def test_what_an_action_raises_is_the_answer_and_training_goes_on(tmp_path):
    run = offline(tmp_path)
    for name, error in (("a", ZeroDivisionError("no")), ("b", Raising), ("c", KeyError())):

        def act(error=error):
            raise error if isinstance(error, Exception) else ExceptionGroup("both", [ValueError("x")])

        run.action(name)(act)
    run.receive([scaleweb_sdk.protocol.Order(seq + 1, "action", name) for seq, name in enumerate("abc")])
    run.step({"loss": 1.0})
    run.finish()
    answers = [event.data for event in read(tmp_path)[1] if event.kind == "command"]
    assert [answer["ok"] for answer in answers] == [False] * 3
    assert answers[0]["message"] == "no"
    assert answers[2]["message"] == "KeyError"


def test_facts_about_a_setting_are_reported_when_they_are_news():
    run = Run()
    size = run.tunable("batch_size", 64, about={"ranks": 2})
    size.tell(failed=128)
    size.tell(failed=128)
    size.tell(failed=None)
    told = [event.data["about"] for _, event in run._events if event.kind == "tunable"]
    assert told == [{"ranks": 2}, {"ranks": 2, "failed": 128}, {"ranks": 2}]
    assert run.tunable("batch_size", 64, about={"ranks": 2}) is size
