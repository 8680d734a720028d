"""What the torch helper declares can be changed from outside, at a step boundary, and is then in force."""

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler, TensorDataset

import scaleweb_sdk.torch
from tests.trainers.small import events, local_run, loss_of, order, outcomes, parts, points, train


def attached(attach_options=None, **made):
    run = local_run()
    model, optimizer, loader = parts(**made)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, **(attach_options or {}))
    return run, loop, optimizer


def at(step, action):
    """A callback for `train` that acts once, while `step` is being computed."""
    return lambda now, _: action() if now == step else None


def test_only_what_the_training_has_is_declared():
    run, _, _ = attached(attach_options={"clip": 1.0}, weight_decay=1e-3)
    assert set(run.tunables) == {
        "lr", "weight_decay", "gradient_clip", "accumulation", "batch_size", "loader_workers", "prefetch",
        "trust_ratio",
    }  # fmt: skip
    run, _, _ = attached()
    assert "gradient_clip" not in run.tunables
    run = local_run()
    model, optimizer, _ = parts()
    scaleweb_sdk.torch.attach(run, model, optimizer)
    assert set(run.tunables) == {"lr", "weight_decay", "accumulation", "trust_ratio"}


@pytest.mark.parametrize(
    ("tunable", "value", "read"),
    [
        ("lr", 0.01, lambda loop: loop.optimizer.param_groups[0]["lr"]),
        ("weight_decay", 0.02, lambda loop: loop.optimizer.param_groups[0]["weight_decay"]),
        ("gradient_clip", 0.25, lambda loop: loop.controls.clip),
        ("accumulation", 3, lambda loop: loop.controls.accumulate),
        ("batch_size", 8, lambda loop: loop.feed.batch_size),
        ("loader_workers", 1, lambda loop: loop.feed.workers),
        ("prefetch", 4, lambda loop: loop.feed.prefetch),
        ("trust_ratio", True, lambda loop: loop.trust.on),
    ],
)
def test_an_order_is_in_force_from_the_next_step_on_and_not_before(tunable, value, read):
    run, loop, _ = attached(attach_options={"clip": 1.0}, weight_decay=1e-3)
    before, seen = read(loop), {}

    def each(step, _):
        if step == 2:
            order(run, "set", tunable, value)
        seen.setdefault(step, read(loop))

    train(loop, 5, each)
    assert [seen[step] for step in range(1, 6)] == [before, before, value, value, value]
    assert run.tunables[tunable].value == value
    assert outcomes(run) == [(1, True, "")]
    (answered,) = events(run, "command")
    assert answered == (2, {"seq": 1, "ok": True, "message": "", "old_value": before, "new_value": value})


def test_a_clipped_gradient_is_as_long_as_the_order_says():
    run, loop, _ = attached(attach_options={"clip": 100.0}, lr=1.0)
    moved = {}

    def each(step, _):
        now = torch.cat([weight.detach().flatten().clone() for weight in loop.model.parameters()])
        moved[step] = now
        if step == 2:
            order(run, "set", "gradient_clip", 0.001)

    train(loop, 4, each)
    # Plain SGD with rate 1 moves by the gradient itself.
    assert (moved[3] - moved[2]).norm() == pytest.approx(0.001, rel=1e-3)
    # What is logged is the length before clipping.
    assert all(norm > 0.001 for _, _, norm in points(run, "grad_norm"))


def test_a_new_batch_size_skips_and_repeats_no_sample():
    run, loop, _ = attached()
    seen, sizes = [], []

    def each(step, batch):
        seen.extend(batch[2].tolist())
        sizes.append(len(batch[2]))
        if step == 3:
            order(run, "set", "batch_size", 100)

    train(loop, 22, each)
    assert sizes[:6] == [32, 32, 32, 100, 100, 100]
    first_epoch = seen[: len(loop.feed.loader.dataset)]
    assert sorted(first_epoch) == list(range(len(loop.feed.loader.dataset)))


def test_more_loader_workers_skip_and_repeat_no_sample():
    run, loop, _ = attached(batch_size=256)
    seen = []

    def each(step, batch):
        seen.extend(batch[2].tolist())
        if step in {2, 4}:
            order(run, "set", "loader_workers", {2: 1, 4: 0}[step])

    train(loop, 8, each)
    assert sorted(seen[: len(loop.feed.loader.dataset)]) == list(range(len(loop.feed.loader.dataset)))


def test_accumulated_micro_batches_step_like_one_large_batch():
    def losses(batch_size, accumulate):
        run = local_run()
        model, optimizer, loader = parts(batch_size=batch_size)
        model[2].p = 0.0  # dropout draws another mask for another shape
        loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, accumulate=accumulate)
        train(loop, 20)
        return [value for _, _, value in points(run, "loss")]

    assert losses(16, 4) == pytest.approx(losses(64, 1), rel=1e-4)


def test_groups_without_weight_decay_stay_without():
    run = local_run()
    model, _, loader = parts()
    weights, biases = [model[0].weight, model[3].weight], [model[0].bias, model[3].bias]
    optimizer = torch.optim.AdamW(
        [
            {"params": weights[:1], "weight_decay": 0.1}, {"params": weights[1:], "weight_decay": 0.05},
            {"params": biases, "weight_decay": 0.0},
        ]
    )  # fmt: skip
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader)
    train(loop, 3, at(1, lambda: order(run, "set", "weight_decay", 0.2)))
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    assert decays == pytest.approx([0.2, 0.1, 0.0])


@pytest.mark.parametrize(
    ("tunable", "value", "words"),
    [
        ("lr", -1.0, "lr=-1.0 is outside 1e-07..10"),
        ("lr", float("nan"), "not finite"),
        ("lr", "fast", "is not a number"),
        ("batch_size", 1.5, "not a whole number"),
        ("batch_size", 0, "outside 1..512"),
        ("dropout", 0.5, "'dropout' is not a tunable of this run; it declared lr"),
    ],
)
def test_an_order_that_cannot_be_is_answered_in_words_and_changes_nothing(tunable, value, words):
    run, loop, _ = attached()
    before = {name: each.value for name, each in run.tunables.items()}
    train(loop, 3, at(1, lambda: order(run, "set", tunable, value)))
    ((_, ok, message),) = outcomes(run)
    assert not ok
    assert words in message
    assert {name: run.tunables[name].value for name in before} == before
    assert loop.step == 3


def test_a_batch_sampler_of_the_users_keeps_its_batches():
    data = TensorDataset(torch.arange(20.0))
    sampler = BatchSampler(SequentialSampler(data), 4, drop_last=False)
    run = local_run()
    model = torch.nn.Linear(1, 1)
    loop = scaleweb_sdk.torch.attach(
        run, model, torch.optim.SGD(model.parameters(), 0.01), DataLoader(data, batch_sampler=sampler)
    )
    assert "batch_size" not in run.tunables
    seen = []
    for _, (values,) in loop.batches(7):
        seen.append(values.tolist())
        loop.backward(model(values[:, None]).pow(2).mean())
    assert seen[:6] == [[float(i) for i in range(s, s + 4)] for s in range(0, 20, 4)] + [[0.0, 1.0, 2.0, 3.0]]


def test_the_time_of_a_step_is_split_and_logged():
    run, loop, _ = attached()
    train(loop, 4)
    rows = {
        key: points(run, key)
        for key in ("_step_seconds", "_data_wait_seconds", "_compute_seconds", "_samples_per_second")
    }
    assert [step for _, step, _ in rows["_step_seconds"]] == [1, 2, 3, 4]
    for (_, _, whole), (_, _, waited), (_, _, computed), (_, _, speed) in zip(*rows.values(), strict=True):
        assert waited >= 0
        assert computed > 0
        assert waited + computed <= whole * 1.001
        assert speed == pytest.approx(32 / whole)


def test_a_pause_waits_at_the_boundary_and_goes_on_with_the_next_batch():
    def batches(paused):
        run, loop, _ = attached()
        seen = []

        def each(step, batch):
            seen.append(batch[2].tolist())
            if paused and step == 3:
                # Both arrive during step 3: the training pauses at its end and is resumed there.
                order(run, "pause")
                order(run, "resume")

        train(loop, 6, each)
        return run, seen, [value for _, _, value in points(run, "loss")]

    run, seen, losses = batches(paused=True)
    _, expected, expected_losses = batches(paused=False)
    assert (seen, losses) == (expected, expected_losses)
    assert [data["state"] for _, data in events(run, "state")] == ["paused", "running"]


def test_a_paused_training_computes_nothing_until_it_is_resumed():
    import threading

    run, loop, _ = attached()
    reached, finished = [], threading.Event()

    def work():
        train(loop, 5, lambda step, _: (reached.append(step), order(run, "pause") if step == 2 else None))
        finished.set()

    thread = threading.Thread(target=work)
    thread.start()
    deadline = threading.Event()
    while not run.desk.paused:
        deadline.wait(0.01)
    assert not finished.wait(0.3)
    assert reached == [1, 2]
    order(run, "resume")
    assert finished.wait(10)
    thread.join()
    assert reached == [1, 2, 3, 4, 5]


def test_a_stop_ends_the_loop_after_the_step_it_came_in():
    run, loop, _ = attached()
    train(loop, 100, at(4, lambda: order(run, "stop")))
    assert loop.step == 4
    assert run.should_stop


def test_a_loop_without_a_helper_driving_it_applies_orders_too():
    run = local_run()
    model, optimizer, loader = parts()
    loop = scaleweb_sdk.torch.attach(run, model, optimizer)
    for batch in loader:
        loop.backward(loss_of(model, batch))
        if loop.step == 2:
            order(run, "set", "lr", 0.05)
        if loop.step == 5:
            break
    assert [rate for _, _, rate in points(run, "lr")] == [0.1, 0.1, 0.1, 0.05, 0.05]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scheduler_every": "week"}, "scheduler_every='week'; expected step, epoch or script"),
        ({"clip": 0}, "clip=0"),
        ({"accumulate": 0}, "accumulate=0"),
        ({"keep": 0}, "keep=0"),
        ({"checkpoint_every": -1}, "checkpoint_every=-1"),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_once(options, words):
    with pytest.raises(ValueError, match=words):
        attached(attach_options=options)


class HomeBound(TensorDataset):
    """A data set that does not work in another process."""

    def __getitem__(self, index):
        if torch.utils.data.get_worker_info() is not None:
            raise OSError("this file was opened in another process")
        return super().__getitem__(index)


class Unpicklable(HomeBound):
    def __reduce__(self):
        raise TypeError("cannot pickle an open file")


@pytest.mark.filterwarnings("ignore:Got pickle error")
@pytest.mark.parametrize(("kind", "context"), [(HomeBound, None), (Unpicklable, "spawn")])
def test_workers_that_do_not_work_give_way_to_what_the_script_had(kind, context):
    run = local_run()
    model, optimizer, loader = parts(batch_size=256)
    mine = DataLoader(kind(*loader.dataset.tensors), batch_size=256, shuffle=True)
    if context:
        # As where processes are not forked by default: what a worker needs has to be sent to it.
        mine.__dict__["_DataLoader__multiprocessing_context"] = torch.multiprocessing.get_context(context)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, mine)
    seen = []

    def each(step, batch):
        seen.extend(batch[2].tolist())
        if step == 2:
            order(run, "set", "loader_workers", 1)

    train(loop, 8, each)
    assert sorted(seen[: len(mine.dataset)]) == list(range(len(mine.dataset)))
    assert run.tunables["loader_workers"].value == loop.feed.workers == 0
    (told,) = [data["reason"] for _, data in events(run, "reflex")]
    assert told.startswith("1 loader workers: ")
    assert told.endswith("; the loader goes on with 0")


def test_what_goes_wrong_in_the_scripts_own_loader_is_the_scripts():
    run = local_run()
    model, optimizer, loader = parts()
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, DataLoader(HomeBound(*loader.dataset.tensors), num_workers=1)
    )
    with pytest.raises(OSError, match="opened in another process"):
        train(loop, 2)
