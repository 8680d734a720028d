"""Prune, quantise and compile a running training: measured first, refused beyond the bound, kept by a resumption."""

import math

import pytest
import torch
import torch._inductor.config
from torch.nn import functional as F

import scaleweb_sdk.torch
from scaleweb_sdk.torch.algorithm import compiled, load_quantised, measure
from tests.trainers.small import (
    DIGITS,
    events,
    local_run,
    order,
    outcomes,
    parts,
    points,
    same,
    train,
    weights,
)

IMAGES = torch.tensor(DIGITS.data[::5], dtype=torch.float32) / 16
LABELS = torch.tensor(DIGITS.target[::5])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few repeats: what is asked here is not how fast it is."""
    monkeypatch.setattr(measure, "SECONDS", 0.0)
    monkeypatch.setattr(measure, "LEAST_REPEATS", 2)
    monkeypatch.setattr(measure, "WARM_UP", 1)


def evaluate(model):
    logits = model(IMAGES)
    return {
        "val/accuracy": (logits.argmax(1) == LABELS).float().mean(),
        "val/loss": F.cross_entropy(logits, LABELS),
    }


def offering(folder, every=20, bound=0.05, keep=(), **options):
    run = local_run()
    model, optimizer, loader = parts(momentum=0.9)
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, checkpoint_dir=folder, checkpoint_every=every
    )
    loop.offer_algorithms(evaluate, IMAGES[:64], bound=bound, keep=keep, **options)
    return run, loop


def at(step, run, *orders):
    """Give these orders once that step is reached."""
    left = list(orders)

    def each(now, _):
        while now == step and left:
            verb, value = left.pop(0)
            order(run, verb, value=value)

    return each


def told(run):
    return [data for _, data in events(run, "algorithm")]


def zeros(model):
    return {name: int((value == 0).sum()) for name, value in model.named_parameters()}


# -- prune ---------------------------------------------------------------------------------------


def test_pruned_weights_stay_zero_through_momentum_and_the_rest_trains_on(tmp_path):
    run, loop = offering(tmp_path)
    train(loop, 300, at(150, run, ("prune", {"amount": 0.5})))
    assert outcomes(run) == [(1, True, "")]
    total = sum(value.numel() for name, value in loop.model.named_parameters() if name.endswith("weight"))
    assert sum(int(mask.sum()) for mask in loop.masks.pruned.values()) == total // 2
    found = zeros(loop.model)
    assert found["0.weight"] + found["3.weight"] >= total // 2
    assert evaluate(loop.model)["val/accuracy"] > 0.85
    (record,) = told(run)
    assert record["outcome"] == "switched"
    table = record["table"]
    assert (table["verb"], table["step"], table["within"]) == ("prune", 150, True)
    assert table["value"] == {"amount": 0.5, "structured": False}
    before, after = table["before"], table["after"]
    assert before["size_bytes"] == after["size_bytes"]
    assert after["packed_bytes"] < 0.6 * before["packed_bytes"]
    assert after["nonzero_ratio"] == pytest.approx(0.5, abs=0.02)
    assert before["latency_seconds"] > 0
    assert before["metrics"].keys() == {"val/accuracy", "val/loss"}


def test_structured_pruning_silences_whole_channels_and_leaves_the_output_alone(tmp_path):
    run, loop = offering(tmp_path, bound=1.0)
    train(loop, 60, at(40, run, ("prune", {"amount": 0.25, "structured": True})))
    assert outcomes(run) == [(1, True, "")]
    assert loop.masks.pruned.keys() == {"0.weight", "0.bias"}
    silent = (loop.model[0].weight == 0).all(1)
    assert int(silent.sum()) == 8
    assert bool((loop.model[0].bias[silent] == 0).all())


def test_pruning_again_prunes_more_and_never_lets_a_weight_grow_back(tmp_path):
    run, loop = offering(tmp_path, bound=1.0)
    seen = []

    def each(step, batch):
        if step in (20, 40, 60):
            order(run, "prune", value={"amount": {20: 0.3, 40: 0.6, 60: 0.2}[step]})
        seen.append({name: mask.clone() for name, mask in loop.masks.pruned.items()})

    train(loop, 80, each)
    assert [ok for _, ok, _ in outcomes(run)] == [True, True, False]
    assert "prunes nothing more" in outcomes(run)[2][2]
    first, second = seen[30], seen[70]
    assert all(bool((second[name] | ~first[name]).all()) for name in first)
    counts = [sum(int(mask.sum()) for mask in masks.values()) for masks in (first, second)]
    assert counts == [round(0.3 * 2368), round(0.6 * 2368)]


def test_a_layer_that_is_to_be_kept_is_kept(tmp_path):
    run, loop = offering(tmp_path, bound=1.0, keep=("3",))
    train(loop, 30, at(20, run, ("prune", {"amount": 0.5})))
    assert loop.masks.pruned.keys() == {"0.weight"}


def test_beyond_the_bound_it_is_refused_with_the_table_and_nothing_changes(tmp_path):
    run, loop = offering(tmp_path)
    train(loop, 200, at(150, run, ("prune", {"amount": 0.98})))
    ((_, ok, message),) = outcomes(run)
    assert not ok
    assert "beyond the bound of 0.05" in message
    assert "size " in message
    assert "latency " in message
    (record,) = told(run)
    assert record["outcome"] == "refused"
    assert not record["table"]["within"]
    assert record["table"]["worse"] > 0.05
    assert not loop.masks.pruned
    _, untouched = offering(tmp_path / "other")
    train(untouched, 200)
    assert same(weights(loop.model), weights(untouched.model))


@pytest.mark.parametrize(
    ("verb", "value"),
    [("prune", {"amount": 0.5, "dry": True}), ("compile", {"backend": "aot_eager", "dry": True})],
)
def test_a_dry_measurement_gives_the_table_and_leaves_the_training_as_it_was_bit_for_bit(
    tmp_path, verb, value
):
    run, loop = offering(tmp_path)
    train(loop, 90, at(40, run, (verb, value)))
    ((_, ok, _),) = outcomes(run)
    assert ok
    (record,) = told(run)
    assert record["outcome"] == "measured"
    (answer,) = [data for _, data in events(run, "command")]
    assert answer["new_value"]["table"] == record["table"]
    plain_run = local_run()
    model, optimizer, loader = parts(momentum=0.9)
    plain = scaleweb_sdk.torch.attach(plain_run, model, optimizer, loader, checkpoint_dir=tmp_path / "b")
    train(plain, 90)
    assert points(run, "loss") == points(plain_run, "loss")
    assert same(weights(loop.model), weights(plain.model))


def test_a_resumed_run_holds_its_masks_and_repeats_the_losses_bit_by_bit(tmp_path, monkeypatch):
    whole_run, whole = offering(tmp_path, bound=1.0)
    train(whole, 90, at(30, whole_run, ("prune", {"amount": 0.6})))
    (path,) = tmp_path.glob("step-0000000040-*.pt")
    torch.rand(17)
    monkeypatch.setenv("SCALEWEB_RESUME", str(path))
    # A script that offers nothing any more, too, holds what was pruned.
    run = local_run()
    model, optimizer, loader = parts(momentum=0.9)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, checkpoint_dir=tmp_path / "second")
    assert loop.masks.pruned.keys() == whole.masks.pruned.keys()
    train(loop, 90)
    assert [p for p in points(whole_run, "loss") if p[1] > 40] == [
        (0, s, v) for _, s, v in points(run, "loss")
    ]
    assert same(weights(loop.model), weights(whole.model))


def test_a_roll_back_to_before_the_pruning_undoes_it(tmp_path):
    run, loop = offering(tmp_path, bound=1.0)
    seen = {}

    def each(step, _):
        if step == 30 and "asked" not in seen:
            seen["asked"] = True
            order(run, "prune", value={"amount": 0.6})
        if step == 45 and "back" not in seen:
            (path,) = tmp_path.glob("step-0000000030-*-kept.pt")
            seen["back"] = torch.load(path, weights_only=True)["parts"]["model"]
            order(run, "rollback", value={"path": str(path), "step": 30})
            order(run, "stop")

    train(loop, 90, each)
    assert [ok for _, ok, _ in outcomes(run)] == [True, True, True]
    assert loop.step == 30
    assert loop.masks.pruned == {}
    assert same(weights(loop.model), seen["back"])
    assert any("before the pruning" in data["message"] for _, data in events(run, "note"))
    reasons = [data["reason"] for _, data in events(run, "checkpoint")]
    assert reasons[:5] == ["start", "periodic", "before pruning", "after pruning", "periodic"]


def test_a_checkpoint_from_before_there_were_masks_is_resumed_from(tmp_path):
    _, loop = offering(tmp_path)
    train(loop, 20)
    (path,) = tmp_path.glob("step-0000000020-*.pt")
    state = torch.load(path, weights_only=True)
    del state["parts"]["masks"]
    torch.save(state, path)
    path.with_name(path.name + ".sha256").unlink()
    assert loop.keeper.read(path)["parts"]["masks"] == {}


# -- quantise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["int8-dynamic", "int8-weight-only"])
def test_a_quantised_copy_is_exported_and_the_training_goes_on_unquantised(tmp_path, scheme):
    pytest.importorskip("torchao")
    run, loop = offering(tmp_path)
    train(loop, 220, at(200, run, ("quantise", {"scheme": scheme})))
    assert outcomes(run) == [(1, True, "")]
    (record,) = told(run)
    assert record["outcome"] == "exported"
    assert record["table"]["after"]["size_bytes"] < 0.6 * record["table"]["before"]["size_bytes"]
    (path,) = tmp_path.glob("quantised-*.pt")
    assert record["export"]["path"] == str(path)
    assert record["export"]["size_bytes"] == path.stat().st_size
    fresh = load_quantised(path, parts(seed=5)[0])
    assert float(evaluate(fresh)["val/accuracy"]) == pytest.approx(
        record["table"]["after"]["metrics"]["val/accuracy"]
    )
    _, untouched = offering(tmp_path / "other")
    train(untouched, 220)
    assert same(weights(loop.model), weights(untouched.model))


def test_without_torchao_quantising_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    run, loop = offering(tmp_path)
    train(loop, 3, at(2, run, ("quantise", None)))
    ((_, ok, message),) = outcomes(run)
    assert not ok
    assert "pip install torchao" in message
    assert told(run)[0]["outcome"] == "refused"


# -- compile -------------------------------------------------------------------------------------


def test_a_compiled_training_goes_on_and_comes_back_to_eager_on_request(tmp_path):
    run, loop = offering(tmp_path)
    how = {}

    def each(step, _):
        if step == 10:
            order(run, "compile", value={"backend": "aot_eager"})
        if step == 20:
            how["on"] = loop.model._compiled_call_impl is not None
            order(run, "compile", value=None)
            order(run, "compile", value={"on": False})

    train(loop, 30, each)
    assert how["on"]
    assert loop.model._compiled_call_impl is None
    assert [ok for _, ok, _ in outcomes(run)] == [True, False, True]
    assert "compiled already" in outcomes(run)[1][2]
    table = told(run)[0]["table"]
    assert table["before"]["training_seconds"] > 0


def test_a_resumed_run_is_compiled_again_and_repeats_the_losses(tmp_path, monkeypatch):
    whole_run, whole = offering(tmp_path)
    train(whole, 60, at(10, whole_run, ("compile", {"backend": "aot_eager"})))
    (path,) = tmp_path.glob("step-0000000040-*.pt")
    monkeypatch.setenv("SCALEWEB_RESUME", str(path))
    run, loop = offering(tmp_path / "second")
    assert loop.model._compiled_call_impl is not None
    train(loop, 60)
    assert [v for _, s, v in points(whole_run, "loss") if s > 40] == [v for _, _, v in points(run, "loss")]


def test_without_a_compiler_compiling_is_refused_with_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)
    run, loop = offering(tmp_path)
    train(loop, 3, at(2, run, ("compile", None)))
    ((_, ok, message),) = outcomes(run)
    assert not ok
    assert "apt install g++" in message


@pytest.fixture
def builds(tmp_path, monkeypatch):
    """A cache of its own: what is built here is really built."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "built"))
    torch._dynamo.reset()
    # The compiler is not asked what this processor can: that takes longer than all the rest.
    with torch._inductor.config.patch({"cpp.vec_isa_ok": False, "cpp_cache_precompile_headers": False}):
        yield


def test_the_real_compiler_compiles_a_training(tmp_path, builds):
    run, (_, _, loader) = local_run(), parts()
    model = torch.nn.Linear(64, 10)
    loop = scaleweb_sdk.torch.attach(run, model, torch.optim.SGD(model.parameters(), lr=0.1), loader)
    loop.offer_algorithms(evaluate, IMAGES[:32])
    train(loop, 12, at(10, run, ("compile", None)))
    assert outcomes(run) == [(1, True, "")]
    assert list((tmp_path / "built").rglob("*.so")), "nothing was built"
    assert torch._dynamo.config.suppress_errors


def test_a_compiler_that_fails_is_refused_in_its_words_and_the_training_goes_on(
    tmp_path, builds, monkeypatch
):
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho this compiler is out of order >&2\nexit 1\n")
    broken.chmod(0o755)
    run, loop = offering(tmp_path)
    with torch._inductor.config.patch({"cpp.cxx": (None, str(broken))}):
        train(loop, 12, at(10, run, ("compile", None)))
    ((_, ok, message),) = outcomes(run)
    assert not ok
    assert "torch.compile failed on a copy" in message
    assert loop.step == 12
    assert loop.model._compiled_call_impl is None
    assert loop.keeper.compiled is None


# -- orders that cannot be followed --------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"amount": 2}, "outside 0..0.99"),
        ({"amont": 0.5}, "takes a map of amount, structured, dry"),
        ("half", "takes a map of"),
        ({"dry": "yes"}, "expected true or false"),
        ({"amount": 0.0}, "prunes nothing more"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_words(tmp_path, value, words):
    run, loop = offering(tmp_path)
    train(loop, 3, at(2, run, ("prune", value)))
    ((_, ok, message),) = outcomes(run)
    assert not ok
    assert words in message


@pytest.mark.parametrize(
    ("evaluate", "words"),
    [
        (
            lambda model: {"accuracy": 1.0},
            "no number named 'val/accuracy', by which a change is judged; it gave accuracy",
        ),
        (lambda model: 0.9, "expected a map"),
        (lambda model: 1 / 0, "ZeroDivisionError"),
        (lambda model: {"val/accuracy": math.nan}, "beyond the bound"),
    ],
)
def test_an_evaluation_that_cannot_be_used_refuses_the_change(tmp_path, evaluate, words):
    run = local_run()
    model, optimizer, loader = parts()
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, checkpoint_dir=tmp_path)
    loop.offer_algorithms(evaluate, IMAGES[:8])
    train(loop, 3, at(2, run, ("prune", {"amount": 0.1})))
    ((_, ok, message),) = outcomes(run)
    assert not ok
    assert words in message
    assert not loop.masks.pruned


def test_one_of_several_processes_measures_and_changes_nothing(tmp_path):
    run, loop = offering(tmp_path)
    run.world_size = 2
    train(loop, 3, at(2, run, ("prune", {"amount": 0.1}), ("prune", {"amount": 0.1, "dry": True})))
    assert [ok for _, ok, _ in outcomes(run)] == [False, True]
    assert "2 processes" in outcomes(run)[0][2]


def test_what_is_offered_is_told_with_the_bounds_of_each_parameter(tmp_path):
    run, _ = offering(tmp_path)
    offered = {data["verb"]: data for _, data in events(run, "verb")}
    assert offered.keys() == {"prune", "quantise", "compile"}
    amount = offered["prune"]["parameters"][0]
    assert {name: amount[name] for name in ("name", "kind", "value", "low", "high")} == {
        "name": "amount", "kind": "float", "value": 0.3, "low": 0.0, "high": 0.99,
    }  # fmt: skip
    assert "0.05" in offered["prune"]["description"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"direction": "up"}, "max or min"), ({"bound": -1}, "at least 0"), ({"keep": ("7",)}, "no module 7")],
)
def test_arguments_that_cannot_be_are_refused_at_once(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        offering(tmp_path, **options)
