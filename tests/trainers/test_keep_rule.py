"""Which checkpoints stay: the newest, the best by the metric and by the loss, and those that somebody pinned."""

import pytest

import scaleweb_sdk.torch
from scaleweb_sdk import pins
from tests.trainers.small import events, local_run, loss_of, order, outcomes, parts


def training(folder, scores=None, steps=60, each=lambda run, step: None, **options):
    """Steps that log `val`, the score of that step; 50 where none is given."""
    run = local_run()
    model, optimizer, loader = parts()
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, checkpoint_dir=folder, checkpoint_every=5, keep=2, **options
    )
    for step, batch in loop.batches(steps):
        run.log({"val": (scores or {}).get(step, 50.0)}, step=step)
        loop.backward(loss_of(model, batch))
        each(run, step)
    return run, loop


def steps_in(folder):
    return sorted({int(path.name[5:15]) for path in folder.glob("step-*.pt")})


@pytest.mark.parametrize(("direction", "best"), [("max", 20), ("min", 35)])
def test_the_best_by_the_metric_stays_and_a_later_process_knows_of_it(tmp_path, monkeypatch, direction, best):
    scores = {20: 90.0, 35: 10.0}
    training(tmp_path, scores, best="val", best_direction=direction)
    assert best in steps_in(tmp_path)
    assert {0, 55, 60} <= set(steps_in(tmp_path))
    (newest,) = tmp_path.glob("step-0000000060-*.pt")
    monkeypatch.setenv("SCALEWEB_RESUME", str(newest))
    run, _ = training(tmp_path, steps=90, best="val", best_direction=direction)
    assert best in steps_in(tmp_path)
    assert 60 not in steps_in(tmp_path)
    gone = {data["path"] for _, data in events(run, "checkpoint_gone")}
    assert str(newest) in gone
    rules = {
        int(path.split("step-")[1][:10]): held
        for path, held in events(run, "checkpoint")[-1][1]["kept"].items()
    }
    assert (rules[85][0], rules[90][0]) == ("newest", "newest"), "keep=2"
    assert ["loss" in held for held in rules.values()].count(True) == 1
    assert "metric" in rules[best]


def test_the_experiments_goal_names_the_best_where_the_script_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("SCALEWEB_GOAL_METRIC", "val")
    monkeypatch.setenv("SCALEWEB_GOAL_DIRECTION", "max")
    training(tmp_path, {15: 99.0})
    assert 15 in steps_in(tmp_path)


def test_a_pinned_checkpoint_stays_until_it_is_let_go(tmp_path):
    def each(run, step):
        path = next(tmp_path.glob("step-0000000010-*.pt"), None)
        if step == 12:
            order(run, "pin", value={"path": str(path), "pinned": True})
        if step == 30:
            assert path is not None, "the rule alone would have removed it"
            order(run, "pin", value={"path": str(path), "pinned": False})
        if step == 40:
            order(run, "pin", value={"path": str(path or tmp_path / "step-0000000010-b0.pt"), "pinned": True})
            order(run, "pin", value={"path": "/etc/hostname", "pinned": True})

    run, _ = training(tmp_path, steps=45, each=each)
    assert [ok for _, ok, _ in outcomes(run)] == [True, True, False, False]
    assert "removed before it could be pinned" in outcomes(run)[2][2]
    assert "not in this training's folder" in outcomes(run)[3][2]
    assert 10 not in steps_in(tmp_path)
    assert list(tmp_path.glob("*.pinned")) == []


def test_one_that_was_asked_for_by_name_can_be_let_go_too(tmp_path):
    path = tmp_path / "step-0000000003-b0-kept.pt"
    path.touch()
    assert pins.is_pinned(path)
    pins.pin(path, False)
    assert not pins.is_pinned(path)
    pins.pin(path, True)
    assert pins.is_pinned(path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
