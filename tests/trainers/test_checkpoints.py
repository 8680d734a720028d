"""Checkpoints are whole or absent, and what is restored from them goes on as if nothing had happened."""

import hashlib

import pytest
import torch
from torch.optim import lr_scheduler

import scaleweb_sdk.torch
from scaleweb_sdk.torch import BrokenCheckpoint
from scaleweb_sdk.torch.checkpoints import CheckpointFolder, load
from tests.trainers.small import events, local_run, order, outcomes, parts, points, same, train, weights

STEPS = 90  # over an epoch's end at 57: the order of the second epoch must come out the same too


def training(folder, every=20, schedule=True, **options):
    run = local_run()
    made = {key: options.pop(key) for key in ("batch_size", "workers") if key in options}
    model, optimizer, loader = parts(momentum=0.9, **made)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 200) if schedule else None
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader,
        scheduler=scheduler, checkpoint_dir=folder, checkpoint_every=every, **options,
    )  # fmt: skip
    return run, loop


def losses(run, branch=None):
    return {step: value for on, step, value in points(run, "loss") if branch is None or on == branch}


def only(folder, step):
    (path,) = folder.glob(f"step-{step:010d}-*.pt")
    return path


# -- resumption ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 3}, {"workers": 1}], ids=["plain", "accumulated", "workers"]
)
@pytest.mark.parametrize("at", [20, 60], ids=["first epoch", "second epoch"])
def test_a_resumed_training_repeats_the_losses_bit_by_bit(tmp_path, monkeypatch, at, options):
    steps = 30 if "accumulate" in options else STEPS
    at = at // 2 if "accumulate" in options else at
    whole_run, whole = training(tmp_path, every=10, keep=20, **options)
    train(whole, steps)
    torch.rand(17)  # another process has drawn other numbers
    monkeypatch.setenv("SCALEWEB_RESUME", str(only(tmp_path, at)))
    run, loop = training(tmp_path / "second", every=10, **options)
    assert loop.step == at
    train(loop, steps)
    assert losses(run) == {step: loss for step, loss in losses(whole_run).items() if step > at}
    assert same(weights(loop.model), weights(whole.model))


def test_a_resumed_training_brings_back_what_was_set(tmp_path, monkeypatch):
    first, loop = training(tmp_path)
    dropout = first.tunable("dropout", 0.1, low=0.0, high=0.9)
    train(
        loop, 40,
        lambda step, _: (order(first, "set", "lr", 0.03), order(first, "set", "dropout", 0.4),
                         order(first, "set", "batch_size", 64)) if step == 5 else None,
    )  # fmt: skip
    assert dropout.value == 0.4
    monkeypatch.setenv("SCALEWEB_RESUME", str(only(tmp_path, 40)))
    run = local_run()
    again = run.tunable("dropout", 0.1, low=0.0, high=0.9)
    model, optimizer, loader = parts(momentum=0.9)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 200)
    resumed = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, scheduler=scheduler, checkpoint_dir=tmp_path
    )
    assert (again.value, resumed.rates.value, resumed.feed.batch_size) == (0.4, 0.03, 64)
    assert run.applied_seq == 3
    # The server sends again what it does not know as applied; this process has applied it, and says so.
    order(run, "set", "lr", 9.0, seq=3)
    train(resumed, 42)
    assert run.tunables["lr"].value == 0.03
    assert outcomes(run) == [(3, True, "applied before the restart, as the checkpoint says")]


def test_a_fork_takes_its_own_first_order_for_new_whatever_numbers_its_parent_came_to(tmp_path, monkeypatch):
    first, loop = training(tmp_path)
    first.code = "parent"
    train(loop, 20, lambda step, _: order(first, "set", "lr", 0.03) if step == 5 else None)
    assert first.applied_seq == 1
    monkeypatch.setenv("SCALEWEB_RESUME", str(only(tmp_path, 20)))
    run = local_run()
    run.code = "child"
    model, optimizer, loader = parts(momentum=0.9)
    fork = scaleweb_sdk.torch.attach(run, model, optimizer, loader, checkpoint_dir=tmp_path / "child")
    assert (fork.step, run.applied_seq) == (20, 0)
    order(run, "set", "lr", 0.2, seq=1)
    train(fork, 22)
    assert run.tunables["lr"].value == 0.2


def test_a_resumed_run_counts_its_branch_on(tmp_path, monkeypatch):
    _, loop = training(tmp_path)
    train(loop, 20)
    monkeypatch.setenv("SCALEWEB_RESUME", str(only(tmp_path, 20)))
    run, _ = training(tmp_path)
    assert events(run, "branch") == [(20, {"index": 1, "from_step": 20, "reason": "resume"})]


# -- roll back -----------------------------------------------------------------------------------


def test_a_roll_back_restores_weights_optimiser_and_schedule(tmp_path):
    run, loop = training(tmp_path)
    seen = {}

    def each(step, _):
        if step == 21 and "at 20" not in seen:
            state = torch.load(only(tmp_path, 20), weights_only=True)["parts"]
            seen["at 20"] = state
        if step == 45 and "back" not in seen:
            seen["back"] = True
            order(run, "rollback", value={"path": str(only(tmp_path, 20)), "step": 20, "checkpoint": 1})
            order(run, "stop")

    train(loop, STEPS, each)
    assert outcomes(run) == [(1, True, ""), (2, True, "")]
    assert loop.step == 20
    assert same(weights(loop.model), seen["at 20"]["model"])
    saved = seen["at 20"]["optimizer"]
    now = loop.optimizer.state_dict()
    assert now["param_groups"] == saved["param_groups"]
    for number, buffers in saved["state"].items():
        assert torch.equal(now["state"][number]["momentum_buffer"], buffers["momentum_buffer"])
    assert loop.scheduler.state_dict() == seen["at 20"]["scheduler"]
    assert events(run, "branch") == [(20, {"index": 1, "from_step": 20, "reason": "rollback"})]


def test_the_same_roll_back_twice_gives_the_same_losses_after_it(tmp_path):
    def once(folder):
        run, loop = training(folder)
        done = []

        def each(step, _):
            if step == 45 and not done:
                done.append(step)
                order(run, "rollback", value={"path": str(only(folder, 20)), "step": 20})

        train(loop, 60, each)
        return losses(run, branch=1)

    first, second = once(tmp_path / "a"), once(tmp_path / "b")
    assert list(first) == list(range(21, 61))
    assert first == second


def test_a_roll_back_keeps_what_was_ordered_since(tmp_path):
    run, loop = training(tmp_path, schedule=False)
    done = []

    def each(step, _):
        if step == 30 and not done:
            done.append(step)
            order(run, "set", "lr", 0.02)
            order(run, "rollback", value={"path": str(only(tmp_path, 20)), "step": 20})

    train(loop, 40, each)
    rates = [(branch, step, rate) for branch, step, rate in points(run, "lr") if branch == 1]
    assert rates == [(1, step, 0.02) for step in range(21, 41)]


def test_after_a_roll_back_the_data_goes_on_and_is_not_repeated(tmp_path):
    run, loop = training(tmp_path)
    seen, done = [], []

    def each(step, batch):
        seen.extend(batch[2].tolist())
        if step == 30 and not done:
            done.append(step)
            order(run, "rollback", value={"path": str(only(tmp_path, 20)), "step": 20})

    train(loop, 40, each)
    assert len(seen) == len(set(seen)) == 50 * 32


@pytest.mark.parametrize("damage", ["gone", "cut short", "other model", "no checkpoint"])
def test_a_roll_back_to_a_broken_file_is_refused_and_changes_nothing(tmp_path, damage):
    alone, undisturbed = training(tmp_path / "other")
    train(undisturbed, 40)
    run, loop = training(tmp_path / "mine")  # afterwards: both draw from torch's one generator
    done = []

    def each(step, _):
        if step != 30 or done:
            return
        done.append(step)
        path = only(tmp_path / "mine", 20)
        if damage == "gone":
            path.unlink()
        elif damage == "cut short":
            path.write_bytes(path.read_bytes()[:1000])
        elif damage == "other model":
            with torch.random.fork_rng():
                other = torch.nn.Linear(3, 3)
            optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
            saver = scaleweb_sdk.torch.attach(
                local_run(), other, optimizer, scheduler=lr_scheduler.ConstantLR(optimizer),
                checkpoint_dir=tmp_path / "strange",
            )  # fmt: skip
            path = saver.checkpoint()
        order(run, "rollback", value=None if damage == "no checkpoint" else {"path": str(path), "step": 20})

    train(loop, 40, each)
    ((_, ok, message),) = outcomes(run)
    assert not ok
    expected = {
        "gone": "there is no such file", "cut short": "was cut short or changed: its SHA-256",
        "other model": "is of another model", "no checkpoint": "names a checkpoint with its path",
    }  # fmt: skip
    assert expected[damage] in message
    assert losses(run) == losses(alone)


# -- broken files --------------------------------------------------------------------------------


@pytest.mark.parametrize("hash_too", [True, False], ids=["with its hash", "without a hash"])
def test_a_file_cut_short_is_refused_in_words_and_the_older_one_used(tmp_path, monkeypatch, capsys, hash_too):
    _, loop = training(tmp_path)
    train(loop, 60)
    newest = only(tmp_path, 60)
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    if not hash_too:
        newest.with_name(newest.name + ".sha256").unlink()
    monkeypatch.setenv("SCALEWEB_RESUME", str(newest))
    run, resumed = training(tmp_path)
    assert resumed.step == 40
    ((_, data),) = events(run, "reflex")
    assert data["name"] == "resume_refused"
    assert newest.name in data["reason"]
    assert ("cut short" if hash_too else "torch cannot load it") in data["reason"]
    assert "cannot resume from" in capsys.readouterr().err


def test_without_any_whole_checkpoint_the_training_starts_anew_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("SCALEWEB_RESUME", str(tmp_path / "step-0000000040-b0.pt"))
    run, loop = training(tmp_path)
    assert loop.step == 0
    reasons = [data["reason"] for _, data in events(run, "reflex")]
    assert "there is no such file" in reasons[0]
    assert "starts at step 0" in reasons[1]


def test_a_file_that_would_run_code_is_not_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    path = tmp_path / "step-0000000001-b0.pt"
    torch.save({"format": "scaleweb-checkpoint-1", "model": Evil()}, path)
    with pytest.raises(BrokenCheckpoint, match="torch cannot load it"):
        load(path)
    assert not (tmp_path / "owned").exists()


def test_a_file_of_another_program_is_named_as_such(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(BrokenCheckpoint, match="written by another program"):
        load(path)


# -- the folder ----------------------------------------------------------------------------------


def test_a_checkpoint_is_announced_with_size_hash_and_figures(tmp_path):
    run, loop = training(tmp_path)
    train(loop, 20)
    at_20 = next(data for step, data in events(run, "checkpoint") if step == 20)
    path = only(tmp_path, 20)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert at_20["path"] == str(path)
    assert (at_20["size_bytes"], at_20["sha256"]) == (path.stat().st_size, digest)
    assert path.with_name(path.name + ".sha256").read_text() == f"{digest}  {path.name}\n"
    assert at_20["metrics"]["loss"] == losses(run)[20]
    assert at_20["reason"] == "periodic"
    assert not list(tmp_path.glob("*part"))


def test_a_crash_while_writing_leaves_the_old_files_and_no_half_of_a_new_one(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path)
    folder.save({"weight": torch.zeros(3)}, 1, 0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def dies(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("scaleweb_sdk.torch.checkpoints.os.fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        folder.save({"weight": torch.ones(3)}, 1, 0)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_disk_that_takes_nothing_is_reported_and_training_goes_on(tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    run, loop = training(tmp_path / "taken" / "checkpoints")
    train(loop, 45)
    assert loop.step == 45
    reasons = [data["reason"] for _, data in events(run, "reflex")]
    assert len(reasons) == 4  # start, 20, 40, end
    assert all("no checkpoint at step" in reason and "training goes on" in reason for reason in reasons)


def test_the_newest_the_first_and_those_asked_for_stay(tmp_path):
    run, loop = training(tmp_path, every=5, keep=2)
    train(loop, 30, lambda step, _: order(run, "checkpoint") if step == 7 else None)
    steps = sorted(int(path.name[5:15]) for path in tmp_path.glob("*.pt"))
    best = set(steps) - {0, 7, 25, 30}
    assert len(best) <= 1
    assert len(list(tmp_path.glob("*.sha256"))) == len(steps)
    gone = [data["path"] for _, data in events(run, "checkpoint_gone")]
    assert {int(path.rpartition("step-")[2][:10]) for path in gone} == {5, 10, 15, 20} - best


def test_the_best_one_stays_however_long_a_training_is_broken(tmp_path):
    run, loop = training(tmp_path, every=5, keep=2, schedule=False)
    train(loop, 80, lambda step, _: order(run, "set", tunable="lr", value=5.0) if step == 30 else None)
    steps = {int(path.name[5:15]) for path in tmp_path.glob("*.pt")}
    # By its running mean, so that one lucky batch does not make a checkpoint the best.
    assert max(step for step in steps if step <= 60) in (25, 30)


def test_after_a_roll_back_the_new_branchs_files_are_the_newest(tmp_path):
    run, loop = training(tmp_path, every=5, keep=2)
    done = []

    def each(step, _):
        if step == 29 and not done:
            done.append(step)
            first = tmp_path / "step-0000000000-b0-kept.pt"
            order(run, "rollback", value={"path": str(first), "step": 0})

    train(loop, 30, each)
    names = {path.name for path in tmp_path.glob("*.pt")}
    kept = {"step-0000000000-b0-kept.pt", "step-0000000025-b1.pt", "step-0000000030-b1.pt"}
    assert names >= kept
    assert len(names) <= 4  # and the best, where it is another


def test_without_a_folder_checkpoints_and_roll_backs_are_refused_in_words():
    run = local_run()
    model, optimizer, loader = parts()
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader)
    train(loop, 3, lambda step, _: (order(run, "checkpoint"), order(run, "rollback")) if step == 1 else None)
    messages = [message for _, ok, message in outcomes(run) if not ok]
    assert len(messages) == 2
    assert "offers no checkpoints" in messages[0]
    assert "cannot roll back" in messages[1]
