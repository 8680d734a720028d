"""Micro-batches grow where memory was measured to be there, and bfloat16 is tried where it may pay."""

import numpy as np
import pytest

from control.decide import consider
from control.guards import Limits
from control.policies.memory import Memory
from control.proposals import TunableView
from tests.control.make import a_count, a_past, a_window, named, noisy, seen

POLICY = Memory()
GIB = 2**30


def run(used=2.0, total=16.0, size=32, parts=2, failed=None, failed_limit=None, used_values=None, **fields):
    """A run that takes so many GiB at this micro-batch."""
    points = 200
    about = {} if failed is None else {"failed": failed, "failed_limit_bytes": failed_limit}
    batch = a_count("batch_size", size, about=about, **fields.pop("batch", {}))
    tunables = named(batch, a_count("accumulation", parts)) | fields.pop("more", {})
    used_values = np.full(points, used) if used_values is None else np.asarray(used_values)
    windows = {
        "_memory_used_bytes": a_window(used_values * GIB),
        "_memory_total_bytes": a_window(np.full(points, total) * GIB),
        "_samples_per_second": a_window(noisy(np.full(points, 5000.0), 0.05)),
    } | fields.pop("windows", {})
    return seen(np.ones(points), policy=POLICY, tunables=tunables, windows=windows, **fields)


def asked(observation):
    return [[(c.tunable, c.value) for c in p.changes] for p in POLICY.propose(observation)]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, (64, 1)),
        ({"parts": 6}, (64, 3)),
        ({"parts": 9, "size": 10}, (30, 3)),  # thrice: half of nine there is not
        ({"parts": 1}, None),  # nothing to put together
        ({"used": 7.0}, None),  # 14 of 16 GiB: too near
        ({"used": 6.5}, (64, 1)),
        ({"failed": 64, "failed_limit": 16 * GIB}, None),
        ({"failed": 64, "failed_limit": 16 * GIB, "total": 17.0}, None),
        ({"failed": 64, "failed_limit": 8 * GIB}, (64, 1)),  # the device has twice as much by now
        ({"failed": 64}, None),  # nobody knows what there was
        ({"failed": 128, "failed_limit": 16 * GIB}, (64, 1)),
        ({"batch": {"high": 48}}, None),
    ],
)
def test_micro_batches_grow_where_they_fit_and_never_to_what_failed(fields, wanted):
    expected = [] if wanted is None else [[("batch_size", wanted[0]), ("accumulation", wanted[1])]]
    assert asked(run(**fields)) == expected


def test_two_measurements_tell_what_does_not_grow_with_the_batch():
    # 6 GiB whatever the batch, 0.1 GiB a sample: 32 take 9.2, 64 would take 12.4 and not 18.4.
    used = np.where(np.arange(200) <= 100, 7.6, 9.2)
    changed = {"changed_step": 100, "before": 16}
    assert asked(run(used_values=used, batch=changed)) == [[("batch_size", 64), ("accumulation", 1)]]
    assert asked(run(used_values=np.full(200, 9.2))) == []


def test_nothing_is_known_before_the_first_measurement_after_a_change():
    assert asked(run(batch={"changed_step": 199})) == []
    assert asked(run(windows={"_memory_used_bytes": a_window([])})) == []


def test_a_growth_that_brought_nothing_is_not_tried_again_for_long():
    past = a_past(
        policy="memory", tunable="batch_size", old_value=32, new_value=64, state="undone", verdict="same",
        decided_step=20, applied_step=20,
    )  # fmt: skip
    assert asked(run(past=(past,))) == []
    assert asked(run(past=(past,), step=4000)) != []


def test_a_growth_is_a_trial_on_speed_that_must_not_harm_the_loss_and_passes_the_guards():
    observation = run()
    (proposal,) = POLICY.propose(observation)
    assert (proposal.metric, proposal.trial, proposal.unharmed) == ("_samples_per_second", True, ("loss",))
    assert "the same effective batch" in proposal.reason
    considered, problems = consider(observation, [POLICY], {}, Limits())
    assert (problems, [item.refusal for item in considered]) == ([], [None])


# -- precision -----------------------------------------------------------------------------------


def precision(value="float32", device="cuda", choices=("float32", "bfloat16")):
    return named(
        TunableView(
            "precision", "choice", value, value, choices=choices, role="precision", about={"device": device}
        )
    )


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (precision(), [[("precision", "bfloat16")]]),
        (precision(device="cpu"), []),
        (precision("bfloat16"), []),
        (precision("float16", choices=("float32", "bfloat16", "float16")), []),
        (precision(choices=("float32", "float16")), []),
    ],
)
def test_bfloat16_is_tried_where_the_hardware_may_gain(more, wanted):
    assert asked(run(parts=1, more=more)) == wanted


def test_it_is_tried_once_in_a_run_and_only_where_people_let_it():
    past = a_past(policy="memory", tunable="precision", new_value="bfloat16", verdict="same", state="undone")
    assert asked(run(parts=1, more=precision(), past=(past,), step=90_000)) == []
    assert asked(run(parts=1, more=precision(), parameters={"try_precision": False})) == []
    allowed = {"precision_devices": "cpu"}
    assert asked(run(parts=1, more=precision(device="cpu"), parameters=allowed)) != []
