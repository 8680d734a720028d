"""What a training does by itself: skip what is not finite, go back when that does not end, shrink when memory ends."""

import math

import pytest
import torch

import scaleweb_sdk.torch
from scaleweb_sdk.protocol import Order
from tests.trainers.small import (
    events,
    local_run,
    loss_of,
    order,
    outcomes,
    parts,
    points,
    same,
    weights,
)


class OutOfMemory(RuntimeError):
    """What an accelerator raises, on a machine without one."""


def training(tmp_path=None, every=5, **options):
    run = local_run()
    made = {key: options.pop(key) for key in ("batch_size", "lr") if key in options}
    model, optimizer, loader = parts(momentum=0.9, **made)
    model[2].p = 0.0
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, checkpoint_dir=tmp_path, checkpoint_every=every, **options
    )
    return run, loop


def reflexes(run):
    return [(data["name"], step) for step, data in events(run, "reflex")]


def poisoned(loop, steps, bad, how):
    """Train; `how(loss)` stands in for the loss of each step that `bad(step, times seen)` names."""
    times = {}
    for step, batch in loop.batches(steps):
        times[step] = times.get(step, 0) + 1
        loss = loss_of(loop.model, batch)
        loop.backward(how(loss) if bad(step, times[step]) else loss)


def not_a_number(loss):
    return loss * math.nan


def infinite(loss):
    return loss / 0.0


def infinite_gradient(loss):
    """A finite loss whose gradient is infinite: sqrt at 0."""
    return loss + (loss * 0).sqrt()


@pytest.mark.parametrize("how", [not_a_number, infinite, infinite_gradient])
def test_a_step_that_is_not_finite_is_skipped_counted_and_reported(how):
    run, loop = training()
    before = {}

    def bad(step, _):
        if step == 4:
            before["weights"] = weights(loop.model)
        if step == 5:
            assert same(weights(loop.model), before["weights"])
        return step == 4

    poisoned(loop, 8, bad, how)
    assert loop.step == 8
    assert loop.skipped == 1
    ((_, data),) = events(run, "reflex")
    assert data["skipped"] == 1
    assert "at step 4: the optimiser's step was skipped" in data["reason"]
    assert all(torch.isfinite(value).all() for value in weights(loop.model).values())


def test_the_value_that_was_not_finite_is_logged_as_it_came():
    run, loop = training()
    poisoned(
        loop,
        6,
        lambda step, _: step in {2, 4},
        lambda loss: infinite(loss) if loop.step == 1 else not_a_number(loss),
    )
    shown = {step: value for _, step, value in points(run, "loss")}
    assert shown[2] == math.inf
    assert math.isnan(shown[4])
    assert all(math.isfinite(shown[step]) for step in (1, 3, 5, 6))


def test_one_bad_micro_batch_spoils_its_step_alone():
    run, loop = training(accumulate=3)
    batches = 0
    for _, batch in loop.batches(4):
        batches += 1
        loss = loss_of(loop.model, batch)
        loop.backward(not_a_number(loss) if batches == 5 else loss)
    assert (loop.step, loop.skipped, batches) == (4, 1, 12)
    assert math.isnan({step: v for _, step, v in points(run, "loss")}[2])


def test_several_in_a_row_roll_back_to_a_checkpoint_before_them(tmp_path):
    run, loop = training(tmp_path, non_finite_limit=3)
    poisoned(loop, 20, lambda step, times: 12 <= step <= 14 and times == 1, not_a_number)
    assert loop.step == 20
    assert [name for name, _ in reflexes(run)] == ["non_finite", "rolled_back"]
    back = events(run, "reflex")[1][1]
    assert (back["to_step"], back["skipped"]) == (10, 3)
    assert events(run, "branch") == [(10, {"index": 1, "from_step": 10, "reason": "rollback"})]
    second = [step for branch, step, _ in points(run, "loss") if branch == 1]
    assert second == list(range(11, 21))


def test_a_checkpoint_that_does_not_help_is_not_gone_back_to_twice(tmp_path):
    run, loop = training(tmp_path, non_finite_limit=2)
    # Step 11 stays bad until the training has gone back before step 10.
    poisoned(loop, 20, lambda step, times: 11 <= step <= 12 and times <= 2, not_a_number)
    assert [data["to_step"] for _, data in events(run, "reflex") if data["name"] == "rolled_back"] == [10, 5]
    assert loop.step == 20


def test_when_nothing_helps_it_says_so_and_does_not_go_round_for_ever(tmp_path):
    run, loop = training(tmp_path, non_finite_limit=2)
    seen = 0
    for _, batch in loop.batches(30):
        seen += 1
        loop.backward(not_a_number(loss_of(loop.model, batch)))
        if seen > 200:
            break
    names = [name for name, _ in reflexes(run)]
    assert "no_way_back" in names
    assert seen <= 200
    assert names.count("rolled_back") <= 2


def test_without_checkpoints_bad_steps_are_skipped_and_told_once():
    run, loop = training(non_finite_limit=2)
    poisoned(loop, 30, lambda step, _: step > 5, not_a_number)
    assert loop.skipped == 25
    assert [name for name, _ in reflexes(run)] == ["non_finite", "no_way_back"]


def test_no_checkpoint_is_saved_of_a_state_that_is_not_finite(tmp_path):
    run, loop = training(tmp_path, every=5, non_finite_limit=50)
    poisoned(loop, 12, lambda step, _: step >= 5, not_a_number)
    steps = [step for step, data in events(run, "checkpoint") if data["reason"] == "periodic"]
    assert steps == []


# -- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "sizes"), [(64, [(32, 2), (16, 4)]), (9, [(3, 3), (1, 9)])])
def test_out_of_memory_makes_smaller_batches_of_the_same_effective_size(size, sizes):
    run, loop = training(batch_size=size)
    loop.out_of_memory_errors += (OutOfMemory,)
    fits = sizes[-1][0]
    effective, seen = {}, []
    for step, batch in loop.batches(6):
        with loop.guard():
            if step >= 3 and len(batch[0]) > fits:
                raise OutOfMemory("out of memory")
            loop.backward(loss_of(loop.model, batch))
            effective[step] = effective.get(step, 0) + len(batch[0])
            seen.extend(batch[2].tolist())
    assert loop.step == 6
    assert [(data["batch_size"], data["accumulation"]) for _, data in events(run, "reflex")] == sizes
    assert set(effective.values()) == {size}
    assert len(seen) == len(set(seen)) == 6 * size
    assert (run.tunables["batch_size"].value, run.tunables["accumulation"].value) == sizes[-1]


def test_out_of_memory_in_the_backward_pass_needs_no_guard(monkeypatch):
    run, loop = training(batch_size=64)
    loop.out_of_memory_errors += (OutOfMemory,)

    class Heavy(torch.autograd.Function):
        @staticmethod
        def forward(context, value, rows):
            context.rows = rows
            return value.clone()

        @staticmethod
        def backward(context, gradient):
            if context.rows > 32:
                raise OutOfMemory("out of memory")
            return gradient, None

    rows = []
    for _, batch in loop.batches(3):
        done = loop.backward(Heavy.apply(loss_of(loop.model, batch), len(batch[0])))
        rows.append((len(batch[0]), done))
    assert rows == [(64, False), *[(32, False), (32, True)] * 3]
    assert [name for name, _ in reflexes(run)] == ["out_of_memory"]


def test_the_losses_are_those_of_the_large_batches():
    def losses(limit):
        run, loop = training(batch_size=64)
        loop.out_of_memory_errors += (OutOfMemory,)
        for _, batch in loop.batches(10):
            with loop.guard():
                if len(batch[0]) > limit:
                    raise OutOfMemory("out of memory")
                loop.backward(loss_of(loop.model, batch))
        return [value for _, _, value in points(run, "loss")]

    assert losses(16) == pytest.approx(losses(64), rel=1e-4)


def test_a_single_sample_that_does_not_fit_is_the_users_error():
    _, loop = training(batch_size=1)
    loop.out_of_memory_errors += (OutOfMemory,)

    def run_out():
        for _ in loop.batches(3):
            with loop.guard():
                raise OutOfMemory("out of memory")

    with pytest.raises(OutOfMemory):
        run_out()


def test_other_errors_pass_through_the_guard():
    _, loop = training()
    next(iter(loop.batches(3)))
    with pytest.raises(KeyError), loop.guard():
        raise KeyError("mine")


def test_what_a_person_orders_after_a_shrink_holds():
    run, loop = training(batch_size=64)
    loop.out_of_memory_errors += (OutOfMemory,)
    sizes = []
    for step, batch in loop.batches(5):
        with loop.guard():
            if step == 2 and len(batch[0]) > 32:
                raise OutOfMemory("out of memory")
            sizes.append(len(batch[0]))
            if loop.backward(loss_of(loop.model, batch)) and step == 3:
                order(run, "set", "batch_size", 48)
    # 64 at step 1; two of 32 at steps 2 and 3; then as ordered, two of them still.
    assert sizes == [64, *[32] * 4, *[48] * 4]
    assert run.tunables["batch_size"].value == 48


def test_a_change_that_was_decided_before_memory_ran_out_is_refused_as_a_whole():
    """It was on its way: twice the batch for a rate that goes with it would be four times the batch by now."""
    run, loop = training(batch_size=64)
    loop.out_of_memory_errors += (OutOfMemory,)
    sizes = []
    for step, batch in loop.batches(5):
        with loop.guard():
            if step == 2 and len(batch[0]) > 32:
                wanted = (("lr", 0.2, None), ("batch_size", 128, 64))
                run.receive(
                    [
                        Order(seq, "set", name, value, "controller:p", group="g", group_of=2, expects=expects)
                        for seq, (name, value, expects) in enumerate(wanted, 1)
                    ]
                )
                raise OutOfMemory("out of memory")
            sizes.append(len(batch[0]))
            loop.backward(loss_of(loop.model, batch))
    assert sizes == [64, *[32] * 8]
    assert (run.tunables["lr"].value, loop.rates.now) == (0.1, 0.1)
    ((_, first, why), (_, second, _)) = outcomes(run)
    assert (first, second) == (False, False)
    assert (
        why
        == "refused as a whole: batch_size: batch_size is 32 by now and not the 64 that this was decided on"
    )
