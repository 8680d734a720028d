"""Two ranks serve every order at one step, go on from one checkpoint, and never half of anything is done."""

import importlib.util

import pytest

from tests.trainers.gang import gang

ORDERS = """
run, loop = made(folder=os.environ["FOLDER"])
applied = []
run.tunable("mine", 1.0, on_change=lambda value: applied.append((run.current_step, value)))
picky = run.tunable("picky", 1.0, on_change=lambda value: (_ for _ in ()).throw(ValueError("no")) if rank else None)
loop.offer_algorithms(lambda model: {"val/accuracy": 1.0}, torch.randn(8, 64))
for step, batch in loop.batches(200):
    loop.backward(loss_of(loop.model, batch))
    if rank == 0:
        if step == 5:
            order(run, "set", "mine", 2.0)
        if step == 8:
            order(run, "set", "picky", 3.0)
        if step == 10:
            order(run, "pause"); order(run, "set", "mine", 4.0); order(run, "resume")
        if step == 14:
            order(run, "prune", value={"amount": 0.5})
        if step == 20:
            order(run, "compile", value={"backend": "eager"})
        if step == 30:
            order(run, "checkpoint")
    elif step == 5:
        order(run, "set", "mine", 2.0)  # the same order, by the link of its own: served once
    if step == 40 and rank == 1:
        run.desk.stop("SIGTERM")
zeros = sum(int((p == 0).sum()) for p in loop.model.parameters())
told(applied=applied, outcomes=outcomes(run), stopped=loop.step, why=run.desk.stop_reason, picky=picky.value,
     weights=weights_of(loop), zeros=zeros, compiled=loop.keeper.compiled, saved=[s.step for s in loop.keeper.saved],
     registered=[step for step, _ in events(run, "checkpoint")], pace=len(points(run, f"_apart_seconds/rank{rank}")),
     losses=len(points(run, "loss")))
"""


def test_two_ranks_serve_every_order_at_one_step(tmp_path):
    first, second = gang(ORDERS, tmp_path, FOLDER=str(tmp_path / "checkpoints"))
    assert first["applied"] == second["applied"]
    assert [value for _, value in first["applied"]] == [2.0, 4.0]
    fates = [ok for _, ok, _ in first["outcomes"]]
    assert (
        fates == [ok for _, ok, _ in second["outcomes"]] == [True, False, True, True, True, True, True, True]
    )
    # One rank cannot, so neither does, and the first one hears why.
    assert "rank 1: no" in first["outcomes"][1][2]
    assert first["picky"] == second["picky"] == 1.0
    # A signal to one of them stops both, at one step, with the same weights.
    assert first["stopped"] == second["stopped"] >= 41
    assert second["why"] == "SIGTERM"
    assert "another of its processes" in first["why"]
    assert first["weights"] == second["weights"]
    assert first["zeros"] == second["zeros"] > 500
    assert first["compiled"] == second["compiled"] == {"mode": "default", "backend": "eager"}
    assert first["saved"] == second["saved"] == first["registered"]
    assert (second["registered"], second["losses"]) == ([], 0), "the first rank speaks for the run"
    assert first["pace"] == second["pace"] == first["losses"]


OFFERED = """
import hashlib
from pathlib import Path
other, theirs = made(seed=1, folder=os.environ["FOLDER"] + "-other", every=10)
theirs.controls.change("lr", 0.05)
for _, batch in theirs.batches(20):
    theirs.backward(loss_of(theirs.model, batch))
run, loop = made(folder=os.environ["FOLDER"])
loop.offer_algorithms(lambda model: {"val/accuracy": 1.0}, torch.randn(8, 64))
path = next(str(each.path) for each in theirs.keeper.saved if each.step == 20)
with open(path, "rb") as file:
    wanted = {"run": "other", "checkpoint": 1, "step": 20, "path": path, "host": "h",
              "sha256": hashlib.sha256(file.read()).hexdigest()}
taken = []
take_over = run.desk.take_over
def watched(value):
    take_over(value)
    taken.append((loop.step, weights_of(loop) == weights_of(theirs), loop.rates.now))
run.desk.take_over = watched
for step, batch in loop.batches(40):
    loop.backward(loss_of(loop.model, batch))
    if rank == 0 and step == 5:
        order(run, "adopt", value=wanted | {"sha256": "0" * 64})
    if rank == 0 and step == 10:
        order(run, "adopt", value=wanted)
    if rank == 0 and step == 20:
        order(run, "quantise", value={})
told(outcomes=outcomes(run), taken=taken, steps=loop.step, weights=weights_of(loop),
     exported=[each.name for each in Path(os.environ["FOLDER"]).glob("quantised-*.pt")],
     lr=loop.rates.now)
"""


@pytest.mark.skipif(importlib.util.find_spec("torchao") is None, reason="torchao is not installed")
def test_two_ranks_take_over_another_runs_weights_and_one_writes_the_quantised_copy(tmp_path):
    first, second = gang(OFFERED, tmp_path, FOLDER=str(tmp_path / "checkpoints"))
    fates = [ok for _, ok, _ in first["outcomes"]]
    assert fates == [ok for _, ok, _ in second["outcomes"]] == [False, True, True], first["outcomes"]
    assert "SHA-256" in first["outcomes"][0][2]
    # Their weights under a rate of its own, at one step on both.
    assert first["taken"] == second["taken"]
    ((step, same, rate),) = first["taken"]
    assert (same, rate) == (True, 0.1)
    assert 10 <= step <= 13
    assert first["steps"] == second["steps"] == 40
    assert first["weights"] == second["weights"]
    assert len(first["exported"]) == 1
