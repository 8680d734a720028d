"""Every Python block of the guide for users runs as it stands, and offers what the guide says."""

import os
import re
from pathlib import Path

import pytest

import scaleweb_sdk
from scaleweb_sdk.protocol import Order
from scaleweb_sdk.run import Run

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "steering.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
NAMES = [re.search(r'experiment="([^"]+)"', block).group(1) for block in BLOCKS]


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Run a block by its experiment's name, with orders that wait for it: (run, the block's names)."""
    for name in list(os.environ):
        if name.startswith("SCALEWEB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SCALEWEB_CHECKPOINT_DIR", str(tmp_path / "checkpoints"))
    monkeypatch.chdir(tmp_path)

    def execute(name, *orders):
        runs = []

        def init(**_):
            run = Run()  # without a link: what it would send stays with it
            run.receive([Order(number, *order) for number, order in enumerate(orders, 1)])
            runs.append(run)
            return run

        with monkeypatch.context() as patch:
            patch.setattr(scaleweb_sdk, "init", init)
            names = {"__name__": "__main__"}
            exec(compile(BLOCKS[NAMES.index(name)], f"{GUIDE.name}: {name}", "exec"), names)
        return runs[0], names

    return execute


def answers(run):
    return [
        (event.data["ok"], event.data["message"])
        for _, event in run._gathering.events
        if event.kind == "command"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_each_block_runs_to_its_end(ran, name):
    run, _ = ran(name)
    assert run.finished


def test_the_plain_loop_is_steered(ran):
    run, names = ran("plain loop", ("set", "lr", 0.5), ("set", "noisy", True), ("set", "loss_kind", "cube"))
    assert names["lr"].value == 0.5
    assert names["noisy"].value is True
    assert answers(run) == [
        (True, ""), (True, ""), (False, "loss_kind='cube' is not one of 'square', 'absolute'")
    ]  # fmt: skip


def test_the_button_is_pressed(ran, capsys):
    run, _ = ran("buttons", ("action", "say hello"))
    assert capsys.readouterr().out == "hello from 0\n"
    assert answers(run) == [(True, "")]


def test_the_torch_loop_offers_what_the_table_says(ran):
    run, names = ran("torch", ("set", "lr", 1e-4))
    row = next(line for line in GUIDE.read_text().splitlines() if line.startswith("| controls |"))
    assert set(re.findall(r"`(\w+)`", row)) == set(run.tunables)
    assert names["scheduler"].base_lrs == [1e-4]
    assert names["loop"].step == 100


def test_own_checkpoints_resume_and_roll_back(ran, monkeypatch, tmp_path):
    path = tmp_path / "checkpoints" / "10.json"
    ran("own checkpoints")
    monkeypatch.setenv("SCALEWEB_RESUME", str(path))
    run, names = ran("own checkpoints", ("checkpoint",), ("rollback", "", {"path": str(path), "step": 10}))
    assert answers(run) == [(True, ""), (True, "")]
    assert names["state"]["step"] == 20
    assert names["state"]["weight"] == pytest.approx(2.0)
    branches = [event.data["reason"] for _, event in run._gathering.events if event.kind == "branch"]
    assert branches == ["resume", "rollback"]
