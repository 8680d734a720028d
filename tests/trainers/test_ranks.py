"""Two ranks serve every order at one step, go on from one checkpoint, and never half of anything is done."""

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
