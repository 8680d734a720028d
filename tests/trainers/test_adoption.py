"""Going on from another run's weights, and moving the end of a training: what changes, and what stays the run's own."""

import pytest
import torch
from torch.optim import lr_scheduler

import scaleweb_sdk.torch
from scaleweb_sdk.torch.checkpoints import load
from tests.trainers.small import events, local_run, order, outcomes, parts, points, same, train, weights


def training(folder, seed=0, **options):
    run = local_run()
    run.code = folder.name
    attach = {key: options.pop(key) for key in ("scheduler_every", "keep") if key in options}
    schedule = options.pop("schedule", False)
    model, optimizer, loader = parts(
        seed=seed, **({"momentum": 0.9} if "optimizer" not in options else {}), **options
    )
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 200) if schedule else None
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, scheduler=scheduler, checkpoint_dir=folder, checkpoint_every=20, **attach
    )  # fmt: skip
    return run, loop


def the_checkpoint(run, step):
    """The order's value for a registered checkpoint, as the site makes it."""
    at, data = next((at, data) for at, data in events(run, "checkpoint") if at == step)
    return {
        "run": run.code,
        "checkpoint": 1,
        "step": at,
        "path": data["path"],
        "sha256": data["sha256"],
        "host": "h",
    }


@pytest.fixture
def other(tmp_path):
    """Another run of 40 steps; its order value."""
    run, loop = training(tmp_path / "other", seed=1, lr=0.05)
    train(loop, 40)
    return the_checkpoint(run, 40)


def at(step, act):
    def each(number, _):
        if number == step:
            act()

    return each


def test_an_adoption_takes_weights_and_memory_and_keeps_step_rate_and_schedule(tmp_path, other):
    run, loop = training(tmp_path / "mine", lr=0.2, schedule=True)
    taken = {}

    def each(number, _):
        if number == 10:
            order(run, "adopt", value=other)
        if number == 11:
            # Step 11's batch is out and its gradients are not yet made: the boundary's work is to be seen.
            taken["weights"] = weights(loop.model)
            taken["memory"] = loop.optimizer.state_dict()["state"][0]["momentum_buffer"].clone()
            taken["rate"] = loop.optimizer.param_groups[0]["lr"]

    train_before(loop, 12, each)
    theirs = load(tmp_path / "other" / other["path"].split("/")[-1])
    assert same(taken["weights"], theirs["parts"]["model"])
    assert torch.equal(taken["memory"], theirs["parts"]["optimizer"]["state"][0]["momentum_buffer"])
    assert outcomes(run) == [(1, True, "")]
    # The rate is its own schedule's at step 10, not theirs of 0.05.
    _, alone = training(tmp_path / "alone", lr=0.2, schedule=True)
    rates = []
    train_before(alone, 12, lambda number, _: rates.append(alone.optimizer.param_groups[0]["lr"]))
    assert taken["rate"] == rates[10]
    assert [data for _, data in events(run, "branch")] == [{"index": 1, "from_step": 10, "reason": "adopt"}]
    assert [(branch, step) for branch, step, _ in points(run, "loss")][9:11] == [(0, 10), (1, 11)]


def train_before(loop, steps, look):
    """Train, with a look at each step before its gradients are made."""
    for step, batch in loop.batches(steps):
        look(step, batch)
        loop.backward(torch.nn.functional.cross_entropy(loop.model(batch[0]), batch[1]))


def test_the_data_and_the_random_numbers_go_on_as_without_an_adoption(tmp_path, other):
    seen = {}
    for name, adopts in (("with", True), ("without", False)):
        run, loop = training(tmp_path / name)
        seen[name] = []

        def each(number, batch, run=run, name=name, adopts=adopts):
            seen[name].append(batch[2].tolist())
            if number == 10 and adopts:
                order(run, "adopt", value=other)

        torch.manual_seed(5)
        train(loop, 30, each)
        seen[name].append(torch.rand(3).tolist())
    assert seen["with"] == seen["without"]


def test_what_was_taken_over_is_saved_at_once_for_a_resumption(tmp_path, other, monkeypatch):
    run, loop = training(tmp_path / "mine")
    train(loop, 12, at(10, lambda: order(run, "adopt", value=other)))
    reasons = [(step, data["reason"]) for step, data in events(run, "checkpoint")]
    assert (10, "took over step 40 of run other") in reasons
    path = next((tmp_path / "mine").glob("step-0000000010-b1.pt"))
    monkeypatch.setenv("SCALEWEB_RESUME", str(path))
    _, again = training(tmp_path / "again")
    assert again.step == 10
    assert same(
        weights(again.model), load(tmp_path / "other" / other["path"].split("/")[-1])["parts"]["model"]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": "/nowhere/step-0000000040-b0.pt"}, "is not shared between the two"),
        ({"sha256": "0" * 64}, "is not the file that was registered"),
        ({"sha256": None}, "is not the file that was registered"),
    ],
    ids=["out of reach", "another file", "no hash"],
)
def test_a_file_that_is_not_the_one_ordered_is_refused_and_nothing_changes(tmp_path, other, change, words):
    refused(tmp_path, other | change, words)


def test_an_order_without_a_hash_is_refused(tmp_path, other):
    refused(tmp_path, {name: other[name] for name in ("run", "step", "path")}, "an adoption names")


def test_another_kind_of_optimiser_is_refused_and_nothing_changes(tmp_path, other):
    refused(tmp_path, other, "another kind of optimiser", optimizer=torch.optim.Adam)


def refused(tmp_path, value, words, **options):
    kept = {}
    for name, adopts in (("mine", True), ("alone", False)):
        run, loop = training(tmp_path / name, **options)
        torch.manual_seed(5)
        train(loop, 20, at(10, lambda run=run, adopts=adopts: adopts and order(run, "adopt", value=value)))
        kept[name] = weights(loop.model)
        if adopts:
            ((_, ok, message),) = outcomes(run)
            assert not ok
            assert words in message
            assert events(run, "branch") == []
    assert same(kept["mine"], kept["alone"])


def test_a_run_that_offers_no_adoption_says_so():
    run = local_run()
    order(run, "adopt", value={"run": "a", "step": 1, "path": "p", "sha256": "s"})
    run.step()
    ((_, ok, message),) = outcomes(run)
    assert not ok
    assert "has not called on_adopt" in message


# -- where a training ends -----------------------------------------------------------------------


def test_the_end_of_a_training_is_a_control(tmp_path):
    run, loop = training(tmp_path / "mine")
    train(loop, 30, at(20, lambda: order(run, "set", "total_steps", 45)))
    assert loop.step == 45
    assert run.tunables["total_steps"].spec.role == "total_steps"
    assert (run.tunables["total_steps"].spec.low, run.tunables["total_steps"].spec.high) == (1, 300)


def test_a_training_ends_at_the_next_boundary_when_its_end_is_moved_before_it(tmp_path):
    run, loop = training(tmp_path / "mine")
    train(loop, 30, at(20, lambda: order(run, "set", "total_steps", 5)))
    assert loop.step == 20
    assert events(run, "checkpoint")[-1][0] == 20


def test_epochs_give_way_to_an_end_that_was_set(tmp_path):
    run, loop = training(tmp_path / "mine")
    for step, batch in loop.batches(max_epochs=1):
        if step == 20:
            assert run.tunables["total_steps"].value == 57
            order(run, "set", "total_steps", 80)
        loop.backward(torch.nn.functional.cross_entropy(loop.model(batch[0]), batch[1]))
    assert loop.step == 80


def test_epochs_end_as_they_did_while_nobody_sets_an_end(tmp_path):
    _, loop = training(tmp_path / "mine")
    for _, batch in loop.batches(max_epochs=2):
        loop.backward(torch.nn.functional.cross_entropy(loop.model(batch[0]), batch[1]))
    assert loop.step == 114


@pytest.mark.parametrize(("asked", "end"), [(30, 45), (60, 60)], ids=["the same script", "another end"])
def test_a_resumed_training_keeps_the_end_that_was_set_unless_the_script_has_another(
    tmp_path, monkeypatch, asked, end
):
    run, loop = training(tmp_path / "mine", keep=9)
    train(loop, 30, at(20, lambda: order(run, "set", "total_steps", 45)))
    monkeypatch.setenv("SCALEWEB_RESUME", str(next((tmp_path / "mine").glob("step-0000000040-*.pt"))))
    _, again = training(tmp_path / "again")
    train(again, asked)
    assert again.step == end


def test_a_stop_ends_the_run_with_its_reason(tmp_path):
    run, loop = training(tmp_path / "mine")
    with run:
        train(loop, 30, at(10, lambda: order(run, "stop")))
    assert loop.step == 10
    (finish,) = [
        data for _, data in [(e.step, e.data) for _, e in run._gathering.events if e.kind == "finish"]
    ]
    assert finish == {"state": "stopped", "reason": "asked by ada"}
